"""Event-time windows over streams without timestamps are refused while the graph is described."""

from __future__ import annotations

import pytest

from millpond.common import Duration, Time, TimestampAssigner, Types, WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.connectors.number_seq import NumberSequenceSource
from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.window import (
    CountTrigger,
    EventTimeSessionWindows,
    TumblingEventTimeWindows,
    TumblingProcessingTimeWindows,
)
from millpond.errors import InvalidProgramError

HOUR = TumblingEventTimeWindows.of(Time.hours(1))
ASCENDING = WatermarkStrategy.for_monotonous_timestamps()


class Value(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value


class Timers(KeyedProcessFunction):
    def process_element(self, value, ctx):
        ctx.timer_service().register_event_time_timer(value)

    def on_timer(self, timestamp, ctx):
        yield timestamp


@pytest.fixture
def env():
    return StreamExecutionEnvironment.get_execution_environment()


def keyed(stream):
    return stream.key_by(lambda value: value % 2, Types.LONG())


def test_what_has_no_timestamps_is_named(env):
    numbers = env.from_collection([1, 2]).name("numbers").map(lambda value: value + 1)
    with pytest.raises(InvalidProgramError, match="records of 'numbers' have none") as caught:
        keyed(numbers.filter(lambda value: True)).window(HOUR).reduce(max)
    assert "assign_timestamps_and_watermarks" in caught.value.hint


def test_watermarks_without_an_assigner_give_no_timestamps(env):
    for stream in (
        env.from_collection([1]).assign_timestamps_and_watermarks(ASCENDING),
        env.from_source(NumberSequenceSource(0, 9), ASCENDING, "numbers"),
    ):
        with pytest.raises(InvalidProgramError, match="have none"):
            stream.window_all(EventTimeSessionWindows.with_gap(Time.seconds(1))).reduce(max)


def test_one_input_without_timestamps_is_enough(env):
    timed = env.from_collection([1]).assign_timestamps_and_watermarks(
        ASCENDING.with_timestamp_assigner(Value())
    )
    with pytest.raises(InvalidProgramError, match="have none"):
        keyed(timed.union(env.from_collection([2]))).window(HOUR).reduce(max)


def test_what_has_timestamps_or_may_have_is_let_through(env):
    assigned = ASCENDING.with_timestamp_assigner(Value())
    plain = env.from_collection([1])
    for stream in (
        plain.assign_timestamps_and_watermarks(assigned).map(lambda value: value),
        env.from_source(NumberSequenceSource(0, 9), assigned, "assigned by the source"),
        env.from_source(CollectionSource([1], [5]), ASCENDING, "of the source"),
        # An event-time timer gives its time to what it emits.
        keyed(plain).process(Timers(), Types.LONG()),
    ):
        keyed(stream).window(HOUR).reduce(max)
    keyed(plain).window(TumblingProcessingTimeWindows.of(Time.hours(1))).reduce(max)


@pytest.mark.parametrize("lateness", [1.5, None, Duration.of_seconds(1), True])
def test_an_allowed_lateness_is_a_number_of_milliseconds(env, lateness):
    windowed = keyed(env.from_collection([1])).window(HOUR)
    with pytest.raises(InvalidProgramError, match="The allowed lateness is") as caught:
        windowed.allowed_lateness(lateness)
    assert caught.value.hint == "Give it in milliseconds, as an int."


def test_a_class_is_no_trigger(env):
    with pytest.raises(InvalidProgramError, match="must be a Trigger, not <class"):
        keyed(env.from_collection([1])).window(HOUR).trigger(CountTrigger)
