"""`summarize`: how many entries and bytes each state of a snapshot has, and its largest keys."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

from millpond.state_processor.decoding import EntryDecoder
from millpond.state_processor.entries import read_entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.state_processor.entries import StateEntry
    from millpond.state_processor.savepoint import OperatorContent, Savepoint, StoredState

__all__ = ("KeySize", "StateSummary", "summarize")


@final
@dataclass(frozen=True, slots=True)
class KeySize:
    """One key of a state, as a value of JSON, and what it takes there."""

    key: Any
    entries: int
    size_bytes: int


@final
@dataclass(slots=True)
class StateSummary:
    """One state: what was counted. Operator state has no keys."""

    state: StoredState
    entries: int = 0
    size_bytes: int = 0
    largest_keys: Sequence[KeySize] = field(default_factory=list)


def summarize(
    savepoint: Savepoint, content: OperatorContent, *, largest: int = 3, allow_pickle: bool = False
) -> list[StateSummary]:
    """Read an operator's state once and count.

    The entries of a key stand together in the snapshots of both systems; a key that does not is
    counted in parts.

    Raises:
        FormatError: the state is damaged or of a kind that cannot be read.
        SnapshotCorruptedError: a file is not what was written.
    """
    counts: dict[str, _Count] = {
        state.meta.name: _Count(StateSummary(state), largest) for state in content.states
    }
    for entry in read_entries(savepoint, content):
        name = entry.state.meta.name
        count = counts.get(name)
        if count is None:
            count = counts[name] = _Count(StateSummary(entry.state), largest)
        count.add(entry)
    decoder = EntryDecoder(content, allow_pickle=allow_pickle)
    return [count.finish(decoder) for count in counts.values()]


@final
class _Count:
    """Counts one state; holds the largest keys seen so far and the current one."""

    __slots__ = ("_current", "_entries", "_heap", "_largest", "_number", "_size", "summary")

    def __init__(self, summary: StateSummary, largest: int) -> None:
        self.summary = summary
        self._largest = largest
        self._heap: list[tuple[int, int, int, StateEntry]] = []
        self._current: StateEntry | None = None
        self._entries = 0
        self._size = 0
        self._number = 0

    def add(self, entry: StateEntry) -> None:
        size = entry.size
        self.summary.entries += 1
        self.summary.size_bytes += size
        if self._current is None or entry.key != self._current.key:
            self._end_key()
            self._current = entry
        self._entries += 1
        self._size += size

    def _end_key(self) -> None:
        if self._current is not None and self._current.key and self._largest > 0:
            self._number += 1
            # The number keeps entries, which have no order, from being compared.
            item = (self._size, -self._number, self._entries, self._current._replace(value=b""))
            if len(self._heap) < self._largest:
                heapq.heappush(self._heap, item)
            else:
                heapq.heappushpop(self._heap, item)
        self._entries = 0
        self._size = 0

    def finish(self, decoder: EntryDecoder) -> StateSummary:
        self._end_key()
        self.summary.largest_keys = [
            KeySize(decoder.key(entry), entries, size)
            for size, _, entries, entry in sorted(self._heap, key=lambda item: item[:2])[::-1]
        ]
        return self.summary
