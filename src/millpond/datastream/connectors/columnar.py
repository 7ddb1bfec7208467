"""`ColumnarSource`: records from numpy arrays, which built-in aggregations use as they are."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.connectors.source import ColumnarRecords, Source, Split, SplitReader
from millpond.errors import InvalidProgramError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from millpond.clock import Clock

__all__ = ("ColumnarSource",)

_SPLIT_COUNT = 64
_BATCH_MULTIPLE = 8


@final
class ColumnarSource(Source):
    """Emits records whose fields are the elements of numpy arrays.

    Records are tuples, one field a column. ``key_by(operator.itemgetter(0))``, the built-in `sum`
    of a stream, and `Aggregations` over tumbling event-time windows work on the arrays; every other
    operator gets ordinary tuples of Python's own numbers and texts. State and savepoints are the
    same either way.

    `columns` are arrays of one length, or a function that returns the columns of the records from
    `start` to before `stop`, with `length`: it must give the same for the same range every time.
    `timestamp_position` names a column of integers that is the event time in ms. Needs the extra
    ``millpond[columnar]``.

    Raises:
        InvalidProgramError: the columns differ in length, or are none, or have more than one
            dimension; or there is a function without a length.
        MissingDependencyError: numpy is not installed.
    """

    batch_multiple = _BATCH_MULTIPLE

    def __init__(
        self,
        columns: Sequence[Any] | Callable[[int, int], Sequence[Any]],
        length: int | None = None,
        timestamp_position: int | None = None,
    ) -> None:
        try:
            import numpy  # noqa: F401, ICN001 - whether it is there, before the job runs
        except ImportError as error:
            raise MissingDependencyError(
                "A columnar source needs numpy.", hint="pip install 'millpond[columnar]'"
            ) from error
        if callable(columns):
            if length is None or length < 0:
                raise InvalidProgramError("A function that makes columns needs a length.")
            self._columns: Callable[[int, int], Sequence[Any]] = columns
            self._length = length
        else:
            arrays = _checked(columns)
            self._columns = _Slices(arrays)
            self._length = len(arrays[0])
        self._timestamp_position = timestamp_position

    def splits(self, parallelism: int) -> Sequence[Split]:
        """Return contiguous ranges in ascending order, whatever the parallelism."""
        count = min(self._length, _SPLIT_COUNT)
        bounds = [self._length * index // count for index in range(count + 1)] if count else []
        return tuple(
            Split(f"{start}..{stop}", {"start": start, "stop": stop})
            for start, stop in itertools.pairwise(bounds)
        )

    def open_split(
        self, split: Split, position: Mapping[str, Any] | None, clock: Clock
    ) -> SplitReader:
        """Start at the next record."""
        start = position["next"] if position else split.payload["start"]
        return _ColumnsReader(self._columns, start, split.payload["stop"], self._timestamp_position)


@final
class _Slices:
    """Parts of arrays that are in memory."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        self._arrays = arrays

    def __call__(self, start: int, stop: int) -> Sequence[Any]:
        return [array[start:stop] for array in self._arrays]


@final
class _ColumnsReader(SplitReader):
    def __init__(
        self,
        columns: Callable[[int, int], Sequence[Any]],
        start: int,
        stop: int,
        timestamp_position: int | None,
    ) -> None:
        self._columns = columns
        self._next = start
        self._stop = stop
        self._timestamp_position = timestamp_position

    def read(self, limit: int) -> ColumnarRecords | None:
        start, stop = self._next, min(self._next + limit, self._stop)
        if start >= stop:
            return None
        columns = _checked(self._columns(start, stop))
        if len(columns[0]) != stop - start:
            raise InvalidProgramError(
                f"The columns of a source hold {len(columns[0])} records, not {stop - start}.",
                start=start,
                stop=stop,
            )
        self._next = stop
        return ColumnarRecords(columns, self._timestamp_position)

    @property
    def finished(self) -> bool:
        return self._next >= self._stop

    def position(self) -> Mapping[str, Any]:
        return {"next": self._next}


def _checked(columns: Sequence[Any]) -> Sequence[Any]:
    import numpy as np

    arrays = [np.asarray(column) for column in columns]
    if not arrays:
        raise InvalidProgramError("A columnar source needs at least one column.")
    if any(array.ndim != 1 for array in arrays):
        raise InvalidProgramError("A column must have one dimension.")
    if len(set(map(len, arrays))) > 1:
        raise InvalidProgramError(
            "The columns of a source differ in length.", lengths=str([len(a) for a in arrays])
        )
    return arrays
