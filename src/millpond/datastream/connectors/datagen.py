"""`DataGeneratorSource`: records computed from their index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.datastream.connectors.source import Records, Source, Split, SplitReader
from millpond.errors import InvalidProgramError, UserCodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from millpond.clock import Clock

__all__ = ("DataGeneratorSource",)


@final
class DataGeneratorSource(Source):
    """Emits ``generator(0)``, ``generator(1)``, …; replayable, because the index is the position.

    Args:
        generator: makes a record of its index; must give the same record for the same index.
        count: how many records there are; None: without end.
        records_per_second: highest rate over all splits; None: as fast as the job takes them.
            It is measured from the opening of a split, and what was missed is not made up for
            by more than one second's records at once.
        split_count: number of contiguous parts that subtasks read in parallel; must stay the same
            over restarts. A source without end, or with a rate, has one.

    Raises:
        InvalidProgramError: an argument is out of its range.
    """

    has_timestamps = False

    def __init__(
        self,
        generator: Callable[[int], Any],
        count: int | None = None,
        *,
        records_per_second: float | None = None,
        split_count: int = 1,
    ) -> None:
        if count is not None and count < 0:
            raise InvalidProgramError("A generator cannot emit less than 0 records.", count=count)
        if records_per_second is not None and records_per_second <= 0:
            raise InvalidProgramError(
                "The rate of a generator must be positive.", records_per_second=records_per_second
            )
        if split_count < 1:
            raise InvalidProgramError("A source needs one split at least.", split_count=split_count)
        if split_count > 1 and (count is None or records_per_second is not None):
            raise InvalidProgramError(
                "A generator without end or with a rate has one split.", split_count=split_count
            )
        self._generator = generator
        self._count = count
        self._rate = records_per_second
        self._split_count = split_count
        self.bounded = count is not None

    def splits(self, parallelism: int) -> Sequence[Split]:
        """Return contiguous ranges of indexes."""
        if self._count is None:
            return (Split("generator", {"from": 0, "to": None}),)
        parts = self._split_count
        bounds = [self._count * part // parts for part in range(parts + 1)]
        return tuple(
            Split(f"generator-{part}", {"from": bounds[part], "to": bounds[part + 1]})
            for part in range(parts)
        )

    def open_split(
        self, split: Split, position: Mapping[str, Any] | None, clock: Clock
    ) -> SplitReader:
        """Start at the next index."""
        start = position["next"] if position else split.payload["from"]
        pace = None if self._rate is None else _Pace(self._rate, clock)
        return _GeneratorReader(self._generator, start, split.payload["to"], pace)


@final
class _Pace:
    """A bucket that fills at a rate and holds one second's records at most."""

    __slots__ = ("_available", "_clock", "_last", "_most", "_rate")

    def __init__(self, records_per_second: float, clock: Clock) -> None:
        self._rate = records_per_second
        self._most = max(records_per_second, 1.0)
        self._clock = clock
        self._last = clock.monotonic()
        self._available = 0.0

    def take(self, limit: int) -> int:
        now = self._clock.monotonic()
        self._available = min(self._available + (now - self._last) * self._rate, self._most)
        self._last = now
        taken = min(limit, int(self._available))
        self._available -= taken
        return taken


@final
class _GeneratorReader(SplitReader):
    def __init__(
        self, generator: Callable[[int], Any], start: int, end: int | None, pace: _Pace | None
    ) -> None:
        self._generator = generator
        self._next = start
        self._end = end
        self._pace = pace

    def read(self, limit: int) -> Records | None:
        if self._end is not None:
            limit = min(limit, self._end - self._next)
        if self._pace is not None:
            limit = self._pace.take(limit)
        if limit <= 0:
            return None
        generator = self._generator
        try:
            values = [generator(index) for index in range(self._next, self._next + limit)]
        except Exception as error:
            raise UserCodeError(
                f"The generator function raised {type(error).__name__}: {error}.",
                first_index=self._next,
                last_index=self._next + limit - 1,
            ) from error
        self._next += limit
        return Records(values)

    @property
    def finished(self) -> bool:
        return self._end is not None and self._next >= self._end

    def position(self) -> Mapping[str, Any]:
        return {"next": self._next}
