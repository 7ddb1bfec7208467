"""The contract of timer queues."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ("Timer", "TimerQueue")

Timer = tuple[int, Any, Any]
"""(timestamp in ms, key, namespace); also a timer's identity."""


class TimerQueue(ABC):
    """Timers of one service and one time domain, ordered by timestamp.

    It is keyed state: its timers belong to the key groups of its backend and are written with the
    backend's snapshots. Only the task thread uses it.

    Timers of equal timestamp come in the order of their encoded (key, namespace) bytes, whatever
    the order they were added in, so that a restored run repeats the calm one.
    """

    @abstractmethod
    def add(self, timestamp: int, key: Any, namespace: Any) -> None:
        """Add a timer; adding one that is there changes nothing. O(log n)."""

    def add_all(self, timestamp: int, keys: Iterable[Any], namespace: Any) -> None:
        """Add a timer of each key, all with one timestamp and namespace; cheap."""
        for key in keys:
            self.add(timestamp, key, namespace)

    @abstractmethod
    def remove(self, timestamp: int, key: Any, namespace: Any) -> None:
        """Remove a timer; removing one that is not there changes nothing."""

    @abstractmethod
    def head(self) -> int | None:
        """Return the smallest timestamp, or None when empty. O(1)."""

    @abstractmethod
    def poll(self, up_to: int) -> list[Timer]:
        """Remove and return the timers of the smallest timestamp, if it is <= `up_to`.

        All timers of that one timestamp come in one list (in pieces of bounded size if they are
        many), so callers loop until it is empty; timers added meanwhile are seen.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Return how many timers there are; may scan."""

    @abstractmethod
    def __iter__(self) -> Iterator[Timer]:
        """Iterate over all timers in no particular order; the queue must not change meanwhile."""
