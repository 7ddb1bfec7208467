"""`ListSequence`: the numbers that keep the rows of lists in the order they were added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from millpond.state.rocksdb.database import ColumnFamily

__all__ = ("LIST_SEQUENCE_LENGTH", "ListSequence")

LIST_SEQUENCE_LENGTH: Final = 8
_ROW: Final = b"millpond-list-sequence"


@final
class ListSequence:
    """A counter of one backend, kept in its database, in the default column family.

    So every copy of the database, whole or in part, brings the number along that rows added later
    must exceed; a database made of several takes the largest.
    """

    def __init__(self, family: ColumnFamily) -> None:
        self._family = family
        row = family.get(_ROW)
        self._next = int.from_bytes(row, "big") if row is not None else 0
        self._stored = self._next

    def reserve(self, count: int) -> int:
        """Return the first of so many numbers."""
        first = self._next
        self._next += count
        return first

    def raise_to(self, number: int) -> None:
        """Make the next number at least this."""
        self._next = max(self._next, number)

    def flush(self) -> None:
        """Write the counter; before every snapshot."""
        if self._next != self._stored:
            self._family.write([(_ROW, self._next.to_bytes(LIST_SEQUENCE_LENGTH, "big"))])
            self._stored = self._next
