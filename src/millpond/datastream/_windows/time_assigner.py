"""Tumbling and sliding windows by time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from millpond.datastream._milliseconds import milliseconds
from millpond.datastream._windows.assigner import WindowAssigner
from millpond.datastream._windows.standard_trigger import EventTimeTrigger, ProcessingTimeTrigger
from millpond.datastream._windows.window import MAX_TIMESTAMP, MIN_TIMESTAMP, TimeWindow
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from millpond.common.serializer import TypeSerializer
    from millpond.common.time import Duration, Time
    from millpond.datastream._windows.trigger import Trigger

__all__ = (
    "SlidingEventTimeWindows",
    "SlidingProcessingTimeWindows",
    "TumblingEventTimeWindows",
    "TumblingProcessingTimeWindows",
    "check_window_fits",
    "event_timestamp",
)

T = TypeVar("T")


class _TimeWindows(WindowAssigner[T, TimeWindow]):
    def get_window_serializer(self) -> TypeSerializer[TimeWindow]:
        """Return the serializer of time windows."""
        from millpond.datastream._windows.serializer import TimeWindowSerializer

        return TimeWindowSerializer()


class _EventTimeWindows(_TimeWindows[T]):
    def get_default_trigger(self, env: Any) -> Trigger[T, TimeWindow]:
        """Return an `EventTimeTrigger`."""
        return EventTimeTrigger()

    def is_event_time(self) -> bool:
        """Return True."""
        return True


class _ProcessingTimeWindows(_TimeWindows[T]):
    def get_default_trigger(self, env: Any) -> Trigger[T, TimeWindow]:
        """Return a `ProcessingTimeTrigger`."""
        return ProcessingTimeTrigger()

    def is_event_time(self) -> bool:
        """Return False."""
        return False


class _Tumbling(_TimeWindows[T]):
    """Attributes: `size` and `offset` in ms."""

    def __init__(self, size: int, offset: int) -> None:
        if size <= 0 or abs(offset) >= size:
            raise InvalidProgramError(
                f"{type(self).__name__} of size {size} ms and offset {offset} ms cannot be.",
                hint="The size must be above 0 and the offset smaller than the size.",
            )
        self.size = size
        self.offset = offset

    def _window(self, timestamp: int) -> TimeWindow:
        start = timestamp - (timestamp - self.offset) % self.size
        check_window_fits(start, start + self.size, self)
        return TimeWindow(start, start + self.size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size}, {self.offset})"


class _Sliding(_TimeWindows[T]):
    """Attributes: `size`, `slide` and `offset` in ms."""

    def __init__(self, size: int, slide: int, offset: int) -> None:
        if size <= 0 or slide <= 0 or abs(offset) >= slide:
            raise InvalidProgramError(
                f"{type(self).__name__} of size {size} ms, slide {slide} ms and offset {offset} ms "
                "cannot be.",
                hint="Size and slide must be above 0 and the offset smaller than the slide.",
            )
        self.size = size
        self.slide = slide
        self.offset = offset

    def _windows(self, timestamp: int) -> list[TimeWindow]:
        size = self.size
        last_start = timestamp - (timestamp - self.offset) % self.slide
        check_window_fits(timestamp - size, last_start + size, self)
        return [
            TimeWindow(start, start + size)
            for start in range(last_start, timestamp - size, -self.slide)
        ]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size}, {self.slide}, {self.offset})"


class TumblingEventTimeWindows(_Tumbling[T], _EventTimeWindows[T]):
    """Windows of equal size, one after the other, by event time.

    Raises:
        InvalidProgramError: the size is not above 0, or the offset not smaller than the size.
    """

    @staticmethod
    def of(size: Time | Duration, offset: Time | Duration | None = None) -> Any:
        """Return windows of this size; `offset` shifts their starts from the epoch."""
        return TumblingEventTimeWindows(*_times(size=size, offset=offset))

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[TimeWindow]:
        """Return the one window that holds the timestamp."""
        return [self._window(event_timestamp(timestamp, self))]


class TumblingProcessingTimeWindows(_Tumbling[T], _ProcessingTimeWindows[T]):
    """Windows of equal size, one after the other, by the machine's clock.

    Raises:
        InvalidProgramError: the size is not above 0, or the offset not smaller than the size.
    """

    @staticmethod
    def of(size: Time | Duration, offset: Time | Duration | None = None) -> Any:
        """Return windows of this size; `offset` shifts their starts from the epoch."""
        return TumblingProcessingTimeWindows(*_times(size=size, offset=offset))

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[TimeWindow]:
        """Return the one window that holds the present."""
        return [self._window(context.get_current_processing_time())]


class SlidingEventTimeWindows(_Sliding[T], _EventTimeWindows[T]):
    """Windows of equal size that start at every slide, by event time.

    Raises:
        InvalidProgramError: size or slide is not above 0, or the offset not smaller than the slide.
    """

    @staticmethod
    def of(
        size: Time | Duration, slide: Time | Duration, offset: Time | Duration | None = None
    ) -> Any:
        """Return windows of this size that start at every slide."""
        return SlidingEventTimeWindows(*_times(size=size, slide=slide, offset=offset))

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[TimeWindow]:
        """Return the windows that hold the timestamp, the latest first."""
        return self._windows(event_timestamp(timestamp, self))


class SlidingProcessingTimeWindows(_Sliding[T], _ProcessingTimeWindows[T]):
    """Windows of equal size that start at every slide, by the machine's clock.

    Raises:
        InvalidProgramError: size or slide is not above 0, or the offset not smaller than the slide.
    """

    @staticmethod
    def of(
        size: Time | Duration, slide: Time | Duration, offset: Time | Duration | None = None
    ) -> Any:
        """Return windows of this size that start at every slide."""
        return SlidingProcessingTimeWindows(*_times(size=size, slide=slide, offset=offset))

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[TimeWindow]:
        """Return the windows that hold the present, the latest first."""
        return self._windows(context.get_current_processing_time())


def event_timestamp(timestamp: int | None, assigner: WindowAssigner[Any, Any]) -> int:
    """Return the timestamp of a record that must have one.

    Raises:
        InvalidProgramError: it has none.
    """
    if timestamp is None or timestamp <= MIN_TIMESTAMP:
        raise InvalidProgramError(
            f"{assigner!r} got a record without a timestamp.",
            hint="Call assign_timestamps_and_watermarks(...) before the window, or use windows by "
            "processing time.",
        )
    return timestamp


def check_window_fits(start: int, end: int, assigner: WindowAssigner[Any, Any]) -> None:
    """Check that a window's bounds are numbers of 64 bits, as they are stored.

    Raises:
        InvalidProgramError: they are not.
    """
    if start < MIN_TIMESTAMP or end > MAX_TIMESTAMP:
        raise InvalidProgramError(
            f"{assigner!r} cannot make a window from {start} to {end}: it does not fit 64 bits.",
            hint="Timestamps are milliseconds since the epoch; is this one in another unit?",
        )


def _times(**times: Any) -> list[int]:
    return [
        0 if time is None and name == "offset" else milliseconds(time, f"{name} of the windows")
        for name, time in times.items()
    ]
