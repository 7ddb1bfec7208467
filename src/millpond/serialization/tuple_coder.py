"""The coder of tuples: the fields one after the other, byte for byte PyFlink's."""

from __future__ import annotations

import struct
from operator import call
from typing import TYPE_CHECKING, Any

from millpond.common.types import Row
from millpond.errors import SerializationError
from millpond.serialization.basic_coders import SHORT_OF_BYTES
from millpond.serialization.function_coder import Decode, Encode, FunctionCoder
from millpond.serialization.mismatch import ENCODE_ERRORS, mismatch, nested, undecodable

if TYPE_CHECKING:
    from millpond.common.typeinfo import TupleTypeInfo

__all__ = ("tuple_coder",)


def tuple_coder(type_info: TupleTypeInfo, fields: tuple[FunctionCoder, ...]) -> FunctionCoder:
    """Return the coder of tuples with these fields; lists and rows of that length pass too."""
    codes = "".join(field.struct_code or "" for field in fields)
    codes_of_fields = [field.struct_codes for field in fields]
    encode: Encode
    decode_from: Decode
    if fields and len(codes) == len(fields):
        encode, decode_from = _of_numbers(type_info.signature, fields, codes)
    elif len(fields) == 2:
        encode, decode_from = _of_two(type_info.signature, fields)
    else:
        encode, decode_from = _of_many(type_info.signature, fields)
    return FunctionCoder(
        type_info,
        encode,
        decode_from,
        minimum_size_bytes=sum(field.minimum_size_bytes for field in fields),
        immutable=all(field.immutable for field in fields),
        pickled=any(field.pickled for field in fields),
        struct_codes="".join(codes_of_fields) if all(len(c) == 1 for c in codes_of_fields) else "",
    )


def _of_numbers(
    signature: str, fields: tuple[FunctionCoder, ...], codes: str
) -> tuple[Encode, Decode]:
    packer = struct.Struct(f">{codes}")
    pack, unpack_from, size = packer.pack, packer.unpack_from, packer.size

    def encode(value: Any) -> bytes:
        try:
            if type(value) is tuple or isinstance(value, (tuple, list, Row)):
                return pack(*value)
        except ENCODE_ERRORS as error:
            raise _explain(signature, fields, value) from error
        raise _explain(signature, fields, value)

    def decode_from(data: bytes, offset: int) -> tuple[tuple[Any, ...], int]:
        try:
            return unpack_from(data, offset), offset + size
        except struct.error as error:
            raise undecodable(signature, offset, SHORT_OF_BYTES) from error

    return encode, decode_from


def _of_two(signature: str, fields: tuple[FunctionCoder, ...]) -> tuple[Encode, Decode]:
    encode_first, encode_second = (field.encode for field in fields)
    decode_first, decode_second = (field.decode_from for field in fields)

    def encode(value: Any) -> bytes:
        try:
            if type(value) is tuple or isinstance(value, (tuple, list, Row)):
                first, second = value
                return encode_first(first) + encode_second(second)
        except (SerializationError, ValueError) as error:
            raise _explain(signature, fields, value) from error
        raise _explain(signature, fields, value)

    def decode_from(data: bytes, offset: int) -> tuple[tuple[Any, Any], int]:
        first, offset = decode_first(data, offset)
        second, offset = decode_second(data, offset)
        return (first, second), offset

    return encode, decode_from


def _of_many(signature: str, fields: tuple[FunctionCoder, ...]) -> tuple[Encode, Decode]:
    encoders = [field.encode for field in fields]
    decoders = [field.decode_from for field in fields]
    count = len(fields)

    def encode(value: Any) -> bytes:
        try:
            if (type(value) is tuple or isinstance(value, (tuple, list, Row))) and (
                len(value) == count
            ):
                return b"".join(map(call, encoders, value))
        except SerializationError as error:
            raise _explain(signature, fields, value) from error
        raise _explain(signature, fields, value)

    def decode_from(data: bytes, offset: int) -> tuple[tuple[Any, ...], int]:
        items = []
        for decode in decoders:
            item, offset = decode(data, offset)
            items.append(item)
        return tuple(items), offset

    return encode, decode_from


def _explain(signature: str, fields: tuple[FunctionCoder, ...], value: Any) -> SerializationError:
    if not isinstance(value, (tuple, list, Row)):
        return mismatch(signature, value, reason="a tuple is needed")
    if len(value) != len(fields):
        return mismatch(
            signature, value, reason=f"{len(fields)} fields are needed, it has {len(value)}"
        )
    for position, (field, item) in enumerate(zip(fields, value, strict=True)):
        try:
            field.encode(item)
        except SerializationError as error:
            return nested(error, f".f{position}")
    return mismatch(signature, value)
