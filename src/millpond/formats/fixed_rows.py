"""`FixedRowLayout`: rows of one length, encoded many at a time.

Numbers of fixed length give rows that differ in some places only. The numbers of many rows are
packed by one call into short records; records become rows by copying a template and one column of
bytes after the other into it.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ("FixedRowLayout",)


@final
class FixedRowLayout:
    """The layout of a row: constant bytes, and numbers by their code in `struct`, big-endian.

    Immutable; safe for several threads.

    Attributes:
        record_bytes: length of the numbers of a row, one after the other.
        row_bytes: length of a row.
    """

    __slots__ = ("_codes", "_places", "_template", "record_bytes", "row_bytes")

    def __init__(self, parts: Iterable[bytes | str]) -> None:
        """Make a layout of constants (`bytes`) and codes of `struct` without counts (`str`)."""
        template = b""
        places: list[tuple[int, int]] = []
        codes = ""
        for part in parts:
            if isinstance(part, bytes):
                template += part
                continue
            codes += part
            size = struct.calcsize(f">{part}")
            places += [(len(template) + at, len(places) + at) for at in range(size)]
            template += bytes(size)
        self._codes = codes
        # Of every byte that differs: where it is in a row, and where in a record.
        self._places = tuple((row, index) for index, (row, _) in enumerate(places))
        self._template = template
        self.record_bytes = len(places)
        self.row_bytes = len(template)

    def records(self, columns: Sequence[Sequence[Any]]) -> tuple[bytes, ...]:
        """Return the record of each row; `columns` has the numbers of all rows for each code.

        Raises what `struct.pack` raises, for a value that is no such number.
        """
        count, width = len(columns[0]), len(columns)
        flat: list[Any] = [None] * (count * width)
        for index, column in enumerate(columns):
            flat[index::width] = column
        return _cutter(count, self.record_bytes).unpack(_packer(count, self._codes).pack(*flat))

    def rows(self, records: bytes | bytearray | memoryview, prefix: bytes, at: int) -> bytearray:
        """Return the rows of some records, one after the other; all have `prefix` at `at`."""
        template = self._template
        template = template[:at] + prefix + template[at + len(prefix) :]
        rows = bytearray(template * (len(records) // self.record_bytes))
        row_bytes, record_bytes = self.row_bytes, self.record_bytes
        for in_row, in_record in self._places:
            rows[in_row::row_bytes] = records[in_record::record_bytes]
        return rows


@lru_cache(maxsize=8)
def _packer(count: int, codes: str) -> struct.Struct:
    if len(set(codes)) == 1:
        return struct.Struct(f">{count * len(codes)}{codes[0]}")
    return struct.Struct(">" + codes * count)


@lru_cache(maxsize=8)
def _cutter(count: int, size: int) -> struct.Struct:
    return struct.Struct(f"{size}s" * count)
