"""Jobs go on from a checkpoint of Flink that has heap timers beside RocksDB state."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from millpond.checkpoint.loading import load_checkpoint
from millpond.common import Configuration, Types
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.source import Records, Source, Split, SplitReader
from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.state import MapStateDescriptor, ValueStateDescriptor
from millpond.engines.job_setup import compile_program
from millpond.engines.savepoint_check import Verdict, check_savepoint
from millpond.formats.savepoint_content import TimerEntry, read_keyed_content
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.key_group import operator_index

FOLDER = "2.3.0-rocksdb-p2-heap-timers-checkpoint"
UID = "timers-tuple-key"
MAX_PARALLELISM = 300
KEY_TYPE = Types.TUPLE([Types.STRING(), Types.LONG()])
SEEN = []
FIRED = []


class Last(KeyedProcessFunction):
    """The fixture's function: says what fires, where, and with which state."""

    def open(self, runtime_context):
        self.index = runtime_context.get_index_of_this_subtask()
        value_type = Types.TUPLE([Types.STRING(), Types.INT(), Types.DOUBLE()])
        self.last = runtime_context.get_state(ValueStateDescriptor("last", value_type))
        self.tags = runtime_context.get_map_state(
            MapStateDescriptor("tags", Types.STRING(), Types.STRING())
        )

    def process_element(self, value, ctx):
        SEEN.append(value)

    def on_timer(self, timestamp, ctx):
        key = ctx.get_current_key()
        FIRED.append((key, timestamp, self.index, self.last.value(), dict(self.tags.items())))


class Reader(SplitReader):
    """Gives one record, and then waits or ends."""

    def __init__(self, ends):
        self._records = [("x", 1)]
        self._ends = ends

    def read(self, limit):
        taken, self._records = self._records, []
        return Records(taken) if taken else None

    @property
    def finished(self):
        return self._ends and not self._records

    def position(self):
        return {}


class OneRecord(Source):
    def __init__(self, ends):
        self.bounded = self._ends = ends

    def splits(self, parallelism):
        return [Split("only")]

    def open_split(self, split, position, clock):
        return Reader(self._ends)


def environment(directory, backend, parallelism, path, *, ends, turn):
    configuration = Configuration()
    configuration.set_string("state.backend.type", backend.removesuffix("-heap-timers"))
    if backend.endswith("-heap-timers"):
        configuration.set_string("state.backend.rocksdb.timer-service.factory", "HEAP")
    configuration.set_string("execution.checkpointing.savepoint-dir", f"file://{directory}")
    configuration.set_string("execution.state-recovery.path", path)
    # The sources are others.
    configuration.set_string("execution.state-recovery.ignore-unclaimed-state", "true")
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(parallelism)
    uid = f"source {turn}"
    records = env.from_source(OneRecord(ends), WatermarkStrategy.no_watermarks(), uid).uid(uid)
    records.key_by(lambda record: record, KEY_TYPE).process(Last()).uid(UID)
    return env


def run_to_a_savepoint(*arguments, **options):
    SEEN.clear()
    client = environment(*arguments, **options, ends=False).execute_async()
    deadline = time.monotonic() + 120
    while not SEEN and time.monotonic() < deadline:
        time.sleep(0.01)
    return client.stop_with_savepoint(False).result()


def owner(key, parallelism):
    group = key_serializer_for(KEY_TYPE).key_group(key, MAX_PARALLELISM)
    return operator_index(group, MAX_PARALLELISM, parallelism)


def key_of(encoded):
    return tuple(encoded["tuple"])


def expected_firings(expected, parallelism):
    (operator,) = expected["operators"]
    last, tags = (
        {key_of(entry["key"]): entry["value"] for entry in state["entries"]}
        for state in operator["keyed_state"]
    )
    for timer in operator["timers"]["event_time"]:
        key = key_of(timer["key"])
        name, number, double = last[key]["tuple"]
        yield (
            key,
            timer["timestamp"],
            owner(key, parallelism),
            (name, number, float(double["double"])),
            dict(tags[key]["map"]),
        )


def by_key(firings):
    return sorted(firings, key=lambda firing: firing[:2])


def stored_timers(path):
    loaded = load_checkpoint(path)
    decode = key_serializer_for(KEY_TYPE).decode
    (operator,) = (
        each
        for each in loaded.metadata.operators
        if any(subtask.keyed for subtask in each.subtasks.values())
    )
    assert not any(subtask.keyed_raw for subtask in operator.subtasks.values())
    return Counter(
        (entry.service, entry.domain, decode(entry.key), entry.timestamp)
        for entry in read_keyed_content(operator, loaded.reader.open)
        if isinstance(entry, TimerEntry)
    )


def expected_timers(expected, *domains):
    (operator,) = expected["operators"]
    return Counter(
        ("user-timers", domain, key_of(timer["key"]), timer["timestamp"])
        for domain in domains
        for timer in operator["timers"][f"{domain}_time"]
    )


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
@pytest.mark.parametrize("parallelism", [1, 2, 3])
def test_every_timer_fires_once_in_its_subtask(flink_snapshots, tmp_path, backend, parallelism):
    path, expected = flink_snapshots[FOLDER]
    FIRED.clear()
    environment(tmp_path, backend, parallelism, path, ends=True, turn=0).execute()
    assert by_key(FIRED) == by_key(expected_firings(expected, parallelism))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("hashmap", 1), ("rocksdb", 3)),
        (("rocksdb", 3), ("hashmap", 2)),
        (("rocksdb-heap-timers", 2), ("rocksdb", 1)),
        (("rocksdb", 2), ("rocksdb-heap-timers", 2)),
    ],
)
def test_savepoints_hold_them_from_then_on(flink_snapshots, tmp_path, first, second):
    path, expected = flink_snapshots[FOLDER]
    FIRED.clear()
    savepoint = run_to_a_savepoint(tmp_path, *first, path, turn=0)
    assert stored_timers(savepoint) == expected_timers(expected, "event", "processing")
    again = run_to_a_savepoint(tmp_path, *second, savepoint, turn=1)
    assert stored_timers(again) == expected_timers(expected, "event", "processing")
    assert FIRED == []
    environment(tmp_path, *first, again, ends=True, turn=2).execute()
    assert by_key(FIRED) == by_key(expected_firings(expected, first[1]))


def test_the_check_tells_of_them(flink_snapshots, tmp_path):
    path, _ = flink_snapshots[FOLDER]
    env = environment(tmp_path, "hashmap", 1, path, ends=True, turn=0)
    graph = compile_program(env._take_program("check"))
    loaded = load_checkpoint(path)
    verdicts = check_savepoint(loaded, graph, allow_non_restored_state=True)
    assert {each.state: each.verdict for each in verdicts if each.operator == UID} == dict.fromkeys(
        ("event timers", "processing timers", "last", "tags"), Verdict.RESTORED
    )
