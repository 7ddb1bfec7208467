from __future__ import annotations

import threading

import mmh3
import pytest

from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.functions import CoMapFunction, MapFunction
from millpond.errors import ConfigurationError, InvalidProgramError
from millpond.runtime.graph_compiler import CompilerOptions, compile_job


class Pair(CoMapFunction):
    def map1(self, value):
        return value

    def map2(self, value):
        return value


@pytest.fixture
def env():
    return StreamExecutionEnvironment.get_execution_environment()


def compiled(env, **options):
    return compile_job(env._take_program("job").job, CompilerOptions(**options), {})


def chains(graph):
    return [[node.name for node in vertex.operators] for vertex in graph.vertices]


def source(env, name="source", parallelism=None):
    from millpond.common.watermark_strategy import WatermarkStrategy
    from millpond.datastream.connectors.number_seq import NumberSequenceSource

    stream = env.from_source(NumberSequenceSource(1, 2), WatermarkStrategy.no_watermarks(), name)
    return stream if parallelism is None else stream.set_parallelism(parallelism)


def simple(env):
    return source(env).map(abs).name("a").map(abs).name("b")


def test_operators_in_a_line_are_one_chain(env):
    simple(env)
    graph = compiled(env)
    assert chains(graph) == [["source", "a", "b"]]
    assert graph.edges == ()
    assert graph.vertices[0].name == "source -> a -> b"


def test_a_chain_may_fork(env):
    stream = source(env)
    stream.map(abs).name("left")
    stream.map(abs).name("right")
    graph = compiled(env)
    assert sorted(chains(graph)[0]) == ["left", "right", "source"]
    assert {(edge.source, edge.target) for edge in graph.vertices[0].chain} == {(0, 1), (0, 2)}


def test_what_breaks_a_chain(env):
    simple(env)
    assert len(chains(compiled(env, chaining=False))) == 3
    source(env).map(abs).disable_chaining().map(abs)
    assert len(chains(compiled(env))) == 3
    source(env).map(abs).start_new_chain().map(abs)
    assert [len(chain) for chain in chains(compiled(env))] == [1, 2]
    source(env).map(abs).set_parallelism(3)
    assert len(chains(compiled(env))) == 2
    source(env).map(abs).set_max_parallelism(300)
    assert len(chains(compiled(env))) == 2
    source(env).map(abs).slot_sharing_group("other")
    assert len(chains(compiled(env))) == 2
    source(env).rebalance().map(abs)
    assert len(chains(compiled(env))) == 2
    source(env).key_by(abs).reduce(max)
    assert len(chains(compiled(env))) == 2
    source(env).union(source(env)).map(abs)
    assert len(chains(compiled(env))) == 3
    source(env).connect(source(env)).map(Pair())
    assert len(chains(compiled(env))) == 3


def test_inputs_of_two_input_operators_keep_their_index(env):
    source(env, "one").connect(source(env, "two")).map(Pair())
    graph = compiled(env)
    assert [(edge.source_vertex, edge.input_index) for edge in graph.edges] == [(0, 0), (1, 1)]


def test_parallelism_and_max_parallelism(env):
    source(env).map(abs).set_parallelism(86)
    graph = compiled(env, parallelism=2)
    assert [(v.parallelism, v.max_parallelism) for v in graph.vertices] == [(2, 128), (86, 256)]
    assert not any(vertex.max_parallelism_is_set for vertex in graph.vertices)
    source(env)
    (vertex,) = compiled(env, max_parallelism=9).vertices
    assert (vertex.max_parallelism, vertex.max_parallelism_is_set) == (9, True)
    source(env)
    with pytest.raises(ValueError, match="arallelism"):
        compiled(env, parallelism=10, max_parallelism=9)


def test_the_id_is_the_hash_of_the_uid_or_what_was_set(env):
    source(env).uid("numbers").map(abs).set_uid_hash("AB" * 16)
    first, second = compiled(env).vertices[0].operators
    assert first.operator_id == mmh3.hash_bytes(b"numbers")
    assert second.operator_id == bytes.fromhex("ab" * 16)


def test_ids_without_uid_are_stable_and_depend_on_the_place(env):
    ids = []
    for _ in range(2):
        simple(env)
        ids.append([node.operator_id for node in compiled(env).vertices[0].operators])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3
    source(env).map(abs).map(abs).map(abs)
    longer = [node.operator_id for node in compiled(env).vertices[0].operators]
    assert longer[-1] not in ids[0]


def test_two_operators_with_one_uid_are_refused(env):
    source(env).uid("x").map(abs).name("second").uid("x")
    with pytest.raises(InvalidProgramError, match="'source' and 'second' have the same uid 'x'"):
        compiled(env)


def test_a_missing_uid_is_refused_on_request(env):
    source(env).uid("x").map(abs).name("nameless")
    with pytest.raises(InvalidProgramError, match="'nameless' has no uid"):
        compiled(env, auto_generate_uids=False)


def test_results_can_be_collected_where_every_uid_must_be_given(env):
    from millpond.common.configuration import Configuration

    configuration = Configuration()
    configuration.set_string("pipeline.auto-generate-uids", "false")
    env.configure(configuration)
    stream = source(env).uid("numbers")
    assert stream.execute_and_collect(limit=5) == [1, 2]


def test_a_function_that_cannot_be_copied_is_named(env):
    class Locked(MapFunction):
        def __init__(self):
            self.lock = threading.Lock()

        def map(self, value):
            return value

    source(env).map(Locked()).name("locked")
    with pytest.raises(InvalidProgramError, match=r"'locked' cannot be copied.*open\(\)"):
        compiled(env)


def test_an_empty_uid_is_refused(env):
    with pytest.raises(ConfigurationError, match="The uid is empty") as caught:
        source(env).name("numbers").uid("")
    assert caught.value.context == {"operator": "numbers"}
