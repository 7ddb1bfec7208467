"""Session windows: they end when a key was silent for a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from millpond.datastream._milliseconds import milliseconds
from millpond.datastream._windows.assigner import (
    MergingWindowAssigner,
    SessionWindowTimeGapExtractor,
    WindowAssigner,
)
from millpond.datastream._windows.standard_trigger import EventTimeTrigger, ProcessingTimeTrigger
from millpond.datastream._windows.time_assigner import check_window_fits, event_timestamp
from millpond.datastream._windows.window import TimeWindow
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.common.serializer import TypeSerializer
    from millpond.common.time import Duration, Time
    from millpond.datastream._windows.trigger import Trigger

__all__ = (
    "DynamicEventTimeSessionWindows",
    "DynamicProcessingTimeSessionWindows",
    "EventTimeSessionWindows",
    "ProcessingTimeSessionWindows",
)

T = TypeVar("T")


class _SessionWindows(MergingWindowAssigner[T, TimeWindow]):
    def merge_windows(
        self,
        windows: Iterable[TimeWindow],
        callback: MergingWindowAssigner.MergeCallback[TimeWindow],
    ) -> None:
        """Merge the windows that overlap or touch."""
        TimeWindow.merge_windows(windows, callback)

    def get_window_serializer(self) -> TypeSerializer[TimeWindow]:
        """Return the serializer of time windows."""
        from millpond.datastream._windows.serializer import TimeWindowSerializer

        return TimeWindowSerializer()


class _FixedGap(_SessionWindows[T]):
    def __init__(self, session_gap: int) -> None:
        if session_gap <= 0:
            raise InvalidProgramError(
                f"{type(self).__name__} with a gap of {session_gap} ms cannot be.",
                hint="The gap must be above 0.",
            )
        self.session_gap = session_gap

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.session_gap})"


class _DynamicGap(_SessionWindows[T]):
    def __init__(self, session_window_time_gap_extractor: SessionWindowTimeGapExtractor) -> None:
        if not callable(getattr(session_window_time_gap_extractor, "extract", None)):
            raise InvalidProgramError(
                f"{session_window_time_gap_extractor!r} is no SessionWindowTimeGapExtractor."
            )
        self._extractor = session_window_time_gap_extractor

    def _gap(self, element: T) -> int:
        gap = self._extractor.extract(element)
        if type(gap) is not int or gap <= 0:
            raise InvalidProgramError(
                f"The dynamic session gap of a record is {gap!r} ms.",
                hint="extract() must return a whole number above 0.",
                record=repr(element)[:200],
            )
        return gap

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._extractor!r})"


class _EventTime(_SessionWindows[T]):
    def get_default_trigger(self, env: Any) -> Trigger[T, TimeWindow]:
        """Return an `EventTimeTrigger`."""
        return EventTimeTrigger()

    def is_event_time(self) -> bool:
        """Return True."""
        return True


class _ProcessingTime(_SessionWindows[T]):
    def get_default_trigger(self, env: Any) -> Trigger[T, TimeWindow]:
        """Return a `ProcessingTimeTrigger`."""
        return ProcessingTimeTrigger()

    def is_event_time(self) -> bool:
        """Return False."""
        return False


class EventTimeSessionWindows(_FixedGap[T], _EventTime[T]):
    """Sessions by event time with one gap for all.

    Raises:
        InvalidProgramError: the gap is not above 0.
    """

    @staticmethod
    def with_gap(size: Time | Duration) -> EventTimeSessionWindows[Any]:
        """Return sessions that end after this gap."""
        return EventTimeSessionWindows(milliseconds(size, "session gap"))

    @staticmethod
    def with_dynamic_gap(
        extractor: SessionWindowTimeGapExtractor,
    ) -> DynamicEventTimeSessionWindows[Any]:
        """Return sessions whose gap is each record's own."""
        return DynamicEventTimeSessionWindows(extractor)

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[TimeWindow]:
        """Return the session that the record alone would be."""
        start = event_timestamp(timestamp, self)
        check_window_fits(start, start + self.session_gap, self)
        return [TimeWindow(start, start + self.session_gap)]


class ProcessingTimeSessionWindows(_FixedGap[T], _ProcessingTime[T]):
    """Sessions by the machine's clock with one gap for all.

    Raises:
        InvalidProgramError: the gap is not above 0.
    """

    @staticmethod
    def with_gap(size: Time | Duration) -> ProcessingTimeSessionWindows[Any]:
        """Return sessions that end after this gap."""
        return ProcessingTimeSessionWindows(milliseconds(size, "session gap"))

    @staticmethod
    def with_dynamic_gap(
        extractor: SessionWindowTimeGapExtractor,
    ) -> DynamicProcessingTimeSessionWindows[Any]:
        """Return sessions whose gap is each record's own."""
        return DynamicProcessingTimeSessionWindows(extractor)

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[TimeWindow]:
        """Return the session that the record alone would be."""
        start = context.get_current_processing_time()
        return [TimeWindow(start, start + self.session_gap)]


class DynamicEventTimeSessionWindows(_DynamicGap[T], _EventTime[T]):
    """Sessions by event time whose gap is each record's own.

    Raises:
        InvalidProgramError: the extractor has no `extract`, or it returns a gap not above 0.
    """

    @staticmethod
    def with_dynamic_gap(
        extractor: SessionWindowTimeGapExtractor,
    ) -> DynamicEventTimeSessionWindows[Any]:
        """Return sessions whose gap is each record's own."""
        return DynamicEventTimeSessionWindows(extractor)

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[TimeWindow]:
        """Return the session that the record alone would be."""
        start, gap = event_timestamp(timestamp, self), self._gap(element)
        check_window_fits(start, start + gap, self)
        return [TimeWindow(start, start + gap)]


class DynamicProcessingTimeSessionWindows(_DynamicGap[T], _ProcessingTime[T]):
    """Sessions by the machine's clock whose gap is each record's own.

    Raises:
        InvalidProgramError: the extractor has no `extract`, or it returns a gap not above 0.
    """

    @staticmethod
    def with_dynamic_gap(
        extractor: SessionWindowTimeGapExtractor,
    ) -> DynamicProcessingTimeSessionWindows[Any]:
        """Return sessions whose gap is each record's own."""
        return DynamicProcessingTimeSessionWindows(extractor)

    def assign_windows(
        self, element: T, timestamp: int, context: WindowAssigner.WindowAssignerContext
    ) -> list[TimeWindow]:
        """Return the session that the record alone would be."""
        start = context.get_current_processing_time()
        return [TimeWindow(start, start + self._gap(element))]
