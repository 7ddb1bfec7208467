"""Session windows: merging with contents, trigger state and timers; nothing is left behind."""

from __future__ import annotations

import pytest

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.functions import AggregateFunction, ProcessWindowFunction, WindowFunction
from millpond.datastream.output_tag import OutputTag
from millpond.datastream.state import ValueStateDescriptor
from millpond.datastream.window import (
    ContinuousEventTimeTrigger,
    CountTrigger,
    EventTimeSessionWindows,
    EventTimeTrigger,
    MergingWindowAssigner,
    NeverTrigger,
    ProcessingTimeSessionWindows,
    PurgingTrigger,
    SessionWindowTimeGapExtractor,
    TimeWindow,
    TimeWindowSerializer,
    Trigger,
    TriggerResult,
)
from millpond.errors import (
    InvalidProgramError,
    StateTypeError,
    UnsupportedOperationError,
    UserCodeError,
)
from millpond.operators.batch import MAX_WATERMARK

GAP = EventTimeSessionWindows.with_gap(Time.milliseconds(10))


def add(a, b):
    return a + b


class Rows(WindowFunction):
    def apply(self, key, window, inputs):
        return [(key, window.start, window.end, sorted(inputs))]


class Total(AggregateFunction):
    def create_accumulator(self):
        return []

    def add(self, value, accumulator):
        return [*accumulator, value]

    def get_result(self, accumulator):
        return sum(accumulator)

    def merge(self, acc_a, acc_b):
        return acc_a + acc_b


@pytest.mark.parametrize(
    "functions",
    [
        {"window_function": Rows()},
        {"reduce": add, "window_function": Rows()},
        {"aggregate": Total(), "window_function": Rows()},
    ],
)
def test_a_record_between_two_sessions_makes_them_one(windows, functions):
    harness = windows(assigner=GAP, **functions)
    harness.send(("a", 1, 0), ("a", 2, 15), ("b", 4, 7), ("a", 8, 100))
    assert harness.rows() == {"window-contents": 4, "merging-window-set": 3, "event": 4} or (
        harness.rows()["window-contents"] == 4
    )
    harness.send(("a", 16, 8))
    assert harness.rows()["window-contents"] == 3
    assert harness.rows()["event"] == 3
    combined = "window_function" in functions and len(functions) == 2
    rows = sorted(harness.watermark(50))
    assert rows == [("a", 0, 25, [19] if combined else [1, 2, 16]), ("b", 7, 17, [4])]
    assert harness.watermark(109) == [("a", 100, 110, [8])]
    assert harness.rows() == {}


def test_sessions_that_touch_are_one(windows):
    harness = windows(assigner=GAP, window_function=Rows())
    harness.send(("a", 1, 0), ("a", 2, 10), ("a", 3, 21))
    assert harness.watermark(MAX_WATERMARK) == [("a", 0, 20, [1, 2]), ("a", 21, 31, [3])]


def test_repeated_and_contained_records_do_not_merge(windows):
    class Strict(EventTimeTrigger.__mro__[1]):
        """Must never be told of a merge."""

        def __init__(self):
            self._trigger = EventTimeTrigger()

        def on_element(self, element, timestamp, window, ctx):
            return self._trigger.on_element(element, timestamp, window, ctx)

        def on_processing_time(self, time, window, ctx):
            raise AssertionError

        def on_event_time(self, time, window, ctx):
            return self._trigger.on_event_time(time, window, ctx)

        def can_merge(self):
            return True

        def on_merge(self, window, ctx):
            raise AssertionError(window)

        def clear(self, window, ctx):
            self._trigger.clear(window, ctx)

    class Gap(SessionWindowTimeGapExtractor):
        def extract(self, element):
            return element

    harness = windows(
        assigner=EventTimeSessionWindows.with_dynamic_gap(Gap()),
        trigger=Strict(),
        window_function=Rows(),
    )
    harness.send(("a", 10, 0), ("a", 10, 0), ("a", 3, 4))
    assert harness.watermark(9) == [("a", 0, 10, [3, 10, 10])]
    assert harness.rows() == {}


def test_dynamic_gap_must_be_positive(windows):
    class Gap(SessionWindowTimeGapExtractor):
        def extract(self, element):
            return 0

    harness = windows(assigner=EventTimeSessionWindows.with_dynamic_gap(Gap()), reduce=add)
    with pytest.raises(InvalidProgramError, match="gap of a record is 0 ms"):
        harness.send(("a", 1, 0))


def test_late_sessions_are_dropped_and_leave_nothing(windows):
    tag = OutputTag("late")
    harness = windows(assigner=GAP, reduce=add, late_data_tag=tag)
    harness.watermark(50)
    harness.send(("a", 1, 0), ("a", 2, 40), ("a", 4, 42))
    # 0 and 40 would end at 10 and 50; 42 ends at 52 and is in time.
    assert harness.output.side == {"late": [(1, 0), (2, 40)]}
    assert harness.watermark(51) == [4]
    assert harness.rows() == {}


def test_a_late_record_joins_a_session_that_is_not_over(windows):
    harness = windows(assigner=GAP, window_function=Rows())
    harness.send(("a", 1, 45))
    harness.watermark(50)
    harness.send(("a", 2, 38))
    assert harness.late_records_dropped == 0
    assert harness.watermark(MAX_WATERMARK) == [("a", 38, 55, [1, 2])]


def test_lateness_fires_a_merged_session_again(windows):
    harness = windows(assigner=GAP, window_function=Rows(), allowed_lateness_ms=20)
    harness.send(("a", 1, 0))
    assert harness.watermark(9) == [("a", 0, 10, [1])]
    harness.send(("a", 2, 5))
    assert harness.output.take() == []
    assert harness.watermark(14) == [("a", 0, 15, [1, 2])]
    harness.send(("a", 3, 4))
    assert harness.output.take() == [("a", 0, 15, [1, 2, 3])]
    assert harness.watermark(34) == []
    assert harness.rows() == {}


def test_processing_time_sessions(windows):
    harness = windows(
        assigner=ProcessingTimeSessionWindows.with_gap(Time.milliseconds(10)),
        window_function=Rows(),
    )
    harness.clock.set(100)
    harness.send_values([1], ["a"])
    harness.clock.set(105)
    harness.send_values([2, 3], ["a", "b"])
    assert harness.advance(113) == []
    assert sorted(harness.advance(114)) == [("a", 100, 115, [1, 2]), ("b", 105, 115, [3])]
    assert harness.rows() == {}


def test_count_trigger_state_merges(windows):
    harness = windows(
        assigner=GAP, trigger=PurgingTrigger.of(CountTrigger.of(3)), window_function=Rows()
    )
    harness.send(("a", 1, 0), ("a", 2, 15))
    assert harness.output.take() == []
    harness.send(("a", 3, 8))
    assert harness.output.take() == [("a", 0, 25, [1, 2, 3])]
    assert harness.watermark(MAX_WATERMARK) == []
    assert harness.rows() == {}


def test_continuous_trigger_merges_its_next_firing(windows):
    harness = windows(
        assigner=EventTimeSessionWindows.with_gap(Time.milliseconds(100)),
        trigger=ContinuousEventTimeTrigger.of(Time.milliseconds(30)),
        window_function=Rows(),
    )
    harness.send(("a", 1, 10), ("a", 2, 50))
    assert harness.watermark(30) == [("a", 10, 150, [1, 2])]
    assert harness.watermark(149) == [("a", 10, 150, [1, 2])] * 4
    assert harness.rows() == {}


def test_a_trigger_that_cannot_merge_is_refused(windows):
    with pytest.raises(InvalidProgramError, match="NeverTrigger cannot"):
        windows(assigner=GAP, trigger=NeverTrigger(), reduce=add)


def test_state_of_a_session_is_refused_but_global_state_is_there(windows):
    seen = ValueStateDescriptor("seen", Types.LONG())

    class UsesGlobal(ProcessWindowFunction):
        def process(self, key, context, elements):
            state = context.global_state().get_state(seen)
            state.update((state.value() or 0) + 1)
            yield state.value()

    class UsesWindow(ProcessWindowFunction):
        def process(self, key, context, elements):
            yield context.window_state().get_state(seen).value()

    harness = windows(assigner=GAP, window_function=UsesGlobal())
    harness.send(("a", 1, 0), ("a", 1, 50))
    assert harness.watermark(MAX_WATERMARK) == [1, 2]

    harness = windows(assigner=GAP, window_function=UsesWindow())
    harness.send(("a", 1, 0))
    with pytest.raises(UnsupportedOperationError, match="no state of their own"):
        harness.watermark(9)


def test_an_error_in_merge_names_window_and_key(windows):
    class Unmergeable(Total):
        def merge(self, acc_a, acc_b):
            raise NotImplementedError("merge")

    harness = windows(assigner=GAP, aggregate=Unmergeable())
    harness.send(("k", 1, 0), ("k", 1, 15))
    with pytest.raises(UserCodeError, match="Unmergeable raised NotImplementedError") as failure:
        harness.send(("k", 1, 8))
    assert failure.value.context["window"] == "TimeWindow(start=0, end=25)"
    assert failure.value.context["key"] == "'k'"


class Shrinking(MergingWindowAssigner):
    """Merges everything into what `result` says."""

    def __init__(self, result):
        self.result = result

    def assign_windows(self, element, timestamp, context):
        return [TimeWindow(timestamp, timestamp + 10)]

    def merge_windows(self, windows, callback):
        windows = list(windows)
        if len(windows) > 1:
            callback.merge(windows, self.result(windows))

    def get_default_trigger(self, env):
        return EventTimeTrigger()

    def get_window_serializer(self):
        return TimeWindowSerializer()

    def is_event_time(self):
        return True


def test_a_custom_merging_assigner(windows):
    def hull(all_windows):
        return TimeWindow(min(w.start for w in all_windows), max(w.end for w in all_windows))

    harness = windows(assigner=Shrinking(hull), window_function=Rows())
    harness.send(("a", 1, 100), ("a", 2, 0), ("a", 3, 500))
    assert harness.watermark(MAX_WATERMARK) == [("a", 0, 510, [1, 2, 3])]
    assert harness.rows() == {}


def test_merging_into_the_past_is_refused(windows):
    harness = windows(assigner=Shrinking(lambda _: TimeWindow(0, 1)), reduce=add)
    harness.send(("a", 1, 100))
    harness.watermark(50)
    with pytest.raises(UnsupportedOperationError, match="cannot become earlier"):
        harness.send(("a", 1, 120))


def test_trigger_state_that_cannot_merge_is_refused(windows):
    class Remembers(Trigger):
        descriptor = ValueStateDescriptor("last", Types.LONG())

        def on_element(self, element, timestamp, window, ctx):
            ctx.get_partitioned_state(self.descriptor).update(element)
            return TriggerResult.CONTINUE

        def on_processing_time(self, time, window, ctx):
            return TriggerResult.CONTINUE

        def on_event_time(self, time, window, ctx):
            return TriggerResult.CONTINUE

        def can_merge(self):
            return True

        def on_merge(self, window, ctx):
            ctx.merge_partitioned_state(self.descriptor)

        def clear(self, window, ctx):
            ctx.get_partitioned_state(self.descriptor).clear()

    harness = windows(assigner=GAP, trigger=Remembers(), reduce=add)
    with pytest.raises(StateTypeError, match="no state that can be merged"):
        harness.send(("a", 1, 0), ("a", 1, 5))


def test_a_session_beyond_64_bits_is_refused(windows):
    with pytest.raises(InvalidProgramError, match="does not fit 64 bits"):
        windows(assigner=GAP, reduce=add).send(("a", 1, (1 << 63) - 1))
