"""Keys keep to their subtask when a job goes on with another parallelism, again and again."""

from __future__ import annotations

import time

import pytest

from millpond.common import Configuration, Types
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.source import Records, Source, Split, SplitReader
from millpond.datastream.functions import CheckpointedFunction, KeyedProcessFunction
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ValueStateDescriptor,
)
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.key_group import operator_index

MAX_PARALLELISM = 128
KEYS = [f"key{number}" for number in range(300)]
KEY_TYPE = Types.STRING()
RESULTS = []


class Count(KeyedProcessFunction, CheckpointedFunction):
    """Counts a key's records in three kinds of state, and says who did it."""

    def initialize_state(self, context):
        store = context.get_operator_state_store()
        self.subtasks = store.get_union_list_state(ListStateDescriptor("subtasks", Types.LONG()))
        self.restored = context.is_restored()
        self.before = sorted(self.subtasks.get())
        self.keyed = context.get_keyed_state_store()

    def snapshot_state(self, context):
        self.subtasks.update([self.index])

    def open(self, runtime_context):
        self.index = runtime_context.get_index_of_this_subtask()
        self.count = self.keyed.get_state(ValueStateDescriptor("count", Types.LONG()))
        self.seen = runtime_context.get_list_state(ListStateDescriptor("seen", Types.LONG()))
        self.by = runtime_context.get_map_state(
            MapStateDescriptor("by", Types.LONG(), Types.LONG())
        )

    def process_element(self, value, ctx):
        key, turn = value
        self.count.update((self.count.value() or 0) + 1)
        self.seen.add(turn)
        self.by.put(turn, self.index)
        RESULTS.append(
            (
                key,
                self.index,
                self.count.value(),
                tuple(self.seen.get()),
                dict(self.by.items()),
                self.restored,
                self.before,
            )
        )


def owner(key, parallelism):
    group = key_serializer_for(KEY_TYPE).key_group(key, MAX_PARALLELISM)
    return operator_index(group, MAX_PARALLELISM, parallelism)


class Reader(SplitReader):
    """Gives the keys once, and then waits."""

    def __init__(self, turn):
        self._records = [(key, turn) for key in KEYS]

    def read(self, limit):
        taken, self._records = self._records[:limit], self._records[limit:]
        return Records(taken) if taken else None

    @property
    def finished(self):
        return False

    def position(self):
        return {}


class Keys(Source):
    bounded = False

    def __init__(self, turn):
        self.turn = turn

    def splits(self, parallelism):
        return [Split("only")]

    def open_split(self, split, position, clock):
        return Reader(self.turn)


def run(backend, directory, parallelism, turn, savepoint):
    RESULTS.clear()
    configuration = Configuration()
    configuration.set_string("state.backend.type", backend)
    configuration.set_string("execution.checkpointing.savepoint-dir", f"file://{directory}")
    configuration.set_string("pipeline.max-parallelism", str(MAX_PARALLELISM))
    if savepoint is not None:
        configuration.set_string("execution.state-recovery.path", savepoint)
        configuration.set_string("execution.state-recovery.ignore-unclaimed-state", "true")
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(parallelism)
    # Another uid for each source: its place in the input is not what is tested.
    records = env.from_source(Keys(turn), WatermarkStrategy.no_watermarks(), f"source {turn}")
    records.uid(f"source {turn}").key_by(lambda record: record[0], KEY_TYPE).process(Count()).uid(
        "count"
    )
    client = env.execute_async()
    deadline = time.monotonic() + 120
    while len(RESULTS) < len(KEYS) and time.monotonic() < deadline:
        time.sleep(0.01)
    return client.stop_with_savepoint(False).result()


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
def test_one_three_two_five(tmp_path, backend):
    savepoint = None
    history = []
    for turn, parallelism in enumerate((1, 3, 2, 5)):
        savepoint = run(backend, tmp_path, parallelism, turn, savepoint)
        history.append(parallelism)
        assert sorted(result[0] for result in RESULTS) == sorted(KEYS)
        before = [] if turn == 0 else list(range(history[-2]))
        for key, index, count, seen, by, restored, subtasks in RESULTS:
            assert index == owner(key, parallelism)
            assert count == turn + 1
            assert seen == tuple(range(turn + 1))
            assert by == {number: owner(key, p) for number, p in enumerate(history)}
            assert restored is (turn > 0)
            assert subtasks == before
        assert {result[1] for result in RESULTS} == set(range(parallelism))
