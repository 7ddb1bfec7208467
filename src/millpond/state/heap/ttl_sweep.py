"""`TtlSweep`: removes expired entries from a heap table that nobody touches, bit by bit."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, final

from millpond.state.contract.ttl import TtlPolicy, unexpired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.state.contract.definition import StateKind
    from millpond.state.heap.table import FrozenTable, HeapTable

__all__ = ("TtlSweep",)

_VISITS_PER_CLEANUP_SIZE = 200
_LONGEST_PAUSE_MS = 60_000


@final
class TtlSweep:
    """Walks over a table again and again, so many entries after each batch.

    Flink visits `cleanup_size` entries at each access; here a batch visits 200 times as many.
    A walk freezes the table as a snapshot does, because only what cannot change can be iterated
    over in pieces. After a walk it rests for half the TTL, at most a minute: an entry is gone
    after one and a half TTL and the time of a walk, as long as there are batches.
    """

    __slots__ = ("_entries", "_kind", "_next_ms", "_policy", "_table", "_view")

    def __init__(self, kind: StateKind, policy: TtlPolicy, table: HeapTable) -> None:
        self._kind = kind
        self._policy = policy
        self._table = table
        self._view: FrozenTable | None = None
        self._entries: Iterator[Any] = iter(())
        self._next_ms: int | None = None

    def step(self, now_ms: int) -> None:
        """Visit the next entries, or start a walk if it is time and there are entries."""
        if self._view is None and not self._start(now_ms):
            return
        table, until = self._table, now_ms - self._policy.ttl_ms
        count = self._policy.cleanup_size * _VISITS_PER_CLEANUP_SIZE
        visited = 0
        for key in islice(self._entries, count):
            visited += 1
            entry = table.peek(key)
            if entry is not None:
                kept = unexpired(self._kind, entry, until)
                if kept is None:
                    table.active.pop(key, None)
                elif kept is not entry:
                    # Filtered afresh from a copy: the frozen entry's values must not be shared.
                    table.active[key] = unexpired(self._kind, table.active.get(key), until)
        if visited < count:
            self.stop()
            self._next_ms = now_ms + min(max(1, self._policy.ttl_ms // 2), _LONGEST_PAUSE_MS)

    def stop(self) -> None:
        """End the walk."""
        if self._view is not None:
            self._table.release(self._view)
            self._view = None
            self._entries = iter(())

    def _start(self, now_ms: int) -> bool:
        if self._next_ms is None:
            self._next_ms = now_ms + min(self._policy.ttl_ms, _LONGEST_PAUSE_MS)
        if now_ms < self._next_ms or self._table.is_empty or not self._table.is_idle:
            return False
        self._view = self._table.freeze()
        self._entries = iter(self._view.oldest())
        return True
