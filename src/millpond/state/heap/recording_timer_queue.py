"""`RecordingTimerQueue`: a timer queue that remembers which timers were added and removed."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, final

from millpond.state.contract.timer_queue import Timer, TimerQueue
from millpond.state.heap.change_log import ChangeLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from millpond.state.heap.timer_queue import HeapTimerQueue

__all__ = ("RecordingTimerQueue",)


@final
class RecordingTimerQueue(TimerQueue):
    """What incremental checkpoints put in front of a heap queue.

    The table of a queue has a dictionary a timestamp, often with a timer of every key; a log of
    its own keeps an increment as small as what really changed.

    Attributes:
        queue: the timers.
        log: what changed between snapshots; True for a timer that is there.
    """

    __slots__ = ("_changes", "log", "queue")

    def __init__(self, queue: HeapTimerQueue) -> None:
        self.queue = queue
        self.log = ChangeLog()
        self._changes: dict[Timer, bool | None] = {}

    def cut(self) -> None:
        """Put what changed since the last cut into the log."""
        if self._changes:
            self.log.append(self._changes)
            self._changes = {}

    def add(self, timestamp: int, key: Any, namespace: Any) -> None:
        """Add a timer; adding one that is there changes nothing."""
        self._changes[timestamp, key, namespace] = True
        self.queue.add(timestamp, key, namespace)

    def add_all(self, timestamp: int, keys: Iterable[Any], namespace: Any) -> None:
        """Add a timer of each key, all with one timestamp and namespace."""
        added = list(keys)
        changed = zip(repeat(timestamp), added, repeat(namespace))
        self._changes.update(dict.fromkeys(changed, True))
        self.queue.add_all(timestamp, added, namespace)

    def remove(self, timestamp: int, key: Any, namespace: Any) -> None:
        """Remove a timer; removing one that is not there changes nothing."""
        self._changes[timestamp, key, namespace] = None
        self.queue.remove(timestamp, key, namespace)

    def head(self) -> int | None:
        """Return the smallest timestamp, or None when empty."""
        return self.queue.head()

    def poll(self, up_to: int) -> list[Timer]:
        """Remove and return the first timers of the smallest timestamp, if it is <= `up_to`."""
        due = self.queue.poll(up_to)
        self._changes.update(dict.fromkeys(due))
        return due

    def __len__(self) -> int:
        return len(self.queue)

    def __iter__(self) -> Iterator[Timer]:
        return iter(self.queue)
