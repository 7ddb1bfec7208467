"""Windows, assigners, trigger results and serializers by themselves."""

from __future__ import annotations

import io
import pickle
from datetime import timedelta

import pytest

from millpond.common.time import Duration, Time
from millpond.datastream.window import (
    ContinuousEventTimeTrigger,
    ContinuousProcessingTimeTrigger,
    CountSlidingWindowAssigner,
    CountTrigger,
    CountTumblingWindowAssigner,
    CountWindow,
    CountWindowSerializer,
    DynamicEventTimeSessionWindows,
    DynamicProcessingTimeSessionWindows,
    EventTimeSessionWindows,
    EventTimeTrigger,
    GlobalWindow,
    GlobalWindows,
    GlobalWindowSerializer,
    MergingWindowAssigner,
    Min,
    NeverTrigger,
    ProcessingTimeSessionWindows,
    ProcessingTimeTrigger,
    PurgingTrigger,
    SessionWindowTimeGapExtractor,
    SlidingEventTimeWindows,
    SlidingProcessingTimeWindows,
    TimeWindow,
    TimeWindowSerializer,
    TriggerResult,
    TumblingEventTimeWindows,
    TumblingProcessingTimeWindows,
    Window,
)
from millpond.errors import InvalidProgramError

MAX = (1 << 63) - 1


class FixedTime:
    """A context whose processing time stands still."""

    def get_current_processing_time(self):
        return 1234


class Callback(MergingWindowAssigner.MergeCallback[TimeWindow]):
    def __init__(self):
        self.merges = []

    def merge(self, to_be_merged, merge_result):
        self.merges.append((list(to_be_merged), merge_result))


def test_windows_are_values():
    assert TimeWindow(0, 1) == TimeWindow(0, 1)
    assert hash(TimeWindow(0, 1)) == hash(TimeWindow(0, 1))
    assert len({TimeWindow(0, 1), TimeWindow(0, 1), TimeWindow(0, 2), CountWindow(0)}) == 3
    assert TimeWindow(0, 1) != CountWindow(0)
    assert CountWindow(1) != GlobalWindow.get()
    assert GlobalWindow() == GlobalWindow.get()
    assert min(TimeWindow(5, 6), TimeWindow(0, 9), TimeWindow(0, 3)) == TimeWindow(0, 3)
    assert repr(TimeWindow(0, 1)) == "TimeWindow(start=0, end=1)"
    assert repr(CountWindow(7)) == "CountWindow(id=7)"
    assert repr(GlobalWindow()) == "GlobalWindow"


@pytest.mark.parametrize("window", [TimeWindow(-5, 10), CountWindow(3), GlobalWindow.get()])
def test_windows_are_windows_truthy_and_pickle(window):
    assert isinstance(window, Window)
    assert window
    copy = pickle.loads(pickle.dumps(window))
    assert copy == window
    assert type(copy) is type(window)


def test_max_timestamps():
    assert TimeWindow(0, 1000).max_timestamp() == 999
    assert CountWindow(1).max_timestamp() == MAX
    assert GlobalWindow.get().max_timestamp() == MAX


def test_intersection_includes_touching_and_cover():
    window = TimeWindow(10, 20)
    assert window.intersects(TimeWindow(20, 30))
    assert window.intersects(TimeWindow(0, 10))
    assert not window.intersects(TimeWindow(21, 30))
    assert window.cover(TimeWindow(0, 15)) == TimeWindow(0, 20)


@pytest.mark.parametrize(
    ("timestamp", "offset", "start"),
    [(0, 0, 0), (999, 0, 0), (1000, 0, 1000), (-1, 0, -1000), (5, 300, -700), (5, -300, -300)],
)
def test_window_start(timestamp, offset, start):
    assert TimeWindow.get_window_start_with_offset(timestamp, offset, 1000) == start


def test_merge_windows_finds_groups():
    callback = Callback()
    windows = [TimeWindow(30, 40), TimeWindow(0, 10), TimeWindow(9, 12), TimeWindow(12, 13)]
    TimeWindow.merge_windows(windows, callback)
    assert callback.merges == [
        ([TimeWindow(0, 10), TimeWindow(9, 12), TimeWindow(12, 13)], TimeWindow(0, 13))
    ]
    callback = Callback()
    TimeWindow.merge_windows([], callback)
    assert callback.merges == []


@pytest.mark.parametrize("second", [Time.seconds(1), Duration.of_seconds(1), timedelta(seconds=1)])
def test_times_may_be_time_duration_or_timedelta(second):
    assert TumblingEventTimeWindows.of(second).size == 1000
    assert EventTimeSessionWindows.with_gap(second).session_gap == 1000
    assert SlidingEventTimeWindows.of(second, second, Time.milliseconds(5)).offset == 5


def test_a_text_is_no_time():
    with pytest.raises(InvalidProgramError, match="size of the windows must be a time"):
        TumblingEventTimeWindows.of("1s")


def test_assigners_by_event_time():
    context = FixedTime()
    tumbling = TumblingEventTimeWindows.of(Time.seconds(1), Time.milliseconds(100))
    assert tumbling.assign_windows("x", 50, context) == [TimeWindow(-900, 100)]
    sliding = SlidingEventTimeWindows.of(Time.seconds(2), Time.seconds(1))
    assert sliding.assign_windows("x", 2500, context) == [
        TimeWindow(2000, 4000),
        TimeWindow(1000, 3000),
    ]
    session = EventTimeSessionWindows.with_gap(Time.milliseconds(7))
    assert session.assign_windows("x", 5, context) == [TimeWindow(5, 12)]
    for assigner in (tumbling, sliding, session):
        assert assigner.is_event_time()
        assert isinstance(assigner.get_default_trigger(None), EventTimeTrigger)
        assert isinstance(assigner.get_window_serializer(), TimeWindowSerializer)
        for timestamp in (None, -(1 << 63)):
            with pytest.raises(InvalidProgramError, match="assign_timestamps_and_watermarks"):
                assigner.assign_windows("x", timestamp, context)


def test_assigners_by_processing_time_take_no_notice_of_timestamps():
    context = FixedTime()
    tumbling = TumblingProcessingTimeWindows.of(Time.seconds(1))
    assert tumbling.assign_windows("x", None, context) == [TimeWindow(1000, 2000)]
    sliding = SlidingProcessingTimeWindows.of(Time.seconds(1), Time.milliseconds(500))
    assert sliding.assign_windows("x", None, context) == [
        TimeWindow(1000, 2000),
        TimeWindow(500, 1500),
    ]
    session = ProcessingTimeSessionWindows.with_gap(Time.milliseconds(7))
    assert session.assign_windows("x", None, context) == [TimeWindow(1234, 1241)]
    for assigner in (tumbling, sliding, session):
        assert not assigner.is_event_time()
        assert isinstance(assigner.get_default_trigger(None), ProcessingTimeTrigger)


def test_dynamic_gaps():
    class Gap(SessionWindowTimeGapExtractor):
        def extract(self, element):
            return len(element)

    event = EventTimeSessionWindows.with_dynamic_gap(Gap())
    assert isinstance(event, DynamicEventTimeSessionWindows)
    assert event.assign_windows("abc", 5, FixedTime()) == [TimeWindow(5, 8)]
    processing = ProcessingTimeSessionWindows.with_dynamic_gap(Gap())
    assert isinstance(processing, DynamicProcessingTimeSessionWindows)
    assert processing.assign_windows("abc", None, FixedTime()) == [TimeWindow(1234, 1237)]
    with pytest.raises(InvalidProgramError, match="gap of a record is 0 ms"):
        event.assign_windows("", 5, FixedTime())
    with pytest.raises(InvalidProgramError, match="no SessionWindowTimeGapExtractor"):
        DynamicEventTimeSessionWindows(lambda element: 5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TumblingEventTimeWindows.of(Time.seconds(0)),
        lambda: TumblingProcessingTimeWindows.of(Time.seconds(-1)),
        lambda: TumblingEventTimeWindows.of(Time.seconds(1), Time.seconds(1)),
        lambda: SlidingEventTimeWindows.of(Time.seconds(0), Time.seconds(1)),
        lambda: SlidingEventTimeWindows.of(Time.seconds(1), Time.seconds(0)),
        lambda: SlidingProcessingTimeWindows.of(Time.seconds(2), Time.seconds(1), Time.seconds(1)),
        lambda: EventTimeSessionWindows.with_gap(Time.seconds(0)),
        lambda: ProcessingTimeSessionWindows.with_gap(Time.seconds(-1)),
        lambda: CountTumblingWindowAssigner.of(0),
        lambda: CountSlidingWindowAssigner.of(0, 1),
        lambda: CountSlidingWindowAssigner.of(1, 0),
        lambda: CountTrigger.of(0),
        lambda: ContinuousEventTimeTrigger.of(Time.seconds(0)),
        lambda: ContinuousProcessingTimeTrigger.of(Time.seconds(0)),
    ],
)
def test_sizes_that_cannot_be_are_refused(make):
    with pytest.raises(InvalidProgramError):
        make()


def test_global_windows():
    assigner = GlobalWindows.create()
    assert assigner.assign_windows("x", None, FixedTime()) == [GlobalWindow.get()]
    trigger = assigner.get_default_trigger(None)
    assert isinstance(trigger, NeverTrigger)
    assert not trigger.can_merge()
    assert trigger.on_element("x", 0, GlobalWindow.get(), None) is TriggerResult.CONTINUE


def test_trigger_results():
    assert [(r.is_fire(), r.is_purge()) for r in TriggerResult] == [
        (False, False),
        (True, True),
        (True, False),
        (False, True),
    ]


def test_which_triggers_can_merge():
    mergeable = [
        EventTimeTrigger.create(),
        ProcessingTimeTrigger.create(),
        CountTrigger.of(3),
        ContinuousEventTimeTrigger.of(Time.seconds(1)),
        ContinuousProcessingTimeTrigger.of(Time.seconds(1)),
        PurgingTrigger.of(CountTrigger.of(3)),
    ]
    assert all(trigger.can_merge() for trigger in mergeable)
    assert not PurgingTrigger.of(NeverTrigger()).can_merge()
    assert Min().reduce(2, 1) == 1


@pytest.mark.parametrize(
    ("serializer", "window", "data"),
    [
        (TimeWindowSerializer(), TimeWindow(1, -1), b"\0" * 7 + b"\1" + b"\xff" * 8),
        (CountWindowSerializer(), CountWindow(258), b"\0" * 6 + b"\1\2"),
        (GlobalWindowSerializer(), GlobalWindow.get(), b"\0"),
    ],
)
def test_serializers(serializer, window, data):
    stream = io.BytesIO()
    serializer.serialize(window, stream)
    assert stream.getvalue() == data
    assert serializer.deserialize(io.BytesIO(data)) == window


def test_names_that_error_messages_and_plans_show():
    assert repr(TumblingEventTimeWindows.of(Time.seconds(1))) == "TumblingEventTimeWindows(1000, 0)"
    assert repr(CountSlidingWindowAssigner.of(4, 2)) == "CountSlidingWindowAssigner(4, 2)"
    assert repr(EventTimeSessionWindows(5)) == "EventTimeSessionWindows(5)"
