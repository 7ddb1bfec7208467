"""Coders of numbers, strings, bytes, decimals and instants, byte for byte PyFlink's."""

from __future__ import annotations

import struct
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from millpond.common.time import Instant
from millpond.common.typeinfo import (
    BasicType,
    BasicTypeInfo,
    InstantTypeInfo,
    PrimitiveArrayTypeInfo,
)
from millpond.serialization.function_coder import FunctionCoder
from millpond.serialization.mismatch import DECODE_ERRORS, ENCODE_ERRORS, mismatch, undecodable

__all__ = (
    "FLOATS",
    "NUMBERS",
    "SHORT_OF_BYTES",
    "big_decimal_coder",
    "boolean_coder",
    "bytes_coder",
    "instant_coder",
    "number_coder",
    "string_coder",
)

SHORT_OF_BYTES: Final = "they end before the value does"

NUMBERS: Final[dict[BasicType, tuple[str, str]]] = {
    BasicType.BYTE: ("b", "an integer from -128 to 127 is needed"),
    BasicType.SHORT: ("h", "an integer from -32768 to 32767 is needed"),
    BasicType.INT: ("i", "an integer from -2**31 to 2**31 - 1 is needed"),
    BasicType.LONG: ("q", "an integer from -2**63 to 2**63 - 1 is needed"),
    BasicType.BIG_INT: ("q", "PyFlink's BIG_INT takes an integer from -2**63 to 2**63 - 1"),
    BasicType.FLOAT: ("f", "a number within the range of 32-bit floats is needed"),
    BasicType.DOUBLE: ("d", "a number within the range of 64-bit floats is needed"),
}
"""Code in `struct` and what a value must be."""

FLOATS: Final = (BasicType.FLOAT, BasicType.DOUBLE)

_INT = struct.Struct(">i")
_INSTANT = struct.Struct(">qi")
_NULL_INSTANT = (-(2**63), -(2**31))


def number_coder(type_info: BasicTypeInfo) -> FunctionCoder:
    """Return the coder of an integer or float type: big-endian, fixed length."""
    code, requirement = NUMBERS[type_info.basic_type]
    packer = struct.Struct(f">{code}")
    pack, unpack_from, size = packer.pack, packer.unpack_from, packer.size
    signature = type_info.signature

    def encode(value: Any) -> bytes:
        try:
            return pack(value)
        except ENCODE_ERRORS as error:
            raise mismatch(signature, value, reason=requirement) from error

    def decode_from(data: bytes, offset: int) -> tuple[Any, int]:
        try:
            return unpack_from(data, offset)[0], offset + size
        except struct.error as error:
            raise undecodable(signature, offset, SHORT_OF_BYTES) from error

    return FunctionCoder(
        type_info,
        encode,
        decode_from,
        minimum_size_bytes=size,
        immutable=True,
        struct_code=code,
    )


def boolean_coder(type_info: BasicTypeInfo) -> FunctionCoder:
    """Return the coder of True and False: one byte."""

    def encode(value: Any) -> bytes:
        if value is True:
            return b"\x01"
        if value is False:
            return b"\x00"
        # numpy's booleans equal Python's; other objects may compare in ways of their own.
        if isinstance(value, int) or type(value).__name__ in {"bool", "bool_"}:
            if value == 1:
                return b"\x01"
            if value == 0:
                return b"\x00"
        raise mismatch("BOOLEAN", value, reason="True or False is needed")

    def decode_from(data: bytes, offset: int) -> tuple[bool, int]:
        try:
            return data[offset] != 0, offset + 1
        except IndexError as error:
            raise undecodable("BOOLEAN", offset, SHORT_OF_BYTES) from error

    return FunctionCoder(
        type_info,
        encode,
        decode_from,
        minimum_size_bytes=1,
        immutable=True,
        struct_codes="?",
    )


def string_coder(type_info: BasicTypeInfo) -> FunctionCoder:
    """Return the coder of text (STRING, CHAR): int length in bytes, then UTF-8."""
    pack, unpack_from = _INT.pack, _INT.unpack_from
    signature = type_info.signature
    one_character = type_info.basic_type is BasicType.CHAR

    def encode(value: Any) -> bytes:
        try:
            raw: bytes = value.encode()
            return pack(len(raw)) + raw
        except ENCODE_ERRORS as error:
            reason = "it holds a lone surrogate" if isinstance(error, UnicodeError) else None
            if isinstance(error, struct.error):
                reason = "it has 2**31 bytes or more"
            raise mismatch(signature, value, reason=reason) from error

    def encode_character(value: Any) -> bytes:
        if not isinstance(value, str) or len(value) != 1 or value > "\uffff":
            raise mismatch(signature, value, reason="one character below U+10000 is needed")
        return encode(value)

    def decode_from(data: bytes, offset: int) -> tuple[str, int]:
        try:
            start = offset + 4
            end = start + unpack_from(data, offset)[0]
            if start <= end <= len(data):
                return data[start:end].decode(), end
        except (struct.error, UnicodeDecodeError) as error:
            reason = "they are no UTF-8" if isinstance(error, UnicodeError) else SHORT_OF_BYTES
            raise undecodable(signature, offset, reason) from error
        raise undecodable(signature, offset, f"a length of {end - start} is impossible")

    return FunctionCoder(
        type_info,
        encode_character if one_character else encode,
        decode_from,
        minimum_size_bytes=4,
        immutable=True,
    )


def bytes_coder(type_info: PrimitiveArrayTypeInfo) -> FunctionCoder:
    """Return the coder of `bytes`: int length, then the bytes."""
    pack, unpack_from = _INT.pack, _INT.unpack_from
    signature = type_info.signature

    def encode(value: Any) -> bytes:
        if type(value) is not bytes and not isinstance(value, bytes):
            raise mismatch(signature, value, reason="bytes are needed")
        try:
            return pack(len(value)) + value
        except struct.error as error:
            raise mismatch(signature, value, reason="it has 2**31 bytes or more") from error

    def decode_from(data: bytes, offset: int) -> tuple[bytes, int]:
        try:
            start = offset + 4
            end = start + unpack_from(data, offset)[0]
        except struct.error as error:
            raise undecodable(signature, offset, SHORT_OF_BYTES) from error
        if not start <= end <= len(data):
            raise undecodable(signature, offset, f"a length of {end - start} is impossible")
        return data[start:end], end

    return FunctionCoder(type_info, encode, decode_from, minimum_size_bytes=4, immutable=True)


def big_decimal_coder(type_info: BasicTypeInfo) -> FunctionCoder:
    """Return the coder of finite decimals: int length, then the decimal as text."""
    pack, unpack_from = _INT.pack, _INT.unpack_from

    def encode(value: Any) -> bytes:
        if not isinstance(value, (Decimal, int)) or not Decimal(value).is_finite():
            raise mismatch("BIG_DEC", value, reason="a finite decimal.Decimal is needed")
        raw = str(Decimal(value)).encode()
        return pack(len(raw)) + raw

    def decode_from(data: bytes, offset: int) -> tuple[Decimal, int]:
        try:
            start = offset + 4
            end = start + unpack_from(data, offset)[0]
            if start <= end <= len(data):
                value = Decimal(data[start:end].decode("ascii"))
                if value.is_finite():
                    return value, end
        except (*DECODE_ERRORS, InvalidOperation) as error:
            raise undecodable("BIG_DEC", offset, "they are no decimal number") from error
        raise undecodable("BIG_DEC", offset, "they are no finite decimal number")

    return FunctionCoder(type_info, encode, decode_from, minimum_size_bytes=4, immutable=True)


def instant_coder(type_info: InstantTypeInfo) -> FunctionCoder:
    """Return the coder of instants: long seconds, int nanoseconds; the smallest ones are None."""
    pack, unpack_from, size = _INSTANT.pack, _INSTANT.unpack_from, _INSTANT.size

    def encode(value: Any) -> bytes:
        if value is None:
            return pack(*_NULL_INSTANT)
        try:
            if isinstance(value, Instant) and 0 <= value.nanos < 1_000_000_000:
                return pack(value.seconds, value.nanos)
        except ENCODE_ERRORS as error:
            raise mismatch("INSTANT", value, reason="its seconds do not fit 64 bits") from error
        raise mismatch("INSTANT", value, reason="an Instant is needed")

    def decode_from(data: bytes, offset: int) -> tuple[Instant | None, int]:
        try:
            parts = unpack_from(data, offset)
        except struct.error as error:
            raise undecodable("INSTANT", offset, SHORT_OF_BYTES) from error
        if parts == _NULL_INSTANT:
            return None, offset + size
        if not 0 <= parts[1] < 1_000_000_000:
            raise undecodable("INSTANT", offset, f"{parts[1]} nanoseconds are impossible")
        return Instant(*parts), offset + size

    return FunctionCoder(type_info, encode, decode_from, minimum_size_bytes=12, immutable=True)
