"""Clock and count windows, triggers and evictors against a model, through restores and rescales."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.functions import WindowFunction
from millpond.datastream.window import (
    ContinuousEventTimeTrigger,
    ContinuousProcessingTimeTrigger,
    CountEvictor,
    CountSlidingWindowAssigner,
    CountTrigger,
    CountTumblingWindowAssigner,
    DeltaEvictor,
    GlobalWindows,
    NeverTrigger,
    ProcessingTimeSessionWindows,
    PurgingTrigger,
    SlidingProcessingTimeWindows,
    TimeEvictor,
    Trigger,
    TriggerResult,
    TumblingEventTimeWindows,
    TumblingProcessingTimeWindows,
)
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK

_SPEC = importlib.util.spec_from_file_location(
    "window_models", Path(__file__).with_name("test_windows.py")
)
_WINDOWS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_WINDOWS)

INTERVAL = 6
STORES = [
    pytest.param(["heap"], 8, id="heap"),
    pytest.param(list(_WINDOWS.STORES), 2, id="every store"),
    pytest.param(["heap"], 300, id="heap, long", marks=pytest.mark.nightly),
    pytest.param(list(_WINDOWS.STORES), 40, id="every store, long", marks=pytest.mark.nightly),
]


class Elements(WindowFunction):
    def apply(self, key, window, inputs):
        return [(key, window.max_timestamp(), list(inputs))]


class Custom(Trigger):
    """Fires at even numbers and purges at 7."""

    def on_element(self, element, timestamp, window, ctx):
        if element == 7:
            return TriggerResult.PURGE
        return TriggerResult.CONTINUE if element % 2 else TriggerResult.FIRE

    def on_event_time(self, time, window, ctx):
        return TriggerResult.CONTINUE

    def on_processing_time(self, time, window, ctx):
        return TriggerResult.CONTINUE

    def on_merge(self, window, ctx):
        raise AssertionError

    def clear(self, window, ctx):
        pass


class Operator(_WINDOWS.Recovering):
    """With a clock; time stands still for what a snapshot loses.

    Attributes:
        caught_up: what a restored operator emits when it is told the watermark of before again:
            the continuous triggers' timers that were set in the past.
    """

    now = 0

    def _start(self, store, parallelism, handles):
        watermark, self.watermark_ms = self.watermark_ms, MIN_WATERMARK
        super()._start(store, parallelism, handles)
        for subtask in self.subtasks:
            subtask.clock.set(self.now)
        self.caught_up = [] if watermark == MIN_WATERMARK else self.watermark(watermark)

    def advance(self, now):
        self.now = now
        return [row for subtask in self.subtasks for row in subtask.advance(now)]


class Model:
    """Panes as lists of (value, timestamp); what fires is told by one function a trigger."""

    def __init__(self, windows, trigger, evict):
        self.windows, self.trigger, self.evict = windows, trigger, evict
        self.panes = defaultdict(list)
        self.memory = defaultdict(dict)
        self.counts = defaultdict(int)
        self.watermark, self.now = MIN_WATERMARK, 0
        self.emitted = []

    def add(self, key, value, timestamp):
        for window in self.windows(self, key, timestamp):
            pane = key, window
            self.panes[pane].append((value, timestamp))
            self._act(pane, self.trigger(self, pane, value, timestamp))

    def _act(self, pane, result):
        fires, purges = result
        if fires and self.panes[pane]:
            elements, kept = self.evict(self.panes[pane], pane[1])
            self.emitted.append((pane[0], pane[1], [value for value, _ in elements]))
            self.panes[pane] = kept
        if purges:
            self.panes.pop(pane, None)

    def due(self, until, of_event_time):
        """Fire the timers of all panes up to a time; then drop windows that are over."""
        for pane in list(self.memory):
            timers = self.memory[pane]
            while timers.get("at") is not None and timers["at"] <= until:
                at, end = timers["at"], pane[1]
                timers["at"] = min(at + INTERVAL, end) if at < end else None
                if pane in self.panes:
                    self._act(pane, (True, timers.get("purges", False)))
        for pane in [p for p in self.panes if p[1] <= until] if of_event_time else ():
            del self.panes[pane]
            self.memory.pop(pane, None)


FOREVER = (1 << 63) - 1


def in_global(model, key, timestamp):
    return [FOREVER]


def in_event_time(model, key, timestamp):
    end = timestamp - timestamp % 20 + 19
    return [end] if end > model.watermark else []


def by_count(limit, *, purges=False):
    def trigger(model, pane, value, timestamp):
        memory = model.memory[pane]
        memory["count"] = memory.get("count", 0) + 1
        if memory["count"] < limit:
            return False, False
        memory["count"] = 0
        return True, purges

    return trigger


def never(model, pane, value, timestamp):
    return False, False


def custom(model, pane, value, timestamp):
    return value % 2 == 0, value == 7


def continuous(*, purges):
    def trigger(model, pane, value, timestamp):
        memory = model.memory[pane]
        if memory.get("at") is None:
            memory["at"] = min(timestamp - timestamp % INTERVAL + INTERVAL, pane[1])
        memory["purges"] = purges
        return False, False

    return trigger


def everything(elements, window):
    return elements, elements


def last_two(elements, window):
    return elements[-2:], elements[-2:]


def last_two_after(elements, window):
    return elements, elements[-2:]


def recent(elements, window):
    newest = max(timestamp for _, timestamp in elements)
    kept = [(value, timestamp) for value, timestamp in elements if timestamp > newest - 8]
    return kept, kept


def recent_after(elements, window):
    return elements, recent(elements, window)[1]


def near(elements, window):
    last = elements[-1][0]
    kept = [(value, timestamp) for value, timestamp in elements if abs(value - last) < 3]
    return kept, kept


EIGHT = Time.milliseconds(8)
TRIGGERS = {
    "count": (CountTrigger.of(3), by_count(3), in_global),
    "purging count": (PurgingTrigger.of(CountTrigger.of(3)), by_count(3, purges=True), in_global),
    "never": (NeverTrigger(), never, in_global),
    "custom": (Custom(), custom, in_global),
    "count in event time": (CountTrigger.of(2), by_count(2), in_event_time),
    "continuous": (
        ContinuousEventTimeTrigger.of(Time.milliseconds(INTERVAL)),
        continuous(purges=False),
        in_event_time,
    ),
    "purging continuous": (
        PurgingTrigger.of(ContinuousEventTimeTrigger.of(Time.milliseconds(INTERVAL))),
        continuous(purges=True),
        in_event_time,
    ),
}
EVICTORS = {
    "none": (None, everything),
    "count": (CountEvictor.of(2), last_two),
    "count, after": (CountEvictor.of(2, True), last_two_after),
    "time": (TimeEvictor.of(EIGHT), recent),
    "time, after": (TimeEvictor.of(EIGHT, True), recent_after),
    "delta": (DeltaEvictor.of(3, lambda old, new: abs(new - old)), near),
}
records = st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.integers(0, 90))
batches = st.lists(records, min_size=1, max_size=6)


def steps(stores):
    restores = st.tuples(st.sampled_from(stores), st.integers(1, 3))
    return st.lists(st.one_of(batches, st.integers(0, 120), restores), min_size=4, max_size=12)


@pytest.mark.parametrize(("stores", "examples"), STORES)
@pytest.mark.parametrize("kind", TRIGGERS)
def test_triggers_and_evictors(tmp_path, kind, stores, examples):
    trigger, model_trigger, windows = TRIGGERS[kind]
    is_global = windows is in_global

    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(evictor=st.sampled_from(sorted(EVICTORS)), script=steps(stores))
    def run(evictor, script):
        evicts, model_evictor = EVICTORS[evictor]
        model = Model(windows, model_trigger, model_evictor)
        operator = Operator(
            tmp_path,
            stores[-1],
            assigner=GlobalWindows.create() if is_global else TumblingEventTimeWindows(20, 0),
            trigger=trigger,
            evictor=evicts,
            window_function=Elements(),
            element_type=Types.LONG(),
        )
        try:
            for step in [*script, MAX_WATERMARK - 1]:
                if isinstance(step, tuple):
                    operator.restore(*step)
                    emitted = operator.caught_up
                    model.due(model.watermark, of_event_time=not is_global)
                elif isinstance(step, int):
                    model.watermark = max(step, operator.watermark_ms)
                    emitted = operator.watermark(model.watermark)
                    model.due(model.watermark, of_event_time=not is_global)
                else:
                    operator.send(step)
                    emitted = operator.take()
                    for record in step:
                        model.add(*record)
                assert sorted(emitted) == sorted(model.emitted), step
                model.emitted = []
            if not is_global:
                operator.check_nothing_is_left()
        finally:
            operator.backends.close()

    run()


@pytest.mark.parametrize(("stores", "examples"), STORES)
@pytest.mark.parametrize("kind", ["tumbling", "sliding", "session", "continuous"])
def test_windows_by_the_clock(tmp_path, kind, stores, examples):
    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(script=steps(stores))
    def run(script):
        sessions = kind == "session"
        assigner = {
            "tumbling": TumblingProcessingTimeWindows(20, 3),
            "sliding": SlidingProcessingTimeWindows(20, 7, 0),
            "session": ProcessingTimeSessionWindows(20),
            "continuous": TumblingProcessingTimeWindows(20, 0),
        }[kind]
        trigger = None
        if kind == "continuous":
            trigger = ContinuousProcessingTimeTrigger.of(Time.milliseconds(INTERVAL))
        operator = Operator(
            tmp_path,
            stores[-1],
            assigner=assigner,
            trigger=trigger,
            window_function=Elements(),
            element_type=Types.LONG(),
        )
        panes, fires = {}, {}
        offset, slide = {"tumbling": (3, 20), "sliding": (0, 7)}.get(kind, (0, 20))
        now = 0
        try:
            for step in [*script, 200]:
                expected = []
                if isinstance(step, tuple):
                    operator.restore(*step)
                    continue
                if isinstance(step, list):
                    operator.send(step)
                    assert operator.take() == []
                    for key, value, _ in step:
                        if sessions:
                            last = max((e for k, e in panes if k == key), default=None)
                            elements = panes.pop((key, last), [])
                            panes[key, now + 19] = [*elements, value]
                            continue
                        starts = range(now - 19, now + 1)
                        for start in (s for s in starts if (s - offset) % slide == 0):
                            panes.setdefault((key, start + 19), []).append(value)
                            if fires.get((key, start + 19)) is None:
                                due = min(now - now % INTERVAL + INTERVAL, start + 19)
                                fires[key, start + 19] = due
                    continue
                now = max(now, step)
                for (key, end), elements in sorted(panes.items(), key=lambda pane: pane[0][1]):
                    while kind == "continuous" and fires[key, end] <= min(now, end - 1):
                        expected.append((key, end, elements))
                        fires[key, end] = min(fires[key, end] + INTERVAL, end)
                    if end <= now:
                        expected.append((key, end, elements))
                panes = {pane: elements for pane, elements in panes.items() if pane[1] > now}
                fires = {pane: at for pane, at in fires.items() if pane in panes}
                assert sorted(operator.advance(now)) == sorted(expected)
            operator.check_nothing_is_left()
        finally:
            operator.backends.close()

    run()


@pytest.mark.parametrize(("stores", "examples"), STORES)
@pytest.mark.parametrize(("size", "slide"), [(3, 3), (4, 2), (3, 2), (2, 5)])
def test_count_windows(tmp_path, size, slide, stores, examples):
    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(script=steps(stores))
    def run(script):
        assigner = CountSlidingWindowAssigner.of(size, slide)
        if size == slide:
            assigner = CountTumblingWindowAssigner.of(size)
        operator = Operator(
            tmp_path,
            stores[-1],
            assigner=assigner,
            window_function=Elements(),
            element_type=Types.LONG(),
        )
        seen = defaultdict(list)
        try:
            for step in script:
                if isinstance(step, tuple):
                    operator.restore(*step)
                elif isinstance(step, int):
                    assert operator.watermark(max(step, operator.watermark_ms)) == []
                else:
                    operator.send(step)
                    expected = []
                    for key, value, _ in step:
                        seen[key].append(value)
                        start = len(seen[key]) - size
                        if start >= 0 and start % slide == 0:
                            expected.append((key, seen[key][start:]))
                    emitted = [(key, elements) for key, _, elements in operator.take()]
                    assert sorted(emitted) == sorted(expected)
        finally:
            operator.backends.close()

    run()
