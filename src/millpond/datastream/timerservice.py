"""`TimerService`: the user's view of time and timers."""

from __future__ import annotations

from abc import ABC, abstractmethod

__all__ = ("TimerService",)


class TimerService(ABC):
    """Time and timers of the current key; a timer is known by its time, so setting it twice is one.

    All times are in ms since the epoch.
    """

    __slots__ = ()

    @abstractmethod
    def current_processing_time(self) -> int:
        """Return the processing time."""

    @abstractmethod
    def current_watermark(self) -> int:
        """Return the watermark; -2^63 before the first one."""

    @abstractmethod
    def register_processing_time_timer(self, timestamp: int) -> None:
        """Fire when the processing time reaches `timestamp`.

        Raises:
            UnsupportedOperationError: the stream is not keyed.
        """

    @abstractmethod
    def register_event_time_timer(self, timestamp: int) -> None:
        """Fire when the watermark reaches `timestamp`.

        Raises:
            UnsupportedOperationError: the stream is not keyed.
        """

    @abstractmethod
    def delete_processing_time_timer(self, timestamp: int) -> None:
        """Take a processing-time timer back; nothing happens when there is none."""

    @abstractmethod
    def delete_event_time_timer(self, timestamp: int) -> None:
        """Take an event-time timer back; nothing happens when there is none."""
