"""Windows: what records are grouped by, beside their key.

They are tuples, so that hashing, comparing and ordering them, which happens for every record, costs
no Python call. Windows of different kinds have different lengths and are never equal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, NamedTuple, final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.datastream._windows.assigner import MergingWindowAssigner

__all__ = ("MAX_TIMESTAMP", "MIN_TIMESTAMP", "CountWindow", "GlobalWindow", "TimeWindow", "Window")

MAX_TIMESTAMP: Final = (1 << 63) - 1
MIN_TIMESTAMP: Final = -(1 << 63)


class Window(ABC):
    """Groups records into finite buckets.

    A user's own kind must have `__eq__` and `__hash__`.
    """

    __slots__ = ()

    @abstractmethod
    def max_timestamp(self) -> int:
        """Return the largest timestamp in ms that may belong to the window."""


class _TimeFields(NamedTuple):
    start: int
    end: int


@final
class TimeWindow(_TimeFields, Window):  # type: ignore[metaclass,unused-ignore]
    """The time from `start` (inclusive) to `end` (exclusive), in ms."""

    __slots__ = ()

    def max_timestamp(self) -> int:
        """Return the last ms inside."""
        return self.end - 1

    def intersects(self, other: TimeWindow) -> bool:
        """Return whether the windows overlap or touch."""
        return self.start <= other.end and self.end >= other.start

    def cover(self, other: TimeWindow) -> TimeWindow:
        """Return the smallest window that contains both."""
        return TimeWindow(min(self.start, other.start), max(self.end, other.end))

    @staticmethod
    def get_window_start_with_offset(timestamp: int, offset: int, window_size: int) -> int:
        """Return the start of the window of this size that contains a timestamp."""
        return timestamp - (timestamp - offset) % window_size

    @staticmethod
    def merge_windows(
        windows: Iterable[TimeWindow], callback: MergingWindowAssigner.MergeCallback[TimeWindow]
    ) -> None:
        """Call `callback.merge` for every group of windows that overlap or touch."""
        group: list[TimeWindow] = []
        covered: TimeWindow | None = None
        for window in sorted(windows):
            if covered is not None and covered.intersects(window):
                group.append(window)
                covered = covered.cover(window)
                continue
            if covered is not None and len(group) > 1:
                callback.merge(group, covered)
            group, covered = [window], window
        if covered is not None and len(group) > 1:
            callback.merge(group, covered)


class _CountFields(NamedTuple):
    id: int


@final
class CountWindow(_CountFields, Window):  # type: ignore[metaclass,unused-ignore]
    """The n-th window of a key by the count of its records."""

    __slots__ = ()

    def max_timestamp(self) -> int:
        """Return the largest timestamp there is."""
        return MAX_TIMESTAMP


class _NoFields(NamedTuple):
    pass


@final
class GlobalWindow(_NoFields, Window):  # type: ignore[metaclass,unused-ignore]
    """The one window that holds all records of a key."""

    __slots__ = ()

    @staticmethod
    def get() -> GlobalWindow:
        """Return the global window."""
        return _GLOBAL_WINDOW

    def max_timestamp(self) -> int:
        """Return the largest timestamp there is."""
        return MAX_TIMESTAMP

    def __bool__(self) -> bool:
        return True  # an empty tuple would be false

    def __repr__(self) -> str:
        return "GlobalWindow"


_GLOBAL_WINDOW: Final = GlobalWindow()
