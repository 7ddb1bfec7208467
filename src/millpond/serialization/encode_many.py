"""`encode_many`: many values of one type to bytes, with less work a value than one by one."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from millpond.common.typeinfo import BasicType, BasicTypeInfo, TupleTypeInfo
from millpond.errors import SerializationError
from millpond.serialization.function_coder import FunctionCoder
from millpond.serialization.mismatch import ENCODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.serialization.coder import Coder

__all__ = ("encode_many", "number_columns", "pack_rows")

_pack_int = struct.Struct(">i").pack


def encode_many(coder: Coder, values: Sequence[Any]) -> list[bytes]:
    """Return the bytes of each value, as `Coder.encode` gives them.

    Raises:
        SerializationError: one of them does not fit the declared type.
    """
    if values and isinstance(coder, FunctionCoder):
        try:
            if coder.struct_codes:
                return list(pack_rows(coder.struct_codes, number_columns(coder, values)))
            if _is_text(coder) and set(map(type, values)) == {str}:
                return [_pack_int(len(raw)) + raw for raw in map(str.encode, values)]
        except SerializationError:
            raise
        except ENCODE_ERRORS:
            pass  # one by one, the value that does not fit is found
    return list(map(coder.encode, values))


def number_columns(coder: FunctionCoder, values: Sequence[Any]) -> list[Sequence[Any]]:
    """Return the numbers of many values for each of the coder's `struct_codes`.

    Raises one of ENCODE_ERRORS if a value is of another class than most; it may fit nevertheless.
    """
    columns: list[Sequence[Any]] = [values]
    if isinstance(coder.type_info, TupleTypeInfo):
        if set(map(type, values)) != {tuple}:
            raise TypeError(values)
        columns = list(zip(*values, strict=True))
        if len(columns) != len(coder.struct_codes):
            raise ValueError(values)
    for code, column in zip(coder.struct_codes, columns, strict=True):
        if code == "?" and set(map(type, column)) != {bool}:
            raise TypeError(column)
    return columns


def pack_rows(codes: str, columns: Sequence[Sequence[Any]]) -> tuple[bytes, ...]:
    """Return rows of numbers, big-endian; `columns` has all of them for each code of `struct`.

    A code `x` is a zero byte, and has no column.

    Raises what `struct.pack` raises, for a value that is no such number.
    """
    count, width = len(columns[0]) if columns else 0, len(columns)
    flat: list[Any] = [None] * (count * width)
    for index, column in enumerate(columns):
        flat[index::width] = column
    return _cutter(count, codes).unpack(_packer(count, codes).pack(*flat))


@lru_cache(maxsize=16)
def _packer(count: int, codes: str) -> struct.Struct:
    if len(set(codes)) == 1:
        # Many times as quick to make as one code after the other.
        return struct.Struct(f">{count * len(codes)}{codes[0]}")
    return struct.Struct(">" + codes * count)


@lru_cache(maxsize=16)
def _cutter(count: int, codes: str) -> struct.Struct:
    return struct.Struct(f"{struct.calcsize(f'>{codes}')}s" * count)


def _is_text(coder: FunctionCoder) -> bool:
    declared = coder.type_info
    return isinstance(declared, BasicTypeInfo) and declared.basic_type is BasicType.STRING
