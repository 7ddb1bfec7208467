"""The coder of rows: the mask, then the fields that are not None, byte for byte PyFlink's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.common.types import Row, RowKind
from millpond.errors import SerializationError
from millpond.serialization.basic_coders import SHORT_OF_BYTES
from millpond.serialization.function_coder import FunctionCoder
from millpond.serialization.mismatch import mismatch, nested, undecodable
from millpond.serialization.row_mask import RowMask

if TYPE_CHECKING:
    from millpond.common.typeinfo import RowTypeInfo

__all__ = ("row_coder",)


def row_coder(type_info: RowTypeInfo, fields: tuple[FunctionCoder, ...]) -> FunctionCoder:
    """Return the coder of rows with these fields.

    A row with names is written in the order of the declared names; a decoded row has them.
    """
    signature = type_info.signature
    names = type_info.get_field_names()
    mask = RowMask(len(fields))
    mask_size, no_nulls = mask.size_bytes, mask.no_nulls
    encoders = [field.encode for field in fields]
    decoders = [field.decode_from for field in fields]
    insert, count = RowKind.INSERT, len(fields)

    def encode(value: Any) -> bytes:
        if not isinstance(value, Row):
            raise mismatch(signature, value, reason="a Row is needed")
        try:
            values = value.get_fields_by_names(names)
            if len(values) != count:
                raise _explain(type_info, fields, value)
            body = [encode(v) for encode, v in zip(encoders, values, strict=True) if v is not None]
        except (SerializationError, ValueError) as error:
            raise _explain(type_info, fields, value) from error
        kind = value.get_row_kind()
        if len(body) == count and kind is insert:
            return no_nulls + b"".join(body)
        return mask.write(kind, values) + b"".join(body)

    def decode_from(data: bytes, offset: int) -> tuple[Row, int]:
        start = offset
        offset += mask_size
        head = data[start:offset]
        values: list[Any] = []
        row = Row()
        if head == no_nulls:
            for decode in decoders:
                item, offset = decode(data, offset)
                values.append(item)
        elif len(head) < mask_size:
            raise undecodable(signature, start, SHORT_OF_BYTES)
        else:
            kind, nulls = mask.read(head)
            row.set_row_kind(kind)
            for decode, is_null in zip(decoders, nulls, strict=True):
                if is_null:
                    values.append(None)
                else:
                    item, offset = decode(data, offset)
                    values.append(item)
        row._values = values  # noqa: SLF001
        row._fields = list(names)
        return row, offset

    return FunctionCoder(
        type_info,
        encode,
        decode_from,
        minimum_size_bytes=mask_size,
        pickled=any(field.pickled for field in fields),
    )


def _explain(
    type_info: RowTypeInfo, fields: tuple[FunctionCoder, ...], row: Row
) -> SerializationError:
    names = type_info.get_field_names()
    try:
        values = row.get_fields_by_names(names)
    except ValueError as error:
        return mismatch(type_info.signature, row, reason=str(error).rstrip("."))
    if len(values) != len(fields):
        return mismatch(
            type_info.signature,
            row,
            reason=f"{len(fields)} fields are needed, it has {len(values)}",
        )
    for name, field, item in zip(names, fields, values, strict=True):
        try:
            if item is not None:
                field.encode(item)
        except SerializationError as error:
            return nested(error, f".{name}")
    return mismatch(type_info.signature, row)
