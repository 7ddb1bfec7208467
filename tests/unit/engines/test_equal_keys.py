"""Keys that Python holds to be equal: one key where a type is declared, on every store."""

from __future__ import annotations

import math
import time

import pytest

from millpond.common import Configuration, Types
from millpond.common.job_status import JobStatus
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.source import Source, Split, SplitReader
from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.state import ValueStateDescriptor
from millpond.errors import SerializationError


def counts(backend, parallelism, key_type, keys):
    configuration = Configuration()
    configuration.set_string("state.backend.type", backend)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(parallelism)
    keyed = env.from_collection([(key, 1) for key in keys]).key_by(lambda pair: pair[0], key_type)
    counted = keyed.reduce(lambda a, b: (a[0], a[1] + b[1]))
    return sorted(count for _, count in counted.execute_and_collect())


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
@pytest.mark.parametrize("parallelism", [1, 4])
def test_a_declared_type_makes_equal_keys_one(backend, parallelism):
    assert counts(backend, parallelism, Types.LONG(), [1, True, 1]) == [1, 2, 3]
    assert counts(backend, parallelism, Types.DOUBLE(), [1, 1.0, True]) == [1, 2, 3]


@pytest.mark.parametrize("parallelism", [1, 4])
@pytest.mark.parametrize("keys", [[1.0], [1, 1.0], [1 << 63], ["1"], [None]])
def test_a_key_that_does_not_fit_is_refused_where_it_is_routed(parallelism, keys):
    with pytest.raises(SerializationError, match="LONG") as caught:
        counts("hashmap", parallelism, Types.LONG(), keys)
    assert f"A key of type {type(keys[-1]).__name__} does not fit" in caught.value.message
    assert caught.value.context["operator"]
    assert caught.value.context["key"] == repr(keys[-1])


class Counting(KeyedProcessFunction):
    """Counts a key's records, in state and by timers; says which key it is."""

    def open(self, runtime_context):
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))

    def process_element(self, value, ctx):
        self.count.update((self.count.value() or 0) + 1)
        ctx.timer_service().register_event_time_timer(10)

    def on_timer(self, timestamp, ctx):
        yield repr(ctx.get_current_key()), self.count.value()


class Waiting(Source):
    """Has nothing and does not end: the job waits for its savepoint."""

    bounded = False
    reads = 0

    def splits(self, parallelism):
        return [Split("none")]

    def open_split(self, split, position, clock):
        return NeverReader()


class NeverReader(SplitReader):
    finished = False

    def read(self, limit):
        Waiting.reads += 1

    def position(self):
        return {}


FLOATS = [0.0, -0.0, math.nan, -math.nan, 1.5, -0.0, float("nan"), 0.0, -0.0, 1.5]


def final_counts(tmp_path, keys, mode="STREAMING", savepoint=None, **options):
    configuration = Configuration.from_dict(
        {
            "execution.runtime-mode": mode,
            "millpond.batch-size": "3",
            "execution.checkpointing.dir": (tmp_path / "checkpoints").as_uri(),
            **{key.replace("_", "."): value for key, value in options.items()},
        }
    )
    if savepoint is not None:
        configuration.set_string("execution.state-recovery.path", savepoint)
        configuration.set_string("execution.state-recovery.ignore-unclaimed-state", "true")
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    stream = env.from_collection(keys, Types.DOUBLE()).uid(f"source {savepoint}")
    counted = stream.key_by(lambda key: key, Types.DOUBLE()).process(Counting()).uid("counting")
    return env, counted


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
@pytest.mark.parametrize("parallelism", ["1", "4"])
@pytest.mark.parametrize("mode", ["STREAMING", "BATCH"])
def test_nan_is_one_key_and_the_zeros_are_two(tmp_path, backend, parallelism, mode):
    options = {"state_backend_type": backend, "parallelism_default": parallelism}
    _, counted = final_counts(tmp_path, FLOATS, mode, **options)
    results = sorted(counted.execute_and_collect())
    assert results == [("-0.0", 3), ("0.0", 2), ("1.5", 2), ("nan", 3)]


@pytest.mark.parametrize("memory", ["1 kb", "16 mb"])
def test_they_are_in_batch_mode_on_disk_too(tmp_path, memory):
    options = {"millpond.sort-memory": memory}
    _, counted = final_counts(tmp_path, FLOATS * 100, "BATCH", **options)
    results = sorted(counted.execute_and_collect())
    assert results == [("-0.0", 300), ("0.0", 200), ("1.5", 200), ("nan", 300)]


@pytest.mark.parametrize(("first", "second"), [("hashmap", "rocksdb"), ("rocksdb", "hashmap")])
def test_they_are_after_a_restore(tmp_path, first, second):
    env, counted = final_counts(tmp_path, FLOATS, state_backend_type=first, parallelism_default="1")
    counted.map(lambda value: value)
    waiting = env.from_source(Waiting(), WatermarkStrategy.no_watermarks(), "wait").uid("wait")
    waiting.map(lambda value: value)
    Waiting.reads = 0
    client = env.execute_async()
    deadline = time.monotonic() + 120
    while client.get_job_status().result() is not JobStatus.RUNNING or Waiting.reads < 20:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    savepoint = client.trigger_savepoint((tmp_path / "savepoints").as_uri()).result()
    client.cancel().result()
    _, counted = final_counts(
        tmp_path,
        FLOATS,
        savepoint=savepoint,
        state_backend_type=second,
        parallelism_default="3",
    )
    results = sorted(counted.execute_and_collect())
    assert results == [("-0.0", 6), ("0.0", 4), ("1.5", 4), ("nan", 6)]


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
def test_pickled_keys_are_routed_by_their_bytes(backend):
    assert counts(backend, 1, None, [1, True, 1.0]) == [1, 2, 3]
    assert counts(backend, 128, None, [1, True, 1.0]) == [1, 1, 1]
