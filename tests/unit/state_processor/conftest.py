"""Snapshots to read that jobs of Millpond wrote."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from millpond.common import Configuration, Types, WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.number_seq import NumberSequenceSource
from millpond.datastream.functions import AggregateFunction, KeyedProcessFunction
from millpond.datastream.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    ValueStateDescriptor,
)

NUMBERS = 20


class Longest(AggregateFunction):
    def create_accumulator(self):
        return ""

    def add(self, value, accumulator):
        return max(accumulator, value, key=len)

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        return max(acc_a, acc_b, key=len)


class Keeper(KeyedProcessFunction):
    """Keeps numbers 0 to 19 by their remainder modulo 3, then says that it has."""

    def __init__(self, extra, done):
        self.extra = extra
        self.done = done

    def open(self, runtime_context):
        self.last = runtime_context.get_state(ValueStateDescriptor("last", Types.LONG()))
        self.all = runtime_context.get_list_state(ListStateDescriptor("all", Types.INT()))
        self.squares = runtime_context.get_map_state(
            MapStateDescriptor("squares", Types.STRING(), Types.LONG())
        )
        self.total = runtime_context.get_reducing_state(
            ReducingStateDescriptor("total", lambda a, b: a + b, Types.LONG())
        )
        self.longest = runtime_context.get_aggregating_state(
            AggregatingStateDescriptor("longest", Longest(), Types.STRING())
        )
        self.anything = runtime_context.get_state(
            ValueStateDescriptor("anything", Types.PICKLED_BYTE_ARRAY())
        )

    def process_element(self, value, ctx):
        if value < NUMBERS:
            self.last.update(value + self.extra)
            self.all.add(value)
            self.squares.put(str(value), value * value)
            self.total.add(value)
            self.longest.add("x" * (value % 7))
            self.anything.update({"number": (value, None)})
            ctx.timer_service().register_processing_time_timer(4_102_444_800_000 + value)
        else:
            Path(self.done).touch()
        return []


def write_savepoint(directory, *, backend="hashmap", parallelism=1, extra=0, checkpoint=False):
    """Run a job until it has its state; return the path of a savepoint, or of a checkpoint."""
    directory.mkdir(parents=True)
    configuration = Configuration()
    if checkpoint:
        configuration.set_string("execution.checkpointing.interval", "50 ms")
        configuration.set_string("execution.checkpointing.incremental", "true")
        configuration.set_string("execution.checkpointing.dir", (directory / "chk").as_uri())
        configuration.set_string(
            "execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION"
        )
    configuration.set_string("state.backend.type", backend)
    configuration.set_string("millpond.batch-size", "50")
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(1)
    source = NumberSequenceSource(0, 10**9)
    done = str(directory / "done")
    (
        env.from_source(source, WatermarkStrategy.no_watermarks(), "numbers")
        .uid("numbers")
        .key_by(lambda number: f"key-{number % 3}", key_type=Types.STRING())
        .process(Keeper(extra, done), Types.LONG())
        .set_parallelism(parallelism)
        .uid("keeper")
    )
    client = env.execute_async("keeper")
    deadline = time.monotonic() + 120
    while not Path(done).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if checkpoint:
        # One that was begun after the state was there.
        wanted = latest_checkpoint(directory) + 2
        while latest_checkpoint(directory) < wanted:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        client.cancel().result()
        (job,) = (directory / "chk").iterdir()
        return (job / f"chk-{latest_checkpoint(directory)}").as_uri()
    path = client.trigger_savepoint((directory / "savepoints").as_uri()).result()
    client.cancel().result()
    return path


def latest_checkpoint(directory):
    complete = directory.glob("chk/*/chk-*/_metadata")
    return max((int(path.parent.name.removeprefix("chk-")) for path in complete), default=0)


@pytest.fixture(scope="session")
def incremental_checkpoint(tmp_path_factory):
    """The same state in files of RocksDB."""
    root = tmp_path_factory.mktemp("checkpoint")
    return write_savepoint(root / "rocksdb", backend="rocksdb", checkpoint=True)


@pytest.fixture(scope="session")
def millpond_savepoint(tmp_path_factory):
    """Of the heap store, parallelism 1."""
    return write_savepoint(tmp_path_factory.mktemp("savepoint") / "heap")


@pytest.fixture(scope="session")
def same_savepoint(tmp_path_factory):
    """The same state of the RocksDB store, parallelism 2."""
    root = tmp_path_factory.mktemp("savepoint")
    return write_savepoint(root / "rocksdb", backend="rocksdb", parallelism=2)


@pytest.fixture(scope="session")
def other_savepoint(tmp_path_factory):
    """The state `last` is one more."""
    return write_savepoint(tmp_path_factory.mktemp("savepoint") / "other", extra=1)
