"""`NumberSequenceSource`: the integers from a first to a last."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.connectors.source import Records, Source, Split, SplitReader
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from millpond.clock import Clock

__all__ = ("NumberSequenceSource",)

_SPLIT_COUNT = 64


@final
class NumberSequenceSource(Source):
    """Emits `start`, `start` + 1, … `end`, both included.

    The sequence is cut into 64 contiguous splits whatever the parallelism is, so that a job
    restored with another parallelism finds the splits of its checkpoint.
    Flink: NumberSequenceSource.

    Raises:
        InvalidProgramError: `start` is greater than `end`.
    """

    has_timestamps = False

    def __init__(self, start: int, end: int) -> None:
        if start > end:
            raise InvalidProgramError(
                "A number sequence ends before it starts.", start=start, end=end
            )
        self._start = start
        self._end = end

    def splits(self, parallelism: int) -> Sequence[Split]:
        """Return contiguous ranges in ascending order."""
        total = self._end - self._start + 1
        count = min(total, _SPLIT_COUNT)
        bounds = [self._start + total * index // count for index in range(count + 1)]
        return tuple(
            Split(f"{first}..{after - 1}", {"from": first, "to": after - 1})
            for first, after in itertools.pairwise(bounds)
        )

    def open_split(
        self,
        split: Split,
        position: Mapping[str, Any] | None,
        clock: Clock,
    ) -> SplitReader:
        """Start at the next number."""
        start = position["next"] if position else split.payload["from"]
        return _NumberReader(start, split.payload["to"])


@final
class _NumberReader(SplitReader):
    def __init__(self, start: int, end: int) -> None:
        self._next = start
        self._after = end + 1

    def read(self, limit: int) -> Records | None:
        start = self._next
        self._next = min(start + limit, self._after)
        return Records(list(range(start, self._next))) if self._next > start else None

    @property
    def finished(self) -> bool:
        return self._next >= self._after

    def position(self) -> Mapping[str, Any]:
        return {"next": self._next}
