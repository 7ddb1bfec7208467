"""Evictors, with elements, reduce, aggregate and sessions."""

from __future__ import annotations

import pytest

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.functions import AggregateFunction, WindowFunction
from millpond.datastream.window import (
    CountEvictor,
    CountTrigger,
    DeltaEvictor,
    EventTimeSessionWindows,
    Evictor,
    GlobalWindows,
    TimeEvictor,
    TumblingEventTimeWindows,
)
from millpond.errors import InvalidProgramError, UserCodeError
from millpond.operators.batch import MAX_WATERMARK


class Elements(WindowFunction):
    def apply(self, key, window, inputs):
        return [list(inputs)]


class Sum(AggregateFunction):
    def create_accumulator(self):
        return 0

    def add(self, value, accumulator):
        return accumulator + value

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        return acc_a + acc_b


def run(windows, evictor, values, **functions):
    """Fire a global window after every record."""
    harness = windows(
        assigner=GlobalWindows.create(),
        trigger=CountTrigger.of(1),
        evictor=evictor,
        element_type=Types.LONG(),
        **(functions or {"window_function": Elements()}),
    )
    harness.send(*(("k", value, timestamp) for timestamp, value in values))
    return harness


def test_count_evictor_keeps_the_last(windows):
    harness = run(windows, CountEvictor.of(2), [(0, 1), (0, 2), (0, 3), (0, 4)])
    assert harness.output.take() == [[1], [1, 2], [2, 3], [3, 4]]


def test_count_evictor_after_shows_what_it_removes_once(windows):
    harness = run(windows, CountEvictor.of(1, True), [(0, 1), (0, 2), (0, 3)])
    assert harness.output.take() == [[1], [1, 2], [2, 3]]


def test_count_evictor_of_zero_calls_the_function_with_nothing_and_leaves_nothing(windows):
    harness = run(windows, CountEvictor.of(0), [(0, 1)])
    assert harness.output.take() == [[]]
    assert harness.rows() == {}
    assert run(windows, CountEvictor.of(0), [(0, 1)], reduce=max).output.take() == []


def test_time_evictor_keeps_what_is_recent(windows):
    evictor = TimeEvictor.of(Time.milliseconds(10))
    harness = run(windows, evictor, [(0, 1), (5, 2), (10, 3), (3, 4), (15, 5)])
    assert harness.output.take() == [[1], [1, 2], [2, 3], [2, 3, 4], [3, 5]]


def test_time_evictor_keeps_records_without_timestamps(windows):
    harness = windows(
        assigner=GlobalWindows.create(),
        trigger=CountTrigger.of(2),
        evictor=TimeEvictor.of(Time.milliseconds(1)),
        window_function=Elements(),
    )
    harness.send_values([1, 2], ["k", "k"])
    assert harness.output.take() == [[1, 2]]


def test_delta_evictor_keeps_what_is_near_the_last(windows):
    evictor = DeltaEvictor.of(3.0, lambda value, last: abs(value - last))
    harness = run(windows, evictor, [(0, 1), (0, 3), (0, 4), (0, 9)])
    assert harness.output.take() == [[1], [1, 3], [3, 4], [9]]


@pytest.mark.parametrize("functions", [{"reduce": lambda a, b: a + b}, {"aggregate": Sum()}])
def test_combined_values_are_without_what_was_evicted(windows, functions):
    harness = run(windows, CountEvictor.of(2), [(0, 1), (0, 2), (0, 4), (0, 8)], **functions)
    assert harness.output.take() == [1, 3, 6, 12]


def test_evictor_with_sessions(windows):
    harness = windows(
        assigner=EventTimeSessionWindows.with_gap(Time.milliseconds(10)),
        evictor=CountEvictor.of(2),
        window_function=Elements(),
    )
    harness.send(("k", 1, 0), ("k", 2, 15), ("k", 3, 8))
    assert harness.watermark(MAX_WATERMARK) == [[2, 3]]
    assert harness.rows() == {}


def test_an_own_evictor_gets_context_and_window(windows):
    seen = []

    class Even(Evictor):
        def evict_before(self, elements, size, window, ctx):
            seen.append((size, window.start, ctx.get_current_watermark()))
            return [element for element in elements if element.value % 2 == 0]

        def evict_after(self, elements, size, window, ctx):
            return elements

    harness = windows(
        assigner=TumblingEventTimeWindows.of(Time.seconds(1)),
        evictor=Even(),
        window_function=Elements(),
    )
    harness.send(("k", 1, 0), ("k", 2, 1), ("k", 4, 2))
    assert harness.watermark(999) == [[2, 4]]
    assert seen == [(3, 0, 999)]
    assert harness.rows() == {}


@pytest.mark.parametrize("method", ["evict_before", "evict_after"])
def test_an_error_of_the_evictor_is_named(windows, method):
    evictor = CountEvictor.of(1)

    def fail(*_):
        raise OSError("evictor")

    setattr(evictor, method, fail)
    with pytest.raises(UserCodeError, match=rf"CountEvictor\.{method} raised OSError"):
        run(windows, evictor, [(0, 1)])


def test_senseless_evictors_are_refused():
    with pytest.raises(InvalidProgramError, match="-1 elements"):
        CountEvictor.of(-1)
    with pytest.raises(InvalidProgramError, match="-1 ms"):
        TimeEvictor.of(Time.milliseconds(-1))
