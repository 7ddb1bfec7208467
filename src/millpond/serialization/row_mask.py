"""The mask in front of a row: two bits for the kind of change, then one bit per field for None.

Flink's RowSerializer and PyFlink's row coder share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.common.types import RowKind

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("RowMask",)

_KIND_BITS = (0b00, 0b10, 0b01, 0b11)
_KINDS = (RowKind.INSERT, RowKind.UPDATE_AFTER, RowKind.UPDATE_BEFORE, RowKind.DELETE)


@final
class RowMask:
    """Writes and reads the mask of rows with one number of fields."""

    __slots__ = ("_bit_count", "no_nulls", "size_bytes")

    def __init__(self, field_count: int) -> None:
        self._bit_count = field_count + 2
        self.size_bytes = (self._bit_count + 7) // 8
        self.no_nulls = bytes(self.size_bytes)
        """The mask of an inserted row without None."""

    def write(self, kind: RowKind, values: Iterable[object]) -> bytes:
        """Return the mask for a row of this kind with these values."""
        bits = _KIND_BITS[kind.value]
        for value in values:
            bits = bits << 1 | (value is None)
        return (bits << (self.size_bytes * 8 - self._bit_count)).to_bytes(self.size_bytes, "big")

    def read(self, data: bytes) -> tuple[RowKind, list[bool]]:
        """Return the kind and, for each field, whether it is None; `data` is the mask alone."""
        padding = self.size_bytes * 8 - self._bit_count
        bits = int.from_bytes(data, "big") >> padding
        count = self._bit_count - 2
        nulls = [bool(bits >> (count - 1 - position) & 1) for position in range(count)]
        return _KINDS[bits >> count], nulls
