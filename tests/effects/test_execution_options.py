"""The shape of a job: parallelism, chains, names, uids, batches, directories."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import ClassVar

import pytest

from millpond.common import Types
from millpond.common.configuration import Configuration
from millpond.common.job_status import JobStatus
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.connectors.sink import Sink, SinkWriter
from millpond.datastream.functions import KeyedProcessFunction, MapFunction
from millpond.datastream.state import ValueStateDescriptor
from millpond.engines.termination import Termination
from millpond.errors import InvalidProgramError, MillpondError
from millpond.operators.external_sort import ExternalSort


class Seen(SinkWriter, Sink):
    """Keeps the batches that come, in a list of the class."""

    batches = None

    def create_writer(self, context, restored):
        return self

    def write(self, values, timestamps):
        Seen.batches.append(list(values))


class Where(MapFunction):
    """Tells of the subtask that it runs in."""

    def open(self, runtime_context):
        self.context = runtime_context

    def map(self, value):
        return (
            self.context.get_number_of_parallel_subtasks(),
            self.context.get_max_number_of_parallel_subtasks(),
            self.context.get_job_parameter("colour", "none"),
        )


@pytest.fixture
def seen(mill):
    def run(options, *, records=25, change=lambda stream: stream, prepare=None):
        Seen.batches = []

        def describe(env, ledger):
            source = CollectionSource(list(range(records)))
            change(env.from_source(source, None, "numbers")).sink_to(Seen())

        mill.run(options, describe=describe, prepare=prepare)
        return Seen.batches

    return run


@pytest.mark.option("millpond.batch-size")
@pytest.mark.parametrize(("size", "sizes"), [("10", [10, 10, 5]), ("4", [4] * 6 + [1])])
def test_the_batch_size(seen, size, sizes):
    assert [len(batch) for batch in seen({"millpond.batch-size": size})] == sizes


def told(seen, **options):
    keys = {key.replace("__", "-").replace("_", "."): value for key, value in options.items()}
    batches = seen(keys, change=lambda stream: stream.map(Where()))
    return {value for batch in batches for value in batch}


@pytest.mark.option("parallelism.default")
def test_the_default_parallelism(seen):
    assert {parallelism for parallelism, _, _ in told(seen)} == {1}
    assert {parallelism for parallelism, _, _ in told(seen, parallelism_default="3")} == {3}


@pytest.mark.option("pipeline.max-parallelism")
def test_the_maximum_parallelism(seen):
    assert {most for _, most, _ in told(seen)} == {128}
    assert {most for _, most, _ in told(seen, pipeline_max__parallelism="300")} == {300}


@pytest.mark.option("pipeline.global-job-parameters")
def test_job_parameters(seen):
    assert {colour for _, _, colour in told(seen)} == {"none"}
    parameters = {"pipeline.global-job-parameters": "colour:green,size:3"}
    batches = seen(parameters, change=lambda stream: stream.map(Where()))
    assert {value[2] for batch in batches for value in batch} == {"green"}


@pytest.mark.option("pipeline.operator-chaining.enabled")
@pytest.mark.parametrize(
    "spelling", ["pipeline.operator-chaining", "pipeline.operator-chaining.enabled"]
)
def test_chaining(mill, spelling):
    def tasks(chained):
        run = mill.run({spelling: chained})
        return len(run.statistics[0].subtasks)

    assert tasks("true") == 2
    assert tasks("false") == 3


@pytest.mark.option("pipeline.name")
def test_the_name_of_the_job(mill):
    assert mill.run({"pipeline.name": "water meters"}).program.job.name == "water meters"
    assert mill.run({}).program.job.name != "water meters"


class Late(KeyedProcessFunction):
    """Tells whether event time had come anywhere when a record came."""

    def process_element(self, value, ctx):
        yield ctx.timer_service().current_watermark() > -1


@pytest.mark.option("pipeline.auto-watermark-interval")
def test_periodic_watermarks(mill):
    def watermarks_came(interval):
        Seen.batches = []

        def describe(env, ledger):
            source = CollectionSource(list(range(25)), list(range(25)))
            strategy = WatermarkStrategy.for_monotonous_timestamps()
            numbers = env.from_source(source, strategy, "numbers")
            numbers.key_by(lambda value: 0, Types.LONG()).process(Late()).sink_to(Seen())

        mill.run({"pipeline.auto-watermark-interval": interval}, describe=describe)
        return {value for batch in Seen.batches for value in batch}

    assert watermarks_came("200 ms") == {False, True}
    assert watermarks_came("0 ms") == {False}


@pytest.mark.option("pipeline.auto-generate-uids")
def test_operators_without_uid(mill):
    def describe(env, ledger):
        env.from_source(CollectionSource([1]), None, "numbers").map(lambda value: value)

    mill.run({"pipeline.auto-generate-uids": "true"}, describe=describe)
    with pytest.raises(InvalidProgramError, match="uid"):
        mill.run({"pipeline.auto-generate-uids": "false"}, describe=describe)


class Spying(KeyedProcessFunction):
    """Looks at a directory while the job runs."""

    directory = None
    found = None
    databases: ClassVar[set] = set()

    def process_element(self, value, ctx):
        paths = list(Path(Spying.directory).rglob("*"))
        Spying.found |= {path.name for path in paths}
        Spying.databases |= {path for path in paths if path.name.startswith("job_")}
        yield value


@pytest.mark.option("io.tmp.dirs")
@pytest.mark.parametrize("spelling", ["taskmanager.tmp.dirs", "io.tmp.dirs"])
def test_temporary_directories(mill, tmp_path, spelling):
    def describe(env, ledger):
        numbers = env.from_source(CollectionSource([1, 2]), None, "numbers")
        numbers.key_by(lambda value: value, Types.LONG()).process(Spying())

    Spying.directory, Spying.found = str(tmp_path), set()
    mill.run({"state.backend.type": "rocksdb", spelling: str(tmp_path)}, describe=describe)
    assert "CURRENT" in Spying.found
    # And nothing stays behind.
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.option("io.tmp.dirs")
def test_databases_are_spread_over_several_temporary_directories(mill, tmp_path):
    def describe(env, ledger):
        numbers = env.from_source(CollectionSource(range(40)), None, "numbers")
        keyed = numbers.key_by(lambda value: value, Types.LONG())
        keyed.process(Spying()).set_parallelism(2)

    (tmp_path / "broken").write_text("a file, where a directory should be")
    Spying.directory, Spying.found = str(tmp_path), set()
    parents = [tmp_path / name for name in ("broken", "first", "second")]
    directories = ",".join(str(parent) for parent in parents)
    mill.run({"state.backend.type": "rocksdb", "io.tmp.dirs": directories}, describe=describe)
    assert "CURRENT" in Spying.found
    assert {path.parent.name for path in Spying.databases if path.parent in parents} == {
        "first",
        "second",
    }
    assert not any(path.is_file() for parent in parents[1:] for path in parent.rglob("*"))


@pytest.mark.option("io.tmp.dirs")
def test_no_usable_temporary_directory_is_an_error_that_names_each(tmp_path):
    (tmp_path / "broken").write_text("a file, where a directory should be")
    configuration = Configuration.from_dict(
        {"io.tmp.dirs": f"{tmp_path}/broken,{tmp_path}/broken/below"}
    )
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.from_collection([1]).print()
    with pytest.raises(MillpondError, match="No temporary directory can be used") as raised:
        env.execute()
    assert f"{tmp_path}/broken: File exists" in str(raised.value)
    assert f"{tmp_path}/broken/below: Not a directory" in str(raised.value)


def test_the_plan_shows_the_parallelism_of_the_configuration():
    configuration = Configuration.from_dict({"parallelism.default": "4"})
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.from_collection([1]).map(lambda value: value)
    plan = json.loads(env.get_execution_plan())
    assert plan["nodes"][-1]["parallelism"] == 4


@pytest.mark.option("millpond.savepoint-on-sigterm")
@pytest.mark.parametrize("wanted", ["true", "false"])
def test_a_savepoint_on_sigterm(mill, wanted):
    options = {
        "millpond.savepoint-on-sigterm": wanted,
        "execution.checkpointing.savepoint-dir": "memory:///savepoints",
    }

    def act(step, manager):
        if step == 40:
            termination = Termination.of(manager, Configuration.from_dict(options))
            termination.deliver(signal.SIGTERM)

    run = mill.run(options, act=act, check=False)
    expected = JobStatus.FINISHED if wanted == "true" else JobStatus.SUSPENDED
    assert run.outcome.status is expected
    assert (mill.paths("/savepoints") != []) == (wanted == "true")


class Pickling(KeyedProcessFunction):
    def open(self, runtime_context):
        self.last = runtime_context.get_state(
            ValueStateDescriptor("last", Types.PICKLED_BYTE_ARRAY())
        )

    def process_element(self, value, ctx):
        self.last.update(value)


@pytest.mark.option("pipeline.generic-types")
def test_generic_types(mill):
    def describe(env, ledger):
        numbers = env.from_source(CollectionSource([1]), None, "numbers")
        numbers.key_by(lambda value: value, Types.LONG()).process(Pickling())

    mill.run({"pipeline.generic-types": "true"}, describe=describe)
    with pytest.raises(MillpondError, match="pickle"):
        mill.run({"pipeline.generic-types": "false"}, describe=describe)


@pytest.mark.option("execution.runtime-mode")
@pytest.mark.parametrize(("mode", "results"), [("STREAMING", 8), ("BATCH", 2), ("AUTOMATIC", 2)])
def test_the_runtime_mode(seen, mode, results):
    """In BATCH mode a rolling aggregate gives its last result only."""

    def rolling(stream):
        return stream.key_by(lambda value: value % 2, Types.LONG()).reduce(lambda a, b: a + b)

    options = {"execution.runtime-mode": mode, "execution.checkpointing.interval": None}
    batches = seen(options, records=8, change=rolling)
    values = [value for batch in batches for value in batch]
    assert len(values) == results
    assert sorted(values)[-2:] == [12, 16]


@pytest.mark.option("millpond.sort-memory")
@pytest.mark.parametrize(("memory", "spills"), [("1 kb", True), ("16 mb", False)])
def test_the_memory_for_sorting(mill, monkeypatch, memory, spills):
    spilled = []
    spill = ExternalSort._spill
    monkeypatch.setattr(ExternalSort, "_spill", lambda sort: (spilled.append(1), spill(sort)))

    def describe(env, ledger):
        texts = env.from_source(CollectionSource([f"{n:0100}" for n in range(500)]), None, "texts")
        texts.key_by(lambda value: value, Types.STRING()).reduce(lambda a, b: a)

    options = {"execution.runtime-mode": "BATCH", "millpond.sort-memory": memory}
    mill.run({**options, "execution.checkpointing.interval": None}, describe=describe)
    assert (spilled != []) == spills
