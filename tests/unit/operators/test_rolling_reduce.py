"""Rolling reduces: results are what the state holds, and must be of the declared type."""

from __future__ import annotations

import struct

import pytest

from millpond.common import Configuration, RestartStrategies, Types
from millpond.datastream import StreamExecutionEnvironment
from millpond.errors import SerializationError

BATCH = 10


@pytest.fixture(params=["hashmap", "rocksdb"])
def env(request, tmp_path):
    configuration = Configuration.from_dict(
        {
            "state.backend.type": request.param,
            "millpond.batch-size": str(BATCH),
            "io.tmp.dirs": str(tmp_path / "temporary"),
            "execution.checkpointing.dir": (tmp_path / "checkpoints").as_uri(),
        }
    )
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(1)
    return env


def collect(stream):
    with stream.execute_and_collect() as results:
        return list(results)


def rounded(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def float_sums(values):
    total, sums = 0.0, []
    for value in values:
        total = rounded(total + value)
        sums.append(total)
    return sums


def test_a_sum_of_floats_is_rounded_as_it_is_after_a_restore(env):
    values = [0.1 * number for number in range(1, 40)]
    sums = env.from_collection(values, Types.FLOAT()).key_by(lambda _: 0, Types.INT()).sum(0)
    assert collect(sums) == pytest.approx(float_sums(values), abs=0, rel=0)


@pytest.mark.parametrize("how", ["sum", "reduce"])
def test_a_field_of_floats_is_rounded_too_whether_a_job_fails_or_not(env, how, tmp_path):
    marker = tmp_path / "failed"

    def fail_once(value):
        if value[1] > 2.5 and not marker.exists():
            marker.touch()
            raise OSError("once")
        return value

    record = Types.TUPLE([Types.STRING(), Types.FLOAT()])
    values = [0.1 * number for number in range(1, 40)]
    env.enable_checkpointing(10)
    env.set_restart_strategy(RestartStrategies.fixed_delay_restart(1, 1))
    records = env.from_collection([("a", value) for value in values], record)
    keyed = records.map(fail_once, record).key_by(lambda value: value[0], Types.STRING())
    stream = keyed.sum(1) if how == "sum" else keyed.reduce(lambda a, b: (a[0], a[1] + b[1]))
    assert collect(stream) == [("a", total) for total in float_sums(values)]
    assert marker.exists()


@pytest.mark.parametrize(
    ("declared", "values", "reduce", "text"),
    [
        (Types.LONG(), [1], lambda a, b: a + b + 0.5, "type float does not fit .* LONG"),
        (Types.LONG(), [1 << 61], lambda a, b: a + b, "type int does not fit .* LONG"),
        (Types.STRING(), ["x"], lambda a, b: len(f"{a}{b}"), "type int does not fit .* STRING"),
        (
            Types.TUPLE([Types.STRING(), Types.INT()]),
            [("x", 1)],
            lambda a, b: (a[0], str(b[1])),
            "type tuple does not fit",
        ),
    ],
    ids=["float", "too large", "another type", "a field"],
)
def test_a_result_of_another_type_fails_its_own_batch(env, declared, values, reduce, text):
    stream = env.from_collection(values * 1000, declared).key_by(lambda _: "the key")
    stream.reduce(reduce).name("rolling").filter(lambda _: False).print()
    with pytest.raises(SerializationError, match=text) as caught:
        env.execute()
    assert caught.value.context["operator"] == "rolling"
    assert "the key" in caught.value.context["key"]
    assert caught.value.context["state"] == "_reduce_state"


def test_one_wrong_result_among_few_records_is_found(env):
    stream = env.from_collection([1, 2, 3, 4, 5, 6, 7], Types.LONG())
    keyed = stream.key_by(lambda value: value % 4, Types.LONG())
    with pytest.raises(SerializationError, match="type str does not fit") as caught:
        collect(keyed.reduce(lambda a, b: "six" if b == 6 else a + b))
    assert caught.value.context["key"] == "2"


def test_a_result_in_another_form_gets_the_declared_one(env):
    declared = Types.TUPLE([Types.STRING(), Types.INT()])
    records = env.from_collection([("a", 1)] * 25, declared)
    stream = records.key_by(lambda value: value[0], Types.STRING())
    results = collect(stream.reduce(lambda a, b: [a[0], a[1] + b[1]]))
    assert results == [("a", number) for number in range(1, 26)]
    assert {type(result) for result in results} == {tuple}


def test_a_reduce_that_clears_its_state_starts_anew(env):
    stream = env.from_collection([5, 6, 7, 8], Types.LONG()).key_by(lambda _: 0, Types.INT())
    assert collect(stream.reduce(lambda a, b: None if b == 6 else a + b)) == [5, None, 7, 15]
