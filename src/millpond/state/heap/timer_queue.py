"""`HeapTimerQueue`: timers in a table of timestamps, ordered by a heap of the distinct ones."""

from __future__ import annotations

import heapq
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, final

from millpond.state.contract.timer_queue import Timer, TimerQueue
from millpond.state.heap.table import HeapTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ("HeapTimerQueue",)

_PIECE = 4096

_Bucket = dict[tuple[Any, Any], None]


@final
class HeapTimerQueue(TimerQueue):
    """Timers of one service and domain.

    The table maps a timestamp to its (key, namespace) pairs and is frozen for snapshots like any
    state's. The heap is derived: it holds each timestamp of the table once, and perhaps some
    whose timers were all removed.

    Attributes:
        table: what a snapshot freezes.
    """

    __slots__ = ("_encode", "_entries", "_heap", "_in_heap", "_ordered", "table")

    _entries: dict[int, _Bucket]

    def __init__(self, encode: Callable[[Any, Any], bytes]) -> None:
        """Make an empty queue; `encode` gives the bytes of (key, namespace) that break ties."""
        self.table = HeapTable(dict[Any, Any].copy)
        self.table.attach(self)
        self._encode = encode
        self._heap: list[int] = []
        self._in_heap: set[int] = set()
        self._ordered: int | None = None  # the timestamp whose bucket stands in order

    def add(self, timestamp: int, key: Any, namespace: Any) -> None:
        """Add a timer; adding one that is there changes nothing."""
        bucket = self._entries.get(timestamp)
        if bucket is None:
            self._entries[timestamp] = {(key, namespace): None}
            if timestamp not in self._in_heap:
                self._in_heap.add(timestamp)
                heapq.heappush(self._heap, timestamp)
        else:
            bucket[key, namespace] = None
            if timestamp == self._ordered:
                self._ordered = None

    def add_all(self, timestamp: int, keys: Iterable[Any], namespace: Any) -> None:
        """Add a timer of each key, all with one timestamp and namespace."""
        added = dict.fromkeys(zip(keys, repeat(namespace)))
        if not added:
            return
        bucket = self._entries.get(timestamp)
        if bucket is not None:
            bucket.update(added)
            if timestamp == self._ordered:
                self._ordered = None
            return
        self._entries[timestamp] = added
        if timestamp not in self._in_heap:
            self._in_heap.add(timestamp)
            heapq.heappush(self._heap, timestamp)

    def remove(self, timestamp: int, key: Any, namespace: Any) -> None:
        """Remove a timer; removing one that is not there changes nothing."""
        bucket = self._entries.get(timestamp)
        if bucket is not None:
            bucket.pop((key, namespace), None)
            if not bucket:
                self._entries.pop(timestamp, None)

    def head(self) -> int | None:
        """Return the smallest timestamp, or None when empty. O(1) amortized."""
        heap = self._heap
        while heap:
            if self.table.peek(heap[0]) is not None:
                return heap[0]
            self._in_heap.discard(heapq.heappop(heap))
        return None

    def poll(self, up_to: int) -> list[Timer]:
        """Remove and return the first timers of the smallest timestamp, if it is <= `up_to`."""
        timestamp = self.head()
        if timestamp is None or timestamp > up_to:
            return []
        bucket = self._entries.get(timestamp)
        assert bucket is not None
        if len(bucket) > 1 and timestamp != self._ordered:
            encode = self._encode
            pairs = list(bucket)
            # Keys are encoded once and not in the sort; the places keep ties from being compared.
            order = sorted(zip([encode(*pair) for pair in pairs], range(len(pairs)), strict=True))
            pairs = [pairs[place] for _, place in order]
        else:
            pairs = list(islice(bucket, _PIECE))
        due = pairs[:_PIECE]
        if len(due) < len(bucket):
            if timestamp != self._ordered:
                self._entries[timestamp] = dict.fromkeys(pairs[_PIECE:])
                self._ordered = timestamp
            else:
                for pair in due:
                    del bucket[pair]
        else:
            self._entries.pop(timestamp, None)
            self._ordered = None
        return [(timestamp, key, namespace) for key, namespace in due]

    def __len__(self) -> int:
        return sum(len(bucket) for _, bucket in self.table.items())

    def __iter__(self) -> Iterator[Timer]:
        for timestamp, bucket in self.table.items():
            for key, namespace in bucket:
                yield timestamp, key, namespace
