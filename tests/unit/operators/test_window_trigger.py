"""Count and global windows, and the ready-made triggers, run by the operator."""

from __future__ import annotations

import pytest

from millpond.common.time import Time
from millpond.datastream.functions import ProcessWindowFunction
from millpond.datastream.window import (
    ContinuousEventTimeTrigger,
    ContinuousProcessingTimeTrigger,
    CountSlidingWindowAssigner,
    CountTrigger,
    CountTumblingWindowAssigner,
    EventTimeTrigger,
    GlobalWindow,
    GlobalWindows,
    PurgingTrigger,
    TumblingEventTimeWindows,
    TumblingProcessingTimeWindows,
)
from millpond.operators.batch import MAX_WATERMARK


class Rows(ProcessWindowFunction):
    def process(self, key, context, elements):
        return [(key, list(elements))]


def numbers(count, key="k"):
    return [(key, number, 0) for number in range(count)]


def test_count_windows_fire_when_full_and_leave_only_the_count(windows):
    harness = windows(assigner=CountTumblingWindowAssigner.of(3), window_function=Rows())
    harness.send(*numbers(7))
    assert harness.output.timestamps == [MAX_WATERMARK] * 2
    assert harness.output.take() == [("k", [0, 1, 2]), ("k", [3, 4, 5])]
    assert harness.rows() == {"window-contents": 1, "tumble-count-assigner": 1, "count": 1}
    # What is not full at the end does not fire.
    assert harness.watermark(MAX_WATERMARK) == []


@pytest.mark.parametrize(
    ("size", "slide", "expected"),
    [
        (4, 2, [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]),
        (3, 2, [[0, 1, 2], [2, 3, 4], [4, 5, 6]]),
        (2, 3, [[0, 1], [3, 4], [6, 7]]),
        (3, 1, [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 6], [5, 6, 7]]),
    ],
)
def test_sliding_count_windows(windows, size, slide, expected):
    harness = windows(assigner=CountSlidingWindowAssigner.of(size, slide), window_function=Rows())
    harness.send(*numbers(8))
    assert harness.output.take() == [("k", elements) for elements in expected]


def test_counts_are_per_key(windows):
    harness = windows(assigner=CountTumblingWindowAssigner.of(2), reduce=lambda a, b: a + b)
    harness.send(("a", 1, 0), ("b", 10, 0), ("b", 20, 0), ("a", 2, 0))
    assert harness.output.take() == [30, 3]


def test_global_window_never_fires_by_itself(windows):
    harness = windows(assigner=GlobalWindows.create(), window_function=Rows())
    harness.send(*numbers(3))
    assert harness.watermark(MAX_WATERMARK) == []
    assert harness.rows() == {"window-contents": 1}


def test_global_window_with_count_trigger_keeps_or_purges(windows):
    harness = windows(
        assigner=GlobalWindows.create(), trigger=CountTrigger.of(2), window_function=Rows()
    )
    harness.send(*numbers(5))
    assert harness.output.take() == [("k", [0, 1]), ("k", [0, 1, 2, 3])]
    harness = windows(
        assigner=GlobalWindows.create(),
        trigger=PurgingTrigger.of(CountTrigger.of(2)),
        window_function=Rows(),
    )
    harness.send(*numbers(5))
    assert harness.output.take() == [("k", [0, 1]), ("k", [2, 3])]
    assert harness.rows() == {"window-contents": 1, "count": 1}


def test_the_global_window_is_what_functions_see(windows):
    class Window(ProcessWindowFunction):
        def process(self, key, context, elements):
            yield context.window() is GlobalWindow.get()

    harness = windows(
        assigner=GlobalWindows.create(), trigger=CountTrigger.of(1), window_function=Window()
    )
    harness.send(*numbers(1))
    assert harness.output.take() == [True]


def test_continuous_event_time_trigger(windows):
    harness = windows(
        assigner=TumblingEventTimeWindows.of(Time.milliseconds(100)),
        trigger=ContinuousEventTimeTrigger.of(Time.milliseconds(30)),
        reduce=lambda a, b: a + b,
    )
    harness.send(("k", 1, 5))
    assert harness.watermark(29) == []
    assert harness.watermark(30) == [1]
    harness.send(("k", 2, 40))
    assert harness.watermark(89) == [3]
    assert harness.watermark(99) == [3, 3]
    assert harness.rows() == {}


def test_continuous_event_time_trigger_fires_for_late_records(windows):
    harness = windows(
        assigner=TumblingEventTimeWindows.of(Time.milliseconds(100)),
        trigger=ContinuousEventTimeTrigger.of(Time.milliseconds(30)),
        reduce=lambda a, b: a + b,
        allowed_lateness_ms=50,
    )
    harness.send(("k", 1, 95))
    assert harness.watermark(120) == [1]
    harness.send(("k", 2, 95))
    assert harness.output.take() == [3]
    assert harness.watermark(149) == []
    assert harness.rows() == {}


def test_continuous_processing_time_trigger(windows):
    harness = windows(
        assigner=TumblingProcessingTimeWindows.of(Time.milliseconds(100)),
        trigger=ContinuousProcessingTimeTrigger.of(Time.milliseconds(30)),
        reduce=lambda a, b: a + b,
    )
    harness.clock.set(1005)
    harness.send_values([1], ["k"])
    assert harness.operator.next_processing_time() == 1020
    assert harness.advance(1020) == [1]
    harness.send_values([2], ["k"])
    assert harness.advance(1098) == [3, 3]
    assert harness.advance(1099) == [3]
    assert harness.rows() == {}


def test_purging_event_time_trigger_with_lateness_gives_only_what_is_new(windows):
    harness = windows(
        assigner=TumblingEventTimeWindows.of(Time.milliseconds(100)),
        trigger=PurgingTrigger.of(EventTimeTrigger.create()),
        window_function=Rows(),
        allowed_lateness_ms=50,
    )
    harness.send(("k", 1, 5))
    assert harness.watermark(99) == [("k", [1])]
    harness.send(("k", 2, 6))
    assert harness.output.take() == [("k", [2])]
    assert harness.watermark(149) == []
    assert harness.rows() == {}
