"""Tumbling, sliding and global windows, lateness, side outputs, window functions, errors."""

from __future__ import annotations

import pytest

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.functions import (
    AggregateFunction,
    AllWindowFunction,
    ProcessAllWindowFunction,
    ProcessWindowFunction,
    WindowFunction,
)
from millpond.datastream.output_tag import OutputTag
from millpond.datastream.state import ValueStateDescriptor
from millpond.datastream.window import (
    CountEvictor,
    CountTumblingWindowAssigner,
    CountWindow,
    EventTimeTrigger,
    GlobalWindows,
    PurgingTrigger,
    SlidingEventTimeWindows,
    SlidingProcessingTimeWindows,
    TimeWindow,
    TimeWindowSerializer,
    Trigger,
    TriggerResult,
    TumblingEventTimeWindows,
    TumblingProcessingTimeWindows,
    WindowAssigner,
)
from millpond.errors import InvalidProgramError, StateTypeError, UserCodeError
from millpond.operators.batch import MAX_WATERMARK
from millpond.operators.window_event_time import EventTimeWindowOperator
from millpond.operators.window_operator import WindowOperator

SECOND = Time.seconds(1)


def add(a, b):
    return a + b


class Mean(AggregateFunction):
    def create_accumulator(self):
        return (0, 0)

    def add(self, value, accumulator):
        return accumulator[0] + value, accumulator[1] + 1

    def get_result(self, accumulator):
        return accumulator[0] / accumulator[1]

    def merge(self, acc_a, acc_b):
        return acc_a[0] + acc_b[0], acc_a[1] + acc_b[1]


class Rows(WindowFunction):
    """(key, start, end, contents) of every firing."""

    def apply(self, key, window, inputs):
        return [(key, window.start, window.end, list(inputs))]


class General(EventTimeTrigger.__mro__[1]):
    """Does what EventTimeTrigger does, but is not it: the operator must ask."""

    def __init__(self):
        self._trigger = EventTimeTrigger()

    def on_element(self, element, timestamp, window, ctx):
        return self._trigger.on_element(element, timestamp, window, ctx)

    def on_processing_time(self, time, window, ctx):
        return TriggerResult.CONTINUE

    def on_event_time(self, time, window, ctx):
        return self._trigger.on_event_time(time, window, ctx)

    def on_merge(self, window, ctx):
        raise AssertionError

    def clear(self, window, ctx):
        self._trigger.clear(window, ctx)


@pytest.fixture(params=["event time", "general"])
def trigger(request):
    """No trigger, so that the fast operator is used, or one that needs the general operator."""
    return None if request.param == "event time" else General()


def test_choice_of_operator(windows):
    assigner = TumblingEventTimeWindows.of(SECOND)
    assert type(windows(assigner=assigner, reduce=add).operator) is EventTimeWindowOperator
    for other in (
        {"trigger": General(), "reduce": add},
        {"evictor": CountEvictor.of(1), "window_function": Rows()},
        {
            "trigger": PurgingTrigger.of(EventTimeTrigger()),
            "aggregate": Mean(),
            "allowed_lateness_ms": 1,
        },
    ):
        assert type(windows(assigner=assigner, **other).operator) is WindowOperator


def test_subclasses_of_ready_made_triggers_and_assigners_are_asked(windows):
    class Eager(EventTimeTrigger):
        def on_element(self, element, timestamp, window, ctx):
            super().on_element(element, timestamp, window, ctx)
            return TriggerResult.FIRE

    class Shifted(TumblingEventTimeWindows):
        def assign_windows(self, element, timestamp, context):
            return super().assign_windows(element, timestamp + 1000, context)

    harness = windows(assigner=TumblingEventTimeWindows(1000, 0), trigger=Eager(), reduce=add)
    harness.send(("a", 1, 0), ("a", 2, 1))
    assert harness.output.take() == [1, 3]
    harness = windows(assigner=Shifted(1000, 0), reduce=add)
    harness.send(("a", 1, 0))
    assert harness.watermark(1998) == []
    assert harness.watermark(1999) == [1]


def test_tumbling_reduce_fires_at_the_end_and_leaves_nothing(windows, trigger):
    harness = windows(assigner=TumblingEventTimeWindows.of(SECOND), trigger=trigger, reduce=add)
    harness.send(("a", 1, 0), ("b", 10, 500), ("a", 2, 999), ("a", 4, 1000))
    assert harness.watermark(998) == []
    harness.operator.process_watermark(999)
    assert sorted(harness.output.results) == [3, 10]
    assert harness.output.timestamps == [999, 999]
    harness.output.take()
    assert harness.rows() == {"window-contents": 1, "event": 1}
    assert harness.watermark(1999) == [4]
    assert harness.rows() == {}


def test_offset_and_negative_timestamps(windows, trigger):
    harness = windows(
        assigner=TumblingEventTimeWindows.of(SECOND, Time.milliseconds(-300)),
        trigger=trigger,
        reduce=add,
        window_function=Rows(),
    )
    harness.send(("a", 1, -1500), ("a", 2, -301), ("a", 4, 0), ("a", 8, 699), ("a", 16, 700))
    assert harness.watermark(MAX_WATERMARK) == [
        ("a", -2300, -1300, [1]),
        ("a", -1300, -300, [2]),
        ("a", -300, 700, [12]),
        ("a", 700, 1700, [16]),
    ]


def test_sliding_windows_with_a_slide_that_does_not_divide_the_size(windows, trigger):
    harness = windows(
        assigner=SlidingEventTimeWindows.of(Time.milliseconds(25), Time.milliseconds(10)),
        trigger=trigger,
        reduce=add,
        window_function=Rows(),
    )
    harness.send(*(("k", 1, timestamp) for timestamp in range(30)))
    assert harness.watermark(MAX_WATERMARK) == [
        ("k", -20, 5, [5]),
        ("k", -10, 15, [15]),
        ("k", 0, 25, [25]),
        ("k", 10, 35, [20]),
        ("k", 20, 45, [10]),
    ]
    assert harness.rows() == {}


def test_windows_with_gaps_between_them(windows, trigger):
    harness = windows(
        assigner=SlidingEventTimeWindows.of(Time.milliseconds(2), Time.milliseconds(10)),
        trigger=trigger,
        reduce=add,
    )
    harness.send(("k", 1, 0), ("k", 2, 5), ("k", 4, 11), ("k", 8, 12))
    assert harness.watermark(MAX_WATERMARK) == [1, 4]
    assert harness.late_records_dropped == 0


def test_aggregate(windows, trigger):
    harness = windows(
        assigner=TumblingEventTimeWindows.of(SECOND),
        trigger=trigger,
        aggregate=Mean(),
        accumulator_type=Types.TUPLE([Types.LONG(), Types.LONG()]),
    )
    harness.send(("a", 1, 0), ("a", 2, 1), ("b", 7, 2))
    assert sorted(harness.watermark(999)) == [1.5, 7.0]


def test_late_records_within_the_allowed_lateness_fire_again(windows, trigger):
    harness = windows(
        assigner=TumblingEventTimeWindows.of(SECOND),
        trigger=trigger,
        reduce=add,
        allowed_lateness_ms=500,
    )
    harness.send(("a", 1, 0))
    assert harness.watermark(999) == [1]
    harness.send(("a", 2, 5), ("a", 3, 6), ("a", 7, 1200))
    assert harness.output.take() == [3, 6]
    assert harness.watermark(1498) == []
    harness.send(("a", 4, 7))
    assert harness.watermark(1499) == [10]
    assert harness.rows() == {"window-contents": 1, "event": 2}
    harness.send(("a", 5, 8))
    assert harness.output.take() == []
    assert harness.late_records_dropped == 1
    assert harness.watermark(MAX_WATERMARK) == [7]
    assert harness.rows() == {}


def test_late_data_goes_to_its_side_output(windows, trigger):
    tag = OutputTag("late", Types.LONG())
    harness = windows(
        assigner=SlidingEventTimeWindows.of(Time.milliseconds(20), Time.milliseconds(10)),
        trigger=trigger,
        reduce=add,
        late_data_tag=tag,
    )
    harness.watermark(25)
    # 19 is in [0, 20), which is over, and in [10, 30), which is not; 9 is only in those that are.
    harness.send(("a", 1, 19), ("a", 2, 9))
    assert harness.output.side == {"late": [(2, 9)]}
    assert harness.late_records_dropped == 0
    assert harness.watermark(MAX_WATERMARK) == [1]


def test_records_without_timestamps_are_refused(windows, trigger):
    harness = windows(assigner=TumblingEventTimeWindows.of(SECOND), trigger=trigger, reduce=add)
    with pytest.raises(InvalidProgramError, match="without a timestamp"):
        harness.send_values([1], ["a"])


def test_values_of_the_wrong_type_are_refused_before_the_snapshot(windows, trigger):
    harness = windows(
        assigner=TumblingEventTimeWindows.of(SECOND),
        trigger=trigger,
        reduce=add,
        element_type=Types.LONG(),
    )
    with pytest.raises(Exception, match="window-contents"):
        harness.send(("a", "text", 0))


def test_a_reduce_to_none_empties_the_window(windows, trigger):
    harness = windows(
        assigner=TumblingEventTimeWindows.of(SECOND),
        trigger=trigger,
        reduce=lambda a, b: None if a + b == 3 else a + b,
    )
    harness.send(("a", 1, 0), ("a", 2, 1), ("b", 1, 0), ("b", 1, 1))
    assert harness.watermark(999) == [2]
    assert harness.rows() == {}


def test_reduce_with_a_process_window_function(windows, trigger):
    class Add(ProcessWindowFunction):
        def process(self, key, context, elements):
            yield key, context.window(), list(elements), context.current_watermark()

    harness = windows(
        assigner=TumblingEventTimeWindows.of(SECOND),
        trigger=trigger,
        reduce=add,
        window_function=Add(),
    )
    harness.send(("a", 1, 0), ("a", 2, 1))
    assert harness.watermark(1200) == [("a", TimeWindow(0, 1000), [3], 1200)]
    assert harness.rows() == {}


def test_window_function_gets_elements_in_order(windows):
    harness = windows(assigner=TumblingEventTimeWindows.of(SECOND), window_function=Rows())
    harness.send(("a", 3, 30), ("a", 1, 10), ("b", 9, 20), ("a", 2, 20))
    assert sorted(harness.watermark(999)) == [("a", 0, 1000, [3, 1, 2]), ("b", 0, 1000, [9])]
    assert harness.rows() == {}


def test_process_window_function_with_state_and_side_output(windows):
    tag = OutputTag("large")
    firings = ValueStateDescriptor("firings", Types.LONG())
    total = ValueStateDescriptor("total", Types.LONG())

    cleared = []

    class Counting(ProcessWindowFunction):
        def process(self, key, context, elements):
            per_window = context.window_state().get_state(firings)
            overall = context.global_state().get_state(total)
            per_window.update((per_window.value() or 0) + 1)
            overall.update((overall.value() or 0) + 1)
            size = len(elements)
            yield context.window().start, size, per_window.value(), overall.value()
            if size > 2:
                yield tag, size

        def clear(self, context):
            cleared.append(context.window())
            context.window_state().get_state(firings).clear()

    harness = windows(
        assigner=TumblingEventTimeWindows.of(SECOND),
        window_function=Counting(),
        allowed_lateness_ms=10_000,
    )
    harness.send(("a", 1, 0), ("a", 1, 1), ("a", 1, 1000))
    assert harness.watermark(1999) == [(0, 2, 1, 1), (1000, 1, 1, 2)]
    harness.send(("a", 1, 2))
    assert harness.output.take() == [(0, 3, 2, 3)]
    assert harness.output.side == {"large": [(3, 999)]}
    assert cleared == []
    assert harness.watermark(MAX_WATERMARK) == []
    assert cleared == [TimeWindow(0, 1000), TimeWindow(1000, 2000)]
    assert harness.rows() == {"total": 1}


def test_all_windows(windows):
    class Apply(AllWindowFunction):
        def apply(self, window, inputs):
            return [(window.start, sum(inputs))]

    class Process(ProcessAllWindowFunction):
        def process(self, context, elements):
            return [(context.window().start, sum(elements))]

    for function in (Apply(), Process()):
        harness = windows(
            assigner=TumblingEventTimeWindows.of(SECOND),
            window_function=function,
            all_windows=True,
        )
        harness.send((0, 1, 0), (0, 2, 1), (0, 4, 1000))
        assert harness.watermark(MAX_WATERMARK) == [(0, 3), (1000, 4)]


def test_processing_time_windows(windows):
    harness = windows(assigner=TumblingProcessingTimeWindows.of(SECOND), reduce=add)
    harness.clock.set(1500)
    harness.send_values([1, 2], ["a", "a"])
    assert harness.operator.next_processing_time() == 1999
    assert harness.advance(1998) == []
    harness.clock.set(1999)
    harness.operator.process_processing_time(1999)
    assert harness.output.timestamps == [1999]
    assert harness.output.take() == [3]
    assert harness.rows() == {}
    assert harness.operator.next_processing_time() is None


def test_sliding_processing_time_windows(windows):
    harness = windows(
        assigner=SlidingProcessingTimeWindows.of(Time.seconds(2), SECOND), window_function=Rows()
    )
    harness.clock.set(1500)
    harness.send_values([1], ["a"])
    harness.clock.set(2500)
    harness.send_values([2], ["a"])
    assert harness.advance(10_000) == [
        ("a", 0, 2000, [1]),
        ("a", 1000, 3000, [1, 2]),
        ("a", 2000, 4000, [2]),
    ]
    assert harness.rows() == {}


def test_event_time_timers_do_not_fire_at_processing_time(windows):
    harness = windows(assigner=TumblingEventTimeWindows.of(SECOND), reduce=add)
    harness.send(("a", 1, 0))
    assert harness.advance(10**15) == []
    assert harness.operator.next_processing_time() is None


def test_custom_assigner_and_trigger(windows):
    class ByParity(WindowAssigner):
        """Even values get [0, 100), odd ones [100, 200); zero none."""

        def assign_windows(self, element, timestamp, context):
            if element == 0:
                return []
            start = 100 * (element % 2)
            return [TimeWindow(start, start + 100)]

        def get_default_trigger(self, env):
            return OnSeven()

        def get_window_serializer(self):
            return TimeWindowSerializer()

        def is_event_time(self):
            return True

    class OnSeven(Trigger):
        """Fires when an element is 7, purges when it is 8."""

        def on_element(self, element, timestamp, window, ctx):
            return {7: TriggerResult.FIRE, 8: TriggerResult.PURGE}.get(
                element, TriggerResult.CONTINUE
            )

        def on_processing_time(self, time, window, ctx):
            return TriggerResult.CONTINUE

        def on_event_time(self, time, window, ctx):
            return TriggerResult.CONTINUE

        def on_merge(self, window, ctx):
            raise AssertionError

        def clear(self, window, ctx):
            pass

    harness = windows(assigner=ByParity(), window_function=Rows())
    harness.send(("k", 0, 1), ("k", 1, 1), ("k", 7, 1), ("k", 2, 1), ("k", 8, 1), ("k", 4, 1))
    assert harness.output.take() == [("k", 100, 200, [1, 7])]
    assert harness.rows() == {"window-contents": 2, "event": 2}
    assert harness.watermark(199) == []
    assert harness.rows() == {}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"assigner": "no assigner", "reduce": add}, "window assigner must be a WindowAssigner"),
        ({"trigger": "no trigger", "reduce": add}, "trigger must be a Trigger"),
        ({"evictor": 5, "reduce": add}, "evictor must be an? Evictor"),
        ({"allowed_lateness_ms": -1, "reduce": add}, "lateness is -1 ms"),
        ({}, "needs a function"),
        ({"reduce": add, "aggregate": Mean()}, "either a reduce or an aggregate"),
        ({"reduce": 3}, "reduce function must be"),
        ({"aggregate": add}, "aggregate function must be a"),
        ({"window_function": add}, "window function must be a WindowFunction or"),
        ({"window_function": Rows(), "all_windows": True}, "must be a AllWindowFunction or"),
        ({"reduce": add, "late_data_tag": "late"}, "tag of late data must be a"),
    ],
)
def test_what_does_not_fit_is_refused(windows, spec, message):
    with pytest.raises(InvalidProgramError, match=message):
        windows(**{"assigner": TumblingEventTimeWindows.of(SECOND), **spec})


def test_windows_of_an_own_kind_are_refused(windows):
    class Odd(TumblingEventTimeWindows.__mro__[1]):
        pass

    class Custom(GlobalWindows.__mro__[1]):
        def assign_windows(self, element, timestamp, context):
            raise AssertionError

        def get_default_trigger(self, env):
            return EventTimeTrigger()

        def get_window_serializer(self):
            return object()

        def is_event_time(self):
            return False

    with pytest.raises(InvalidProgramError, match="stores its windows with a object"):
        windows(assigner=Custom(), reduce=add)


def test_an_error_of_the_window_function_names_operator_key_and_window(windows):
    class Failing(ProcessWindowFunction):
        def process(self, key, context, elements):
            yield 1
            raise ZeroDivisionError("no way")

    harness = windows(assigner=TumblingEventTimeWindows.of(SECOND), window_function=Failing())
    harness.send(("the key", 1, 0))
    with pytest.raises(UserCodeError) as failure:
        harness.watermark(999)
    text = str(failure.value)
    assert "Failing.process raised ZeroDivisionError: no way" in text
    assert "operator: windows" in text
    assert "key: 'the key'" in text
    assert "window: TimeWindow(start=0, end=1000)" in text
    assert isinstance(failure.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("method", ["on_element", "on_event_time", "clear"])
def test_an_error_of_the_trigger_names_method_and_window(windows, method):
    trigger = General()

    def fail(*_):
        raise KeyError("trigger")

    setattr(trigger, method, fail)
    harness = windows(assigner=TumblingEventTimeWindows.of(SECOND), trigger=trigger, reduce=add)

    def run():
        harness.send(("k", 1, 0))
        harness.watermark(999)

    with pytest.raises(UserCodeError, match=rf"General\.{method} raised KeyError") as failure:
        run()
    assert failure.value.context["key"] == "'k'"
    assert failure.value.context["window"] == "TimeWindow(start=0, end=1000)"
    assert isinstance(failure.value.__cause__, KeyError)


def test_an_error_of_reduce_and_aggregate_names_key_and_window(windows, trigger):
    class Bad(Mean):
        def add(self, value, accumulator):
            return accumulator[0] + value, accumulator[1] + 1

        def get_result(self, accumulator):
            raise RuntimeError("result")

    harness = windows(
        assigner=TumblingEventTimeWindows.of(SECOND), trigger=trigger, aggregate=Bad()
    )
    harness.send(("k", 1, 0))
    with pytest.raises(UserCodeError, match="Bad") as failure:
        harness.send(("other", 1, 1), ("k", "text", 1))
    assert failure.value.context["key"] == "'k'"
    assert failure.value.context["window"] == "TimeWindow(start=0, end=1000)"
    assert isinstance(failure.value.__cause__, TypeError)
    with pytest.raises(UserCodeError, match="result"):
        harness.watermark(999)

    harness = windows(assigner=TumblingEventTimeWindows.of(SECOND), trigger=trigger, reduce=add)
    with pytest.raises(UserCodeError, match="add raised TypeError") as failure:
        harness.send(("k", 1, 0), ("j", 1, 1), ("j", "text", 1))
    assert failure.value.context["key"] == "'j'"


def test_errors_of_millpond_pass_through_user_code_unchanged(windows):
    class WrongKind(ProcessWindowFunction):
        def process(self, key, context, elements):
            context.global_state().get_list_state(ValueStateDescriptor("v", Types.LONG()))

    harness = windows(assigner=TumblingEventTimeWindows.of(SECOND), window_function=WrongKind())
    harness.send(("k", 1, 0))
    with pytest.raises(StateTypeError):
        harness.watermark(999)


def test_functions_are_opened_and_closed(windows):
    calls = []

    class Opened(Mean):
        def open(self, runtime_context):
            calls.append("open aggregate")

        def close(self):
            calls.append("close aggregate")

    class Function(ProcessWindowFunction):
        def open(self, runtime_context):
            calls.append(f"open {runtime_context.get_task_name()}")

        def process(self, key, context, elements):
            return None

        def close(self):
            calls.append("close")

    harness = windows(
        assigner=CountTumblingWindowAssigner.of(2), aggregate=Opened(), window_function=Function()
    )
    harness.operator.close()
    assert sorted(calls) == ["close", "close aggregate", "open aggregate", "open windows"]


def test_results_are_emitted_in_batches(windows):
    harness = windows(assigner=TumblingEventTimeWindows.of(SECOND), reduce=add)
    harness.context.batch_size = 10
    sizes = []
    emit = harness.output.emit
    harness.output.emit = lambda batch: (sizes.append(len(batch)), emit(batch))
    for start in range(0, 3000, 1000):
        harness.send(*((key, 1, start) for key in range(7)))
    assert harness.watermark(MAX_WATERMARK) == [1] * 21
    assert sum(sizes) == 21
    assert max(sizes) < 21


@pytest.mark.parametrize(
    "assigner",
    [TumblingEventTimeWindows(1000, 0), SlidingEventTimeWindows(1000, 300, 0)],
    ids=repr,
)
def test_a_window_beyond_64_bits_is_refused_at_its_record(windows, assigner, trigger):
    harness = windows(assigner=assigner, reduce=add)
    with pytest.raises(InvalidProgramError, match="does not fit 64 bits") as caught:
        harness.send(("a", 1, MAX_WATERMARK))
    assert "is this one in another unit" in caught.value.hint


class Forgetful(EventTimeTrigger.__mro__[1]):
    """Forgets to return something."""

    def on_element(self, element, timestamp, window, ctx):
        pass

    on_event_time = on_processing_time = on_merge = clear = on_element


def test_a_trigger_that_returns_nothing_is_named(windows):
    harness = windows(assigner=TumblingEventTimeWindows(10, 0), trigger=Forgetful(), reduce=add)
    with pytest.raises(InvalidProgramError, match="Forgetful returned None") as caught:
        harness.send(("a", 1, 5))
    assert caught.value.context == {
        "operator": "windows",
        "key": "'a'",
        "window": "TimeWindow(start=0, end=10)",
    }


@pytest.mark.parametrize(
    "assigned", [None, (0, 10), [(0, 10)], [CountWindow(1)], TimeWindow(0, 10)], ids=repr
)
def test_an_assigner_that_assigns_something_else_is_named(windows, assigned):
    class Strange(TumblingEventTimeWindows):
        def assign_windows(self, element, timestamp, context):
            return assigned

    harness = windows(assigner=Strange(10, 0), reduce=add)
    with pytest.raises(InvalidProgramError, match=r"Strange\.assign_windows returned") as caught:
        harness.send(("a", 1, 5))
    assert "a list of TimeWindow" in caught.value.hint
