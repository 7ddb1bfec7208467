"""`FixedRowLayout`: rows of one length, made many at a time.

Numbers of fixed length give rows that differ in some places only. The numbers of a row are kept as
a short record; records become rows by copying a template and one column of bytes after the other
into it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("FixedRowLayout",)


@final
class FixedRowLayout:
    """The layout of a row: constant bytes, and numbers by their code in `struct`, big-endian.

    Immutable; safe for several threads.

    Attributes:
        codes: of all numbers of a row; a record is these numbers, one after the other.
        record_bytes: length of a record.
        row_bytes: length of a row.
    """

    __slots__ = ("_places", "_template", "codes", "record_bytes", "row_bytes")

    def __init__(self, parts: Iterable[bytes | str]) -> None:
        """Make a layout of constants (`bytes`) and codes of `struct` without counts (`str`)."""
        template = b""
        places: list[int] = []
        codes = ""
        for part in parts:
            if isinstance(part, bytes):
                template += part
            else:
                codes += part
                size = struct.calcsize(f">{part}")
                places += range(len(template), len(template) + size)
                template += bytes(size)
        self.codes = codes
        # Where each byte of a record is in a row.
        self._places = tuple(places)
        self._template = template
        self.record_bytes = len(places)
        self.row_bytes = len(template)

    def rows(self, records: bytes | bytearray, prefix: bytes, at: int) -> bytearray:
        """Return the rows of some records, one after the other; all have `prefix` at `at`."""
        template = self._template
        template = template[:at] + prefix + template[at + len(prefix) :]
        rows = bytearray(template * (len(records) // self.record_bytes))
        row_bytes, record_bytes = self.row_bytes, self.record_bytes
        for in_record, in_row in enumerate(self._places):
            rows[in_row::row_bytes] = records[in_record::record_bytes]
        return rows
