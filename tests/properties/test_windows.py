"""Windows against a model that keeps everything in lists, over arbitrary streams."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.common.typeinfo import Types
from millpond.configuration.options.rocksdb import TimerStore
from millpond.datastream.aggregations import Aggregations, count, sum_of
from millpond.datastream.functions import AggregateFunction, WindowFunction
from millpond.datastream.window import (
    EventTimeSessionWindows,
    EventTimeTrigger,
    PurgingTrigger,
    SlidingEventTimeWindows,
    TumblingEventTimeWindows,
)
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK
from millpond.operators.window_event_time import EventTimeWindowOperator
from millpond.state.contract.key_group import key_group_range
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness

_SPEC = importlib.util.spec_from_file_location(
    "window_harness", Path(__file__).parents[1] / "unit" / "operators" / "conftest.py"
)
_HARNESS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_HARNESS)
WindowHarness = _HARNESS.WindowHarness

records = st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.integers(-40, 120))
steps = st.lists(
    st.one_of(st.lists(records, min_size=1, max_size=8), st.integers(-50, 150)), max_size=12
)


class Rows(WindowFunction):
    def apply(self, key, window, inputs):
        return [(window.end, window.start, key, sum(inputs))]


class Forwarding(PurgingTrigger.__mro__[1]):
    """Not an EventTimeTrigger for the operator, but does what that does."""

    def __init__(self):
        trigger = EventTimeTrigger()
        self.on_element, self.on_event_time = trigger.on_element, trigger.on_event_time
        self.clear = trigger.clear

    def on_element(self, element, timestamp, window, ctx):
        raise AssertionError

    def on_event_time(self, time, window, ctx):
        raise AssertionError

    def on_processing_time(self, time, window, ctx):
        raise AssertionError

    def on_merge(self, window, ctx):
        raise AssertionError

    def clear(self, window, ctx):
        raise AssertionError


class TimeModel:
    """Tumbling and sliding windows."""

    def __init__(self, size, slide, offset, lateness):
        self.size, self.slide, self.offset, self.lateness = size, slide, offset, lateness
        self.panes = {}
        self.watermark = MIN_WATERMARK
        self.dropped = 0
        self.emitted = []

    def _emit(self, pane):
        (start, end, key) = pane
        self.emitted.append((end, start, key, self.panes[pane]))

    def add(self, key, value, timestamp):
        starts = [
            start
            for start in range(timestamp - self.size + 1, timestamp + 1)
            if (start - self.offset) % self.slide == 0
        ]
        alive = [s for s in starts if s + self.size - 1 + self.lateness > self.watermark]
        for start in reversed(alive):  # the latest window comes first
            pane = (start, start + self.size, key)
            self.panes[pane] = self.panes.get(pane, 0) + value
            if start + self.size - 1 <= self.watermark:
                self._emit(pane)
        if not alive and timestamp + self.lateness <= self.watermark:
            self.dropped += 1

    def advance(self, watermark):
        for pane in sorted(self.panes):
            if self.watermark < pane[1] - 1 <= watermark:
                self._emit(pane)
        self.watermark = watermark
        for pane in list(self.panes):
            if pane[1] - 1 + self.lateness <= watermark:
                del self.panes[pane]

    def take(self):
        emitted, self.emitted = self.emitted, []
        return emitted


class SessionModel:
    """Sessions by key as [start, end, sum]."""

    def __init__(self, gap, lateness):
        self.gap, self.lateness = gap, lateness
        self.sessions = {}
        self.watermark = MIN_WATERMARK
        self.dropped = 0
        self.emitted = []

    def _emit(self, key, session):
        self.emitted.append((session[1], session[0], key, session[2]))

    def add(self, key, value, timestamp):
        sessions = self.sessions.setdefault(key, [])
        new = [timestamp, timestamp + self.gap, value]
        joined = [s for s in sessions if s[0] <= new[1] and s[1] >= new[0]]
        start, end = min([new, *joined])[0], max(s[1] for s in [new, *joined])
        if end - 1 + self.lateness <= self.watermark:
            self.dropped += 1
            return
        for session in joined:
            sessions.remove(session)
        sessions.append([start, end, value + sum(s[2] for s in joined)])
        if end - 1 <= self.watermark:
            self._emit(key, sessions[-1])

    def advance(self, watermark):
        for key, sessions in self.sessions.items():
            for session in sessions:
                if self.watermark < session[1] - 1 <= watermark:
                    self._emit(key, session)
        self.watermark = watermark
        for sessions in self.sessions.values():
            sessions[:] = [s for s in sessions if s[1] - 1 + self.lateness > watermark]

    def take(self):
        emitted, self.emitted = self.emitted, []
        return emitted


def check(harness, model, script):
    """Run both and compare what they emit at every step, and that nothing is left at the end."""
    for step in [*script, MAX_WATERMARK]:
        if isinstance(step, int):
            watermark = max(step, harness.operator.timers.current_watermark)
            emitted = harness.watermark(watermark)
            model.advance(watermark)
            assert [row[0] for row in emitted] == sorted(row[0] for row in emitted)
        else:
            harness.send(*step)
            emitted = harness.output.take()
            for record in step:
                model.add(*record)
            assert emitted == model.emitted
        assert sorted(emitted) == sorted(model.take())
    assert harness.late_records_dropped == model.dropped
    assert harness.rows() == {}


@pytest.mark.parametrize("trigger", [None, Forwarding()], ids=["event time", "general"])
@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 30),
    slide=st.integers(1, 30),
    offset=st.integers(-5, 5),
    lateness=st.sampled_from([0, 0, 7, 60]),
    script=steps,
)
def test_time_windows(trigger, size, slide, offset, lateness, script):
    offset = max(min(offset, slide - 1), 1 - slide)
    harness = WindowHarness(
        assigner=SlidingEventTimeWindows(size, slide, offset),
        trigger=trigger,
        reduce=lambda a, b: a + b,
        window_function=Rows(),
        allowed_lateness_ms=lateness,
    )
    check(harness, TimeModel(size, slide, offset, lateness), script)


@pytest.mark.parametrize("trigger", [None, PurgingTrigger.of(EventTimeTrigger())])
@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 30), script=steps)
def test_plain_results_of_the_event_time_operator(trigger, size, script):
    """Without a window function windows are fired in a loop of their own."""
    harness = WindowHarness(
        assigner=TumblingEventTimeWindows(size, 0), trigger=trigger, reduce=lambda a, b: a + b
    )
    assert isinstance(harness.operator, EventTimeWindowOperator)
    model = TimeModel(size, size, 0, 0)
    for step in [*script, MAX_WATERMARK]:
        if isinstance(step, int):
            watermark = max(step, harness.operator.timers.current_watermark)
            harness.operator.process_watermark(watermark)
            model.advance(watermark)
            rows = zip(harness.output.timestamps, harness.output.results, strict=True)
            assert sorted(rows) == sorted((row[0] - 1, row[3]) for row in model.take())
            harness.output.take()
        else:
            harness.send(*step)
            for record in step:
                model.add(*record)
    assert harness.rows() == {}


@pytest.mark.parametrize("combined", [True, False])
@settings(max_examples=60, deadline=None)
@given(
    gap=st.integers(1, 30),
    lateness=st.sampled_from([0, 0, 7, 60]),
    script=steps,
)
def test_sessions(combined, gap, lateness, script):
    harness = WindowHarness(
        assigner=EventTimeSessionWindows(gap),
        reduce=(lambda a, b: a + b) if combined else None,
        window_function=Rows(),
        allowed_lateness_ms=lateness,
    )
    check(harness, SessionModel(gap, lateness), script)


# -- the same through snapshots, restores and changes of parallelism, on every store


STORES = {
    "heap": HeapStateStore,
    "rocksdb": lambda: RocksDBStateStore(timer_store=TimerStore.ROCKSDB),
    "rocksdb, timers on the heap": lambda: RocksDBStateStore(timer_store=TimerStore.HEAP),
}
CANONICAL = SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.CANONICAL)


class Recovering:
    """A window operator with several subtasks that can be replaced by restored ones."""

    def __init__(self, directory, store, held_entries=1 << 15, **spec):
        self.directory = directory
        self.held_entries = held_entries
        self.spec = spec
        self.dropped = 0
        self.watermark_ms = MIN_WATERMARK
        self.snapshots = None
        self.subtasks = []
        self._start(store, 1, [])

    def _start(self, store, parallelism, handles):
        self.backends = BackendHarness(
            STORES[store](), self.directory, key_type=Types.STRING(), options=CANONICAL
        )
        self.snapshots = self.snapshots or self.backends.snapshots
        self.backends.snapshots = self.snapshots
        self.subtasks = [
            WindowHarness(
                backends=self.backends,
                restored=handles,
                key_groups=key_group_range(128, parallelism, index),
                **self.spec,
            )
            for index in range(parallelism)
        ]
        for subtask in self.subtasks:
            subtask.backend.held_entries = self.held_entries
        if self.watermark_ms != MIN_WATERMARK:
            # Sources say again how far they were before the first record.
            assert self.watermark(self.watermark_ms) == []

    def send(self, records):
        parallelism = len(self.subtasks)
        for number, subtask in enumerate(self.subtasks):
            own = [r for r in records if self.backends.owner(r[0], parallelism) == number]
            if own:
                subtask.send(*own)

    def watermark(self, timestamp):
        self.watermark_ms = timestamp
        return [row for subtask in self.subtasks for row in subtask.watermark(timestamp)]

    def take(self):
        return [row for subtask in self.subtasks for row in subtask.output.take()]

    def restore(self, store, parallelism):
        """Capture, go on with what is lost then, write, and start anew from the snapshot."""
        self.dropped += sum(subtask.late_records_dropped for subtask in self.subtasks)
        watermark = self.watermark_ms
        for each in self.subtasks:
            each.operator.snapshot_state(1, 0)
        captured = [self.backends.start_snapshot(each.backend) for each in self.subtasks]
        self.send([("a", 9, 20), ("b", 9, 70), ("c", 9, 110)])
        self.watermark(max(watermark, 60))
        handles = [snapshot.write() for snapshot in captured]
        for snapshot in captured:
            snapshot.release()
        self.backends.close()
        self.watermark_ms = watermark
        self._start(store, parallelism, handles)

    def check_nothing_is_left(self):
        assert [subtask.rows() for subtask in self.subtasks] == [{}] * len(self.subtasks)


def check_recovering(operator, model, script):
    """As `check`; a step may also be a restore, (store, parallelism)."""
    for step in [*script, MAX_WATERMARK]:
        if isinstance(step, tuple):
            operator.restore(*step)
            continue
        if isinstance(step, int):
            watermark = max(step, operator.watermark_ms)
            emitted = operator.watermark(watermark)
            model.advance(watermark)
        else:
            operator.send(step)
            emitted = operator.take()
            for record in step:
                model.add(*record)
        assert sorted(emitted) == sorted(model.take())
    dropped = sum(subtask.late_records_dropped for subtask in operator.subtasks)
    assert operator.dropped + dropped == model.dropped
    operator.check_nothing_is_left()


def recovering_steps(stores):
    restores = st.tuples(st.sampled_from(stores), st.integers(1, 3))
    batches = st.lists(records, min_size=1, max_size=8)
    return st.lists(st.one_of(batches, st.integers(-50, 150), restores), max_size=12)


EVERY_STORE = [
    pytest.param(["heap"], 40, id="heap"),
    pytest.param(list(STORES), 6, id="every store"),
]


@pytest.mark.parametrize(("stores", "examples"), EVERY_STORE)
@pytest.mark.parametrize("combined", [True, False], ids=["reduced", "listed"])
@pytest.mark.parametrize("kind", ["tumbling", "sliding", "session"])
def test_windows_recover(tmp_path, stores, examples, kind, combined):
    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        size=st.integers(1, 30),
        slide=st.integers(1, 30),
        lateness=st.sampled_from([0, 7, 60]),
        held_entries=st.sampled_from([0, 2, 1 << 15]),
        script=recovering_steps(stores),
    )
    def run(size, slide, lateness, held_entries, script):
        slide = size if kind == "tumbling" else slide
        assigner = SlidingEventTimeWindows(size, slide, 0)
        model = TimeModel(size, slide, 0, lateness)
        if kind == "tumbling":
            assigner = TumblingEventTimeWindows(size, 0)
        elif kind == "session":
            assigner, model = EventTimeSessionWindows(size), SessionModel(size, lateness)
        operator = Recovering(
            tmp_path,
            stores[-1],
            held_entries,
            assigner=assigner,
            reduce=(lambda a, b: a + b) if combined else None,
            window_function=Rows(),
            allowed_lateness_ms=lateness,
            element_type=Types.LONG(),
        )
        try:
            check_recovering(operator, model, script)
        finally:
            operator.backends.close()

    run()


# -- accumulators that are held outside the state: aggregate functions without a window function


class CountAndSum(AggregateFunction):
    """What the built-in figures do, by a function that nothing is specialised for."""

    def create_accumulator(self):
        return 0, 0

    def add(self, value, accumulator):
        return accumulator[0] + 1, accumulator[1] + value[1]

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        raise AssertionError


class Aggregating(Recovering):
    """Sends pairs and gives the rows of the model: from a count and a sum the key is found."""

    scale = 10**6

    def send(self, records):
        super().send(
            [
                (key, (0, value + self.scale * ("abc".index(key) + 1)), timestamp)
                for key, value, timestamp in records
            ]
        )

    def watermark(self, timestamp):
        self.watermark_ms = timestamp
        for subtask in self.subtasks:
            subtask.operator.process_watermark(timestamp)
        return self.take()

    def take(self):
        rows = []
        for subtask in self.subtasks:
            output = subtask.output
            for timestamp, (number, total) in zip(output.timestamps, output.results, strict=True):
                keys, own = divmod(total, self.scale)
                end = timestamp + 1
                assert keys % number == 0
                row = (end, end - self.spec["assigner"].size, "abc"[keys // number - 1], own)
                rows.append(row)
            output.take()
        return rows


@pytest.mark.parametrize(("stores", "examples"), EVERY_STORE)
@pytest.mark.parametrize("function", [CountAndSum(), Aggregations(count(), sum_of(1))])
@pytest.mark.parametrize("kind", ["tumbling", "sliding"])
def test_held_windows_recover(tmp_path, stores, examples, function, kind):
    held = []

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        size=st.integers(1, 30),
        slide=st.integers(1, 30),
        lateness=st.sampled_from([0, 0, 7]),
        held_entries=st.sampled_from([0, 2, 1 << 15]),
        script=recovering_steps(stores),
    )
    def run(size, slide, lateness, held_entries, script):
        slide = size if kind == "tumbling" else slide
        assigner = SlidingEventTimeWindows(size, slide, 0)
        if kind == "tumbling":
            assigner = TumblingEventTimeWindows(size, 0)
        pair = Types.TUPLE([Types.LONG(), Types.LONG()])
        operator = Aggregating(
            tmp_path,
            stores[-1],
            held_entries,
            assigner=assigner,
            aggregate=function,
            allowed_lateness_ms=lateness,
            element_type=pair,
            accumulator_type=pair,
        )
        held.extend(each.operator._panes is not None for each in operator.subtasks)
        try:
            check_recovering(operator, TimeModel(size, slide, 0, lateness), script)
        finally:
            operator.backends.close()

    run()
    assert all(held)
