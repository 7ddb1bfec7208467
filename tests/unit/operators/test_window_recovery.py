"""A recovered window operator goes on as the calm one did, in either store and across them."""

from __future__ import annotations

import pytest

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.functions import AggregateFunction, WindowFunction
from millpond.datastream.window import (
    ContinuousEventTimeTrigger,
    CountEvictor,
    CountSlidingWindowAssigner,
    CountTrigger,
    CountTumblingWindowAssigner,
    EventTimeSessionWindows,
    GlobalWindows,
    ProcessingTimeSessionWindows,
    PurgingTrigger,
    SlidingEventTimeWindows,
    TumblingEventTimeWindows,
)
from millpond.operators.batch import MAX_WATERMARK
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness

CANONICAL = SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.CANONICAL)


def add(a, b):
    return a + b


class Rows(WindowFunction):
    def apply(self, key, window, inputs):
        return [(key, window, sorted(inputs))]


class Mean(AggregateFunction):
    def create_accumulator(self):
        return (0, 0)

    def add(self, value, accumulator):
        return accumulator[0] + value, accumulator[1] + 1

    def get_result(self, accumulator):
        return accumulator[0] / accumulator[1]

    def merge(self, acc_a, acc_b):
        return acc_a[0] + acc_b[0], acc_a[1] + acc_b[1]


PROGRAMS = {
    "tumbling reduce": {"assigner": TumblingEventTimeWindows(50, 7), "reduce": add},
    "sliding aggregate": {
        "assigner": SlidingEventTimeWindows(30, 20, 0),
        "aggregate": Mean(),
        "accumulator_type": Types.TUPLE([Types.LONG(), Types.LONG()]),
        "window_function": Rows(),
        "allowed_lateness_ms": 40,
    },
    "sessions": {"assigner": EventTimeSessionWindows(12), "window_function": Rows()},
    "late sessions": {
        "assigner": EventTimeSessionWindows(12),
        "reduce": add,
        "allowed_lateness_ms": 30,
    },
    "continuous": {
        "assigner": EventTimeSessionWindows(20),
        "trigger": ContinuousEventTimeTrigger.of(Time.milliseconds(15)),
        "window_function": Rows(),
    },
    "count": {"assigner": CountTumblingWindowAssigner.of(3), "window_function": Rows()},
    "sliding count": {"assigner": CountSlidingWindowAssigner.of(3, 2), "reduce": add},
    "global": {
        "assigner": GlobalWindows.create(),
        "trigger": PurgingTrigger.of(CountTrigger.of(2)),
        "evictor": CountEvictor.of(1),
        "window_function": Rows(),
    },
}

RECORDS = [
    ("a", 1, 0), ("b", 2, 3), ("a", 3, 14), ("a", 4, 8), ("b", 5, 40),
    ("c", 6, 41), ("a", 7, 45), ("a", 8, 30), ("c", 9, 70), ("b", 10, 52),
    ("a", 11, 95), ("b", 12, 99), ("a", 13, 90), ("c", 14, 60), ("a", 15, 120),
]  # fmt: skip


def run(harness, start, end):
    """Process some of the records, a watermark behind each; return what was emitted."""
    emitted = []
    # A restored watermark starts anew; sources say again how far they were.
    watermark = max((timestamp for _, _, timestamp in RECORDS[:start]), default=0) - 25
    assert harness.watermark(watermark) == []
    for key, value, timestamp in RECORDS[start:end]:
        harness.send((key, value, timestamp))
        watermark = max(watermark, timestamp - 25)
        emitted += sorted(map(repr, harness.output.take()))
        emitted += sorted(map(repr, harness.watermark(watermark)))
    if end is None:
        emitted += sorted(map(repr, harness.watermark(MAX_WATERMARK)))
    return emitted


STORES = {"heap": HeapStateStore, "rocksdb": RocksDBStateStore}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("before", "after"),
    [("heap", "heap"), ("rocksdb", "rocksdb"), ("heap", "rocksdb"), ("rocksdb", "heap")],
)
def test_recovery(windows, tmp_path, program, before, after):
    spec = {"element_type": Types.LONG(), **PROGRAMS[program]}
    calm = run(windows(**spec), 0, None)
    key_type = Types.STRING()
    for cut in (4, 9, 12):
        first = BackendHarness(STORES[before](), tmp_path, key_type=key_type, options=CANONICAL)
        harness = windows(backends=first, **spec)
        emitted = run(harness, 0, cut)
        harness.operator.snapshot_state(1, 0)
        handle = first.snapshot(harness.backend)
        # What happens after the snapshot must not be in it.
        run(harness, cut, None)

        second = BackendHarness(STORES[after](), tmp_path, key_type=key_type, options=CANONICAL)
        second.snapshots = first.snapshots
        harness = windows(backends=second, restored=[handle], **spec)
        emitted += run(harness, cut, None)
        assert emitted == calm
        first.close()
        second.close()


@pytest.mark.parametrize("store", STORES)
def test_nothing_is_left_in_either_store(windows, tmp_path, store):
    backends = BackendHarness(STORES[store](), tmp_path, key_type=Types.STRING())
    for name in ("tumbling reduce", "sliding aggregate", "sessions", "late sessions"):
        harness = windows(backends=backends, **{"element_type": Types.LONG(), **PROGRAMS[name]})
        run(harness, 0, None)
        assert harness.backend.entry_count("window-contents") == 0
        assert list(harness.operator.timers._event) == []
        if "sessions" in name:
            assert harness.backend.entry_count("merging-window-set") == 0
    backends.close()


@pytest.mark.parametrize("store", STORES)
def test_processing_time_sessions_recover(windows, tmp_path, store):
    spec = {"assigner": ProcessingTimeSessionWindows(10), "reduce": add}
    first = BackendHarness(STORES[store](), tmp_path, key_type=Types.STRING())
    harness = windows(backends=first, **spec)
    harness.clock.set(100)
    harness.send_values([1], ["a"])
    harness.operator.snapshot_state(1, 0)
    handle = first.snapshot(harness.backend)
    harness = windows(backends=first, restored=[handle], **spec)
    harness.clock.set(105)
    harness.send_values([2], ["a"])
    assert harness.operator.next_processing_time() == 114
    assert harness.advance(114) == [3]
    first.close()


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("assigner", [TumblingEventTimeWindows(10, 0), EventTimeSessionWindows(10)])
def test_a_window_that_had_fired_fires_again_for_what_comes_before_the_watermark_is_back(
    windows, tmp_path, store, assigner
):
    spec = {"assigner": assigner, "reduce": add, "allowed_lateness_ms": 100}
    backends = BackendHarness(STORES[store](), tmp_path, key_type=Types.STRING())
    harness = windows(backends=backends, **spec)
    harness.send(("a", 1, 0))
    assert harness.watermark(50) == [1]
    harness.operator.snapshot_state(1, 0)
    handle = backends.snapshot(harness.backend)
    harness = windows(backends=backends, restored=[handle], **spec)
    harness.send(("a", 2, 0))
    assert harness.watermark(50) == [3]
    assert harness.watermark(200) == []
    backends.close()
