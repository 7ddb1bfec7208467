"""`CollectionSource`: values that the program itself holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.common.row_names import row_naming
from millpond.datastream.connectors.source import Records, Source, Split, SplitReader
from millpond.errors import InvalidProgramError
from millpond.serialization.coders import coder_for
from millpond.serialization.mismatch import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from millpond.clock import Clock
    from millpond.common.typeinfo import TypeInformation

__all__ = ("CollectionSource", "declared_elements")


def declared_elements(values: Iterable[Any], type_info: TypeInformation) -> list[Any]:
    """Return the elements of a collection, each checked against the type declared for them.

    Where the type has rows, tuples and lists become rows. Costs one encoding a value, as in
    PyFlink, which hands a collection to its source in bytes.

    Raises:
        InvalidProgramError: an element does not fit; the error tells which.
    """
    elements = list(values)
    naming = row_naming(type_info)
    if naming is not None:
        elements = [naming(element) for element in elements]
    encode = coder_for(type_info).encode
    for index, element in enumerate(elements):
        try:
            encode(element)
        except Exception as error:
            raise InvalidProgramError(
                f"Element {index} of the collection, of type {type(element).__name__}, does not "
                f"fit the declared type {type_info}: {reason_of(error)}",
                hint="Change the element or the type_info.",
            ) from error
    return elements


@final
class CollectionSource(Source):
    """Emits the elements of a sequence in order; what `env.from_collection` reads.

    It has one split, as Flink's collection source is not parallel; the position is an index.

    Args:
        values: the records; the sequence must be the same when the job restarts.
        timestamps: event times in ms, one a value, or None.
    """

    def __init__(self, values: Sequence[Any], timestamps: Sequence[int] | None = None) -> None:
        self._values = values
        self._timestamps = timestamps
        self.has_timestamps = timestamps is not None

    @property
    def values(self) -> Sequence[Any]:
        """The records."""
        return self._values

    def splits(self, parallelism: int) -> Sequence[Split]:
        """Return the one split."""
        return (Split("collection"),)

    def open_split(
        self,
        split: Split,
        position: Mapping[str, Any] | None,
        clock: Clock,
    ) -> SplitReader:
        """Start at the index after the last value returned."""
        return _CollectionReader(
            self._values, self._timestamps, position["index"] if position else 0
        )


@final
class _CollectionReader(SplitReader):
    def __init__(self, values: Sequence[Any], timestamps: Sequence[int] | None, index: int) -> None:
        self._values = values
        self._timestamps = timestamps
        self._index = index

    def read(self, limit: int) -> Records | None:
        start = self._index
        end = min(start + limit, len(self._values))
        if end <= start:
            return None
        self._index = end
        timestamps = self._timestamps
        return Records(
            list(self._values[start:end]),
            None if timestamps is None else list(timestamps[start:end]),
        )

    @property
    def finished(self) -> bool:
        return self._index >= len(self._values)

    def position(self) -> Mapping[str, Any]:
        return {"index": self._index}
