"""Flink's serializers of tuples and rows, out of those of their fields."""

from __future__ import annotations

from operator import call
from typing import TYPE_CHECKING, Any

from millpond.common.types import Row, RowKind
from millpond.errors import SerializationError
from millpond.serialization.basic_coders import SHORT_OF_BYTES
from millpond.serialization.java_hash import INT_MASK
from millpond.serialization.java_serializer import JavaSerializer
from millpond.serialization.mismatch import mismatch, nested, undecodable
from millpond.serialization.row_mask import RowMask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.common.typeinfo import RowTypeInfo, TupleTypeInfo
    from millpond.serialization.function_coder import Decode

__all__ = ("row_serializer", "tuple_serializer")


def tuple_serializer(type_info: TupleTypeInfo, fields: Sequence[JavaSerializer]) -> JavaSerializer:
    """Return TupleSerializer: the fields one after the other, none of them None."""
    signature, count = type_info.signature, len(fields)
    writers = [field.write for field in fields]
    hashes = [field.hash_code for field in fields]

    def write(value: Any) -> bytes:
        if not isinstance(value, tuple) or len(value) != count:
            raise mismatch(signature, value, reason=f"a tuple of {count} fields is needed")
        try:
            return b"".join(map(call, writers, value))
        except SerializationError:
            for position, (write_field, item) in enumerate(zip(writers, value, strict=True)):
                try:
                    write_field(item)
                except SerializationError as error:
                    raise nested(error, f".f{position}") from error
            raise

    def read(data: bytes, offset: int) -> tuple[tuple[Any, ...], int]:
        items = []
        for field in fields:
            item, offset = field.read(data, offset)
            items.append(item)
        return tuple(items), offset

    def hash_code(value: tuple[Any, ...]) -> int:
        if not isinstance(value, tuple):
            raise TypeError(value)
        result = 0
        for hash_field, item in zip(hashes, value, strict=True):
            result = 31 * result + hash_field(item)
        return result & INT_MASK

    return JavaSerializer(write, read, hash_code)


def row_serializer(type_info: RowTypeInfo, fields: Sequence[JavaSerializer]) -> JavaSerializer:
    """Return RowSerializer: the mask, then the fields that are not None."""
    names = type_info.get_field_names()
    mask = RowMask(len(fields))
    hashes = [field.hash_in_row for field in fields]

    def write(value: Any) -> bytes:
        values = _values(type_info, value)
        parts = [mask.write(value.get_row_kind(), values)]
        for name, field, item in zip(names, fields, values, strict=True):
            try:
                if item is not None:
                    parts.append(field.write(item))
            except SerializationError as error:
                raise nested(error, f".{name}") from error
        return b"".join(parts)

    def hash_code(value: Row) -> int:
        # RowUtils.deepHashCodeRow: the kind, then the array of fields as Java hashes arrays.
        result = 1
        for hash_field, item in zip(hashes, _values(type_info, value), strict=True):
            result = 31 * result + (0 if item is None else hash_field(item))
        kind: RowKind = value.get_row_kind()
        return (31 * kind.value + result) & INT_MASK

    return JavaSerializer(write, _read_row(type_info, fields, mask), hash_code, is_row=True)


def _values(type_info: RowTypeInfo, value: Any) -> list[Any]:
    if not isinstance(value, Row):
        raise mismatch(type_info.signature, value, reason="a Row is needed")
    try:
        values = value.get_fields_by_names(type_info.get_field_names())
    except ValueError as error:
        reason = str(error).rstrip(".")
        raise mismatch(type_info.signature, value, reason=reason) from error
    count = len(type_info.get_field_types())
    if len(values) != count:
        reason = f"{count} fields are needed, it has {len(values)}"
        raise mismatch(type_info.signature, value, reason=reason)
    return values


def _read_row(type_info: RowTypeInfo, fields: Sequence[JavaSerializer], mask: RowMask) -> Decode:
    names = type_info.get_field_names()

    def read(data: bytes, offset: int) -> tuple[Row, int]:
        start, offset = offset, offset + mask.size_bytes
        head = data[start:offset]
        if len(head) < mask.size_bytes:
            raise undecodable(type_info.signature, start, SHORT_OF_BYTES)
        kind, nulls = mask.read(head)
        values: list[Any] = []
        for field, is_null in zip(fields, nulls, strict=True):
            if is_null:
                values.append(None)
            else:
                item, offset = field.read(data, offset)
                values.append(item)
        row = Row.of_kind(kind, *values)
        row.set_field_names(names)
        return row, offset

    return read
