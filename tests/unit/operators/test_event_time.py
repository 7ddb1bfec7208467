"""Watermark strategies at work in one subtask, with a clock that the test moves."""

from __future__ import annotations

import dataclasses

import pytest

from millpond.clock import ManualClock
from millpond.common import Duration, TimestampAssigner, WatermarkGenerator, WatermarkStrategy
from millpond.datastream.operator_spec import TimestampsSpec
from millpond.errors import InvalidProgramError, UserCodeError
from millpond.metrics.registry import MetricRegistry
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from millpond.operators.event_time import EventTimeAssignment
from millpond.operators.operator import OperatorContext
from millpond.operators.split_times import SplitTimes
from millpond.operators.timestamps import TimestampsOperator
from millpond.state.operator_state.backend import OperatorStateBackend

BOUNDED = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_millis(3))


class Log:
    """Writes down what an operator emits, in order."""

    def __init__(self):
        self.entries = []

    def emit(self, batch):
        self.entries += zip(batch.values, batch.timestamps or [None] * 99, strict=False)

    def emit_watermark(self, timestamp):
        self.entries.append(timestamp)

    def emit_idle(self, *, idle):
        self.entries.append("idle" if idle else "active")

    def take(self):
        entries, self.entries = self.entries, []
        return entries


class Second(TimestampAssigner):
    """The timestamp is the record, unless the test says otherwise."""

    def extract_timestamp(self, value, record_timestamp):
        return value


class Subtask:
    """One subtask of the operator of `assign_timestamps_and_watermarks`."""

    def __init__(self, strategy, interval_ms=200):
        self.clock = ManualClock(10_000)
        self.log = Log()
        context = OperatorContext(
            job_id="0" * 32,
            job_name="job",
            operator_id=b"o" * 16,
            name="times",
            subtask_index=0,
            parallelism=1,
            max_parallelism=128,
            attempt=0,
            clock=self.clock,
            output=self.log,
            metric_group=MetricRegistry().group({}),
            operator_state=OperatorStateBackend("times", None),
            auto_watermark_interval_ms=interval_ms,
        )
        self.operator = TimestampsOperator(TimestampsSpec(strategy))
        self.operator.setup(context)
        self.operator.initialize_state()
        self.operator.open()

    def send(self, *values, timestamps=None):
        self.operator.process_batch(Batch(list(values), timestamps))
        return self.log.take()

    def wait(self, milliseconds):
        """Let time pass without records; return what is emitted meanwhile."""
        until = self.clock.now_ms() + milliseconds
        while (due := self.operator.next_processing_time()) is not None and due <= until:
            self.clock.set(max(due, self.clock.now_ms()))
            self.operator.process_processing_time(self.clock.now_ms())
        self.clock.set(until)
        return self.log.take()


def test_the_watermark_follows_the_largest_timestamp():
    subtask = Subtask(BOUNDED.with_timestamp_assigner(Second()))
    assert subtask.send(5, 9, 7) == [(5, 5), (9, 9), (7, 7), 5]
    assert subtask.send(8) == [(8, 8)]
    assert subtask.send(12) == [(12, 12), 8]


def test_ascending_timestamps_of_the_stream_before():
    subtask = Subtask(WatermarkStrategy.for_monotonous_timestamps())
    assert subtask.send("a", timestamps=[0]) == [("a", 0), -1]


def test_watermarks_from_before_are_dropped_but_the_last():
    subtask = Subtask(BOUNDED)
    subtask.operator.process_watermark(100)
    subtask.operator.process_idle(idle=True)
    assert subtask.log.take() == []
    subtask.operator.process_watermark(MAX_WATERMARK)
    assert subtask.log.take() == [MAX_WATERMARK]
    assert subtask.operator.next_processing_time() is None


def test_silence_becomes_idleness_once_and_a_record_ends_it():
    subtask = Subtask(
        BOUNDED.with_timestamp_assigner(Second()).with_idleness(Duration.of_millis(500))
    )
    assert subtask.send(10) == [(10, 10), 6]
    assert subtask.wait(499) == []
    assert subtask.wait(1) == ["idle"]
    assert subtask.wait(5000) == []
    assert subtask.send(10) == ["active", (10, 10)]
    assert subtask.wait(500) == ["idle"]


def test_a_stream_that_never_said_anything_becomes_idle():
    subtask = Subtask(WatermarkStrategy.no_watermarks().with_idleness(Duration.of_millis(500)))
    assert subtask.wait(500) == ["idle"]


def test_being_paused_is_no_silence():
    subtask = Subtask(BOUNDED.with_idleness(Duration.of_millis(500)))
    subtask.wait(400)
    subtask.operator.event_time.pause()
    assert subtask.wait(400) == []
    assert not subtask.operator.event_time.idle
    assert subtask.wait(100) == ["idle"]
    assert subtask.operator.event_time.idle


class Heartbeat(WatermarkGenerator):
    """Goes on by 10 at each tick, and says what the records tell it."""

    def __init__(self):
        self.next = 100

    def on_event(self, event, timestamp, output):
        if event == "mark":
            output.emit_watermark(timestamp)
        elif event == "idle":
            output.mark_idle()
        elif event == "active":
            output.mark_active()

    def on_periodic_emit(self, output):
        output.emit_watermark(self.next)
        self.next += 10


class Punctuated(Heartbeat):
    def on_periodic_emit(self, output):
        pass


def test_a_generator_is_called_behind_batches_and_while_nothing_comes():
    subtask = Subtask(WatermarkStrategy.for_generator(Heartbeat))
    assert subtask.send("a", timestamps=[1]) == [("a", 1), 100]
    assert subtask.wait(400) == [110, 120]
    assert subtask.wait(199) == []
    assert subtask.wait(1) == [130]


def test_a_punctuated_watermark_stands_behind_its_record():
    subtask = Subtask(WatermarkStrategy.for_generator(Punctuated))
    emitted = subtask.send("a", "mark", "b", timestamps=[1, 5, 7])
    assert emitted == [("a", 1), ("mark", 5), 5, ("b", 7)]
    # It never falls.
    assert subtask.send("mark", timestamps=[3]) == [("mark", 3)]


def test_a_generator_decides_on_idleness():
    subtask = Subtask(WatermarkStrategy.for_generator(Punctuated))
    assert subtask.send("idle", "idle", timestamps=[1, 2]) == [("idle", 1), "idle", ("idle", 2)]
    # A record alone does not end it, a watermark does.
    assert subtask.send("a", timestamps=[3]) == [("a", 3)]
    assert subtask.send("mark", timestamps=[4]) == [("mark", 4), "active", 4]
    assert subtask.send("active", timestamps=[5]) == [("active", 5)]


def test_a_generator_is_not_asked_while_the_stream_timed_out():
    strategy = WatermarkStrategy.for_generator(Heartbeat).with_idleness(Duration.of_millis(500))
    subtask = Subtask(strategy)
    assert subtask.wait(5000) == [100, 110, "idle"]
    assert subtask.send("a", timestamps=[1]) == ["active", ("a", 1), 120]


@pytest.mark.parametrize("strategy", [BOUNDED, WatermarkStrategy.for_generator(Heartbeat)])
def test_an_interval_of_zero_turns_periodic_watermarks_off(strategy):
    subtask = Subtask(strategy, interval_ms=0)
    assert subtask.send("a", "mark", timestamps=[1, 9])[:2] == [("a", 1), ("mark", 9)]
    assert subtask.wait(5000) == []
    assert 100 not in subtask.log.entries


def test_a_generator_cannot_end_the_input():
    class Last(Punctuated):
        def on_event(self, event, timestamp, output):
            output.emit_watermark(MAX_WATERMARK)

    subtask = Subtask(WatermarkStrategy.for_generator(Last))
    assert subtask.send("a", timestamps=[1]) == [("a", 1), MAX_WATERMARK - 1]


@pytest.mark.parametrize("wrong", [1.5, None, "12", 1 << 63, -(1 << 63) - 1])
def test_timestamps_that_are_no_milliseconds_are_refused_with_the_record(wrong):
    class Wrong(TimestampAssigner):
        def extract_timestamp(self, value, record_timestamp):
            return wrong if value == "bad" else 1

    subtask = Subtask(BOUNDED.with_timestamp_assigner(Wrong()))
    with pytest.raises(InvalidProgramError, match="no whole number of milliseconds") as caught:
        subtask.send("good", "bad")
    assert caught.value.context == {"operator": "times", "record": "'bad'"}


def test_whole_numbers_of_numpy_are_timestamps():
    class Int64:
        def __index__(self):
            return 9

    subtask = Subtask(BOUNDED.with_timestamp_assigner(Second()))
    ((_, timestamp), watermark) = subtask.send(Int64())
    assert (timestamp, watermark) == (9, 5)
    assert type(timestamp) is type(watermark) is int


@pytest.mark.parametrize("method", ["on_event", "on_periodic_emit"])
def test_an_error_of_a_generator_names_its_method(method):
    def fail(*arguments):
        raise ZeroDivisionError("tick")

    broken = type("Broken", (Punctuated,), {method: fail})
    subtask = Subtask(WatermarkStrategy.for_generator(broken))
    with pytest.raises(UserCodeError, match=f"Broken.{method} raised ZeroDivisionError: tick"):
        subtask.send("a", timestamps=[1])


def test_a_factory_that_makes_no_generator():
    with pytest.raises(UserCodeError, match="for_generator returned 7, which has no method"):
        Subtask(WatermarkStrategy.for_generator(lambda: 7))


def test_the_largest_timestamp_survives_a_change_of_parallelism():
    subtask = Subtask(BOUNDED)
    context = dataclasses.replace(subtask.operator.context, parallelism=2, subtask_index=1)
    assignment = EventTimeAssignment(BOUNDED, context)
    assert assignment._own([7, 9]) == 9
    assert assignment._own([7, MAX_WATERMARK]) == MIN_WATERMARK
    assert assignment._own([7, 5, MAX_WATERMARK]) == 5
    assert assignment._own([]) == MIN_WATERMARK


def test_splits_that_are_read_in_turn():
    clock = ManualClock(0)
    times = SplitTimes(clock, 100)
    times.watch({"a": MIN_WATERMARK, "b": 30})
    assert times.reach("a", 50) == 30
    assert times.reach("b", 70) == 50
    clock.advance(99)
    assert times.reach("b", 90) == 50
    clock.advance(1)
    # "a" was silent for the timeout; it counts again with its next record.
    assert times.reach("b", 95) == 95
    assert times.reach("a", 60) == 60
    assert times.furthest == 95
    times.watch({"b": MIN_WATERMARK, "c": MIN_WATERMARK})
    assert times.largest == {"b": 95, "c": MIN_WATERMARK}
    assert times.reach("b", 99) == MIN_WATERMARK
