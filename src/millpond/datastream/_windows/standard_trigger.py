"""The ready-made triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from millpond.datastream._functions.record import ReduceFunction
from millpond.datastream._milliseconds import milliseconds
from millpond.datastream._state.descriptor import ReducingStateDescriptor
from millpond.datastream._windows.trigger import Trigger, TriggerResult
from millpond.datastream._windows.window import CountWindow, GlobalWindow, TimeWindow, Window
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from millpond.common.time import Duration, Time
    from millpond.datastream._state.interface import ReducingState

__all__ = (
    "ContinuousEventTimeTrigger",
    "ContinuousProcessingTimeTrigger",
    "CountTrigger",
    "EventTimeTrigger",
    "Min",
    "NeverTrigger",
    "ProcessingTimeTrigger",
    "PurgingTrigger",
)

T = TypeVar("T")


class Min(ReduceFunction):
    """Keeps the smaller value."""

    def reduce(self, value1: Any, value2: Any) -> Any:
        """Return the smaller value."""
        return min(value1, value2)


class EventTimeTrigger(Trigger[T, TimeWindow]):
    """Fires when the watermark passes the window's end, and for every late element after it."""

    def on_element(
        self, element: T, timestamp: int, window: TimeWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Fire for a late element, else wait for the window's end."""
        if window.max_timestamp() <= ctx.get_current_watermark():
            return TriggerResult.FIRE
        ctx.register_event_time_timer(window.max_timestamp())
        return TriggerResult.CONTINUE

    def on_processing_time(
        self, time: int, window: TimeWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Go on."""
        return TriggerResult.CONTINUE

    def on_event_time(
        self, time: int, window: TimeWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Fire at the window's end."""
        return TriggerResult.FIRE if time == window.max_timestamp() else TriggerResult.CONTINUE

    def can_merge(self) -> bool:
        """Return True."""
        return True

    def on_merge(self, window: TimeWindow, ctx: Trigger.OnMergeContext) -> None:
        """Wait for the end of the merged window."""
        if window.max_timestamp() > ctx.get_current_watermark():
            ctx.register_event_time_timer(window.max_timestamp())

    def clear(self, window: TimeWindow, ctx: Trigger.TriggerContext) -> None:
        """Take the timer back."""
        ctx.delete_event_time_timer(window.max_timestamp())

    @staticmethod
    def create() -> EventTimeTrigger[Any]:
        """Return a new one."""
        return EventTimeTrigger()


class ProcessingTimeTrigger(Trigger[T, TimeWindow]):
    """Fires when the machine's clock passes the window's end."""

    def on_element(
        self, element: T, timestamp: int, window: TimeWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Wait for the window's end."""
        ctx.register_processing_time_timer(window.max_timestamp())
        return TriggerResult.CONTINUE

    def on_processing_time(
        self, time: int, window: TimeWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Fire."""
        return TriggerResult.FIRE

    def on_event_time(
        self, time: int, window: TimeWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Go on."""
        return TriggerResult.CONTINUE

    def can_merge(self) -> bool:
        """Return True."""
        return True

    def on_merge(self, window: TimeWindow, ctx: Trigger.OnMergeContext) -> None:
        """Wait for the end of the merged window."""
        if window.max_timestamp() > ctx.get_current_processing_time():
            ctx.register_processing_time_timer(window.max_timestamp())

    def clear(self, window: TimeWindow, ctx: Trigger.TriggerContext) -> None:
        """Take the timer back."""
        ctx.delete_processing_time_timer(window.max_timestamp())

    @staticmethod
    def create() -> ProcessingTimeTrigger[Any]:
        """Return a new one."""
        return ProcessingTimeTrigger()


class _ContinuousTrigger(Trigger[T, TimeWindow]):
    """What the two continuous triggers share: the next time to fire is reducing state."""

    def __init__(self, interval: int) -> None:
        if interval <= 0:
            raise InvalidProgramError(f"The interval of a trigger is {interval} ms, not above 0.")
        self.interval = interval
        self.state_desc = ReducingStateDescriptor("fire-time", Min(), _long())

    def _fire_time(self, ctx: Trigger.TriggerContext) -> ReducingState[int]:
        return cast("ReducingState[int]", ctx.get_partitioned_state(self.state_desc))

    def can_merge(self) -> bool:
        """Return True."""
        return True


class ContinuousEventTimeTrigger(_ContinuousTrigger[T]):
    """Fires at every interval of event time and at the window's end.

    Raises:
        InvalidProgramError: the interval is not above 0.
    """

    @staticmethod
    def of(interval: Time | Duration) -> ContinuousEventTimeTrigger[Any]:
        """Return one with this interval."""
        return ContinuousEventTimeTrigger(milliseconds(interval, "interval of the trigger"))

    def on_element(
        self, element: T, timestamp: int, window: TimeWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Fire for a late element, else wait for the next interval."""
        if window.max_timestamp() <= ctx.get_current_watermark():
            return TriggerResult.FIRE
        ctx.register_event_time_timer(window.max_timestamp())
        fire_time = self._fire_time(ctx)
        if fire_time.get() is None:
            self.register_next_fire_timestamp(
                timestamp - timestamp % self.interval, window, ctx, fire_time
            )
        return TriggerResult.CONTINUE

    def on_processing_time(
        self, time: int, window: TimeWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Go on."""
        return TriggerResult.CONTINUE

    def on_event_time(
        self, time: int, window: TimeWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Fire at the window's end and at the interval."""
        if time == window.max_timestamp():
            return TriggerResult.FIRE
        fire_time = self._fire_time(ctx)
        if fire_time.get() != time:
            return TriggerResult.CONTINUE
        fire_time.clear()
        self.register_next_fire_timestamp(time, window, ctx, fire_time)
        return TriggerResult.FIRE

    def on_merge(self, window: TimeWindow, ctx: Trigger.OnMergeContext) -> None:
        """Carry the earliest time to fire over."""
        ctx.merge_partitioned_state(self.state_desc)
        next_fire_time = self._fire_time(ctx).get()
        if next_fire_time is not None:
            ctx.register_event_time_timer(next_fire_time)

    def clear(self, window: TimeWindow, ctx: Trigger.TriggerContext) -> None:
        """Take the timers back."""
        ctx.delete_event_time_timer(window.max_timestamp())
        fire_time = self._fire_time(ctx)
        timestamp = fire_time.get()
        if timestamp is not None:
            ctx.delete_event_time_timer(timestamp)
            fire_time.clear()

    def register_next_fire_timestamp(
        self,
        time: int,
        window: TimeWindow,
        ctx: Trigger.TriggerContext,
        fire_timestamp_state: ReducingState[int],
    ) -> None:
        """Fire an interval after `time`, but not after the window's end."""
        next_fire_time = min(time + self.interval, window.max_timestamp())
        fire_timestamp_state.add(next_fire_time)
        ctx.register_event_time_timer(next_fire_time)


class ContinuousProcessingTimeTrigger(_ContinuousTrigger[T]):
    """Fires at every interval of the machine's clock and at the window's end.

    Raises:
        InvalidProgramError: the interval is not above 0.
    """

    @staticmethod
    def of(interval: Time | Duration) -> ContinuousProcessingTimeTrigger[Any]:
        """Return one with this interval."""
        return ContinuousProcessingTimeTrigger(milliseconds(interval, "interval of the trigger"))

    def on_element(
        self, element: T, timestamp: int, window: TimeWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Wait for the next interval."""
        fire_time = self._fire_time(ctx)
        if fire_time.get() is None:
            now = ctx.get_current_processing_time()
            self.register_next_fire_timestamp(now - now % self.interval, window, ctx, fire_time)
        return TriggerResult.CONTINUE

    def on_processing_time(
        self, time: int, window: TimeWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Fire at the interval."""
        fire_time = self._fire_time(ctx)
        if fire_time.get() != time:
            return TriggerResult.CONTINUE
        fire_time.clear()
        if time < window.max_timestamp():
            self.register_next_fire_timestamp(time, window, ctx, fire_time)
        return TriggerResult.FIRE

    def on_event_time(
        self, time: int, window: TimeWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Go on."""
        return TriggerResult.CONTINUE

    def on_merge(self, window: TimeWindow, ctx: Trigger.OnMergeContext) -> None:
        """Carry the earliest time to fire over."""
        ctx.merge_partitioned_state(self.state_desc)
        next_fire_time = self._fire_time(ctx).get()
        if next_fire_time is not None:
            ctx.register_processing_time_timer(next_fire_time)

    def clear(self, window: TimeWindow, ctx: Trigger.TriggerContext) -> None:
        """Take the timer back."""
        fire_time = self._fire_time(ctx)
        timestamp = fire_time.get()
        if timestamp is not None:
            ctx.delete_processing_time_timer(timestamp)
            fire_time.clear()

    def register_next_fire_timestamp(
        self,
        time: int,
        window: TimeWindow,
        ctx: Trigger.TriggerContext,
        fire_timestamp_state: ReducingState[int],
    ) -> None:
        """Fire an interval after `time`, but not after the window's end."""
        next_fire_time = min(time + self.interval, window.max_timestamp())
        fire_timestamp_state.add(next_fire_time)
        ctx.register_processing_time_timer(next_fire_time)


class PurgingTrigger(Trigger[T, Window]):
    """Purges the window whenever the trigger inside fires."""

    def __init__(self, nested_trigger: Trigger[T, Any]) -> None:
        self.nested_trigger = nested_trigger

    @staticmethod
    def of(nested_trigger: Trigger[Any, Any]) -> PurgingTrigger[Any]:
        """Return one around a trigger."""
        return PurgingTrigger(nested_trigger)

    def on_element(
        self, element: T, timestamp: int, window: Window, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Ask the trigger inside."""
        return _purged(self.nested_trigger.on_element(element, timestamp, window, ctx))

    def on_event_time(
        self, time: int, window: Window, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Ask the trigger inside."""
        return _purged(self.nested_trigger.on_event_time(time, window, ctx))

    def on_processing_time(
        self, time: int, window: Window, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Ask the trigger inside."""
        return _purged(self.nested_trigger.on_processing_time(time, window, ctx))

    def clear(self, window: Window, ctx: Trigger.TriggerContext) -> None:
        """Clear the trigger inside."""
        self.nested_trigger.clear(window, ctx)

    def can_merge(self) -> bool:
        """Return whether the trigger inside can."""
        return self.nested_trigger.can_merge()

    def on_merge(self, window: Window, ctx: Trigger.OnMergeContext) -> None:
        """Let the trigger inside merge."""
        self.nested_trigger.on_merge(window, ctx)


class CountTrigger(Trigger[T, CountWindow]):
    """Fires whenever so many elements were added to a window.

    Raises:
        InvalidProgramError: the count is not above 0.
    """

    def __init__(self, window_size: int) -> None:
        if not isinstance(window_size, int) or window_size <= 0:
            raise InvalidProgramError(f"A count trigger of {window_size!r} elements never fires.")
        self._window_size = window_size
        self._count_state_descriptor = ReducingStateDescriptor("count", _sum, _long())

    @staticmethod
    def of(window_size: int) -> CountTrigger[Any]:
        """Return one for this count."""
        return CountTrigger(window_size)

    def _count(self, ctx: Trigger.TriggerContext) -> ReducingState[int]:
        return cast("ReducingState[int]", ctx.get_partitioned_state(self._count_state_descriptor))

    def on_element(
        self, element: T, timestamp: int, window: CountWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Fire when the count is reached, and start again from 0."""
        count = self._count(ctx)
        count.add(1)
        if (count.get() or 0) < self._window_size:
            return TriggerResult.CONTINUE
        count.clear()
        return TriggerResult.FIRE

    def on_processing_time(
        self, time: int, window: CountWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Go on."""
        return TriggerResult.CONTINUE

    def on_event_time(
        self, time: int, window: CountWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Go on."""
        return TriggerResult.CONTINUE

    def can_merge(self) -> bool:
        """Return True."""
        return True

    def on_merge(self, window: CountWindow, ctx: Trigger.OnMergeContext) -> None:
        """Add the counts up."""
        ctx.merge_partitioned_state(self._count_state_descriptor)

    def clear(self, window: CountWindow, ctx: Trigger.TriggerContext) -> None:
        """Forget the count."""
        self._count(ctx).clear()


class NeverTrigger(Trigger[T, GlobalWindow]):
    """Never fires; the default for `GlobalWindows`."""

    def on_element(
        self, element: T, timestamp: int, window: GlobalWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Go on."""
        return TriggerResult.CONTINUE

    def on_processing_time(
        self, time: int, window: GlobalWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Go on."""
        return TriggerResult.CONTINUE

    def on_event_time(
        self, time: int, window: GlobalWindow, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Go on."""
        return TriggerResult.CONTINUE

    def on_merge(self, window: GlobalWindow, ctx: Trigger.OnMergeContext) -> None:
        """Do nothing: there is no state."""

    def clear(self, window: GlobalWindow, ctx: Trigger.TriggerContext) -> None:
        """Do nothing: there is no state."""


def _sum(a: int, b: int) -> int:
    return a + b


def _long() -> Any:
    from millpond.common.typeinfo import Types

    return Types.LONG()


def _purged(result: TriggerResult) -> TriggerResult:
    return TriggerResult.FIRE_AND_PURGE if result is TriggerResult.FIRE else result
