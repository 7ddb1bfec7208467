"""Flink's own serializers, for the key types of PyFlink: bytes and hash code of Java values."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from millpond.common.time import Instant
from millpond.common.typeinfo import BasicType, TypeInformation
from millpond.serialization.basic_coders import FLOATS, NUMBERS, SHORT_OF_BYTES
from millpond.serialization.float_key import float_key
from millpond.serialization.java_hash import (
    INT_MASK,
    hash_big_decimal,
    hash_big_integer,
    hash_boolean,
    hash_bytes,
    hash_double,
    hash_float,
    hash_long,
    unscaled,
)
from millpond.serialization.mismatch import ENCODE_ERRORS, mismatch, undecodable

if TYPE_CHECKING:
    from millpond.serialization.function_coder import Decode, Encode

__all__ = ("HashCode", "JavaSerializer", "basic_serializer", "bytes_serializer")

HashCode = Callable[[Any], int]

_INT = struct.Struct(">i")
_SHORT_NUMBERS = {0: 1, 1: 2, 10: 3}
_LONG_NUMBERS = {1: 0, 2: 1, 3: 10}


@dataclass(frozen=True, slots=True)
class JavaSerializer:
    """How Flink writes, reads and hashes the values of one type.

    `hash_code` is Java's hashCode() as an integer from 0 to 2**32 - 1; for a value that `write`
    refuses it raises something. `is_row` marks a Row, which inside a Row hashes differently.
    """

    write: Encode
    read: Decode
    hash_code: HashCode
    is_row: bool = False

    @property
    def hash_in_row(self) -> HashCode:
        """What the value adds to the hash code of a Row around it (RowUtils)."""
        hash_code = self.hash_code
        if self.is_row:
            return hash_code
        return lambda value: 31 + hash_code(value)


def basic_serializer(type_info: TypeInformation, basic_type: BasicType) -> JavaSerializer:
    """Return the serializer of any basic type but STRING."""
    match basic_type:
        case BasicType.BOOLEAN:
            return _boolean()
        case BasicType.CHAR:
            return _character()
        case BasicType.BIG_INT:
            return JavaSerializer(_write_big_integer, _read_big_integer, hash_big_integer)
        case BasicType.BIG_DEC:
            return JavaSerializer(_write_big_decimal, _read_big_decimal, hash_big_decimal)
        case BasicType.INSTANT:
            return _instant()
        case _:
            return _number(type_info.signature, basic_type)


def _number(signature: str, basic_type: BasicType) -> JavaSerializer:
    code, requirement = NUMBERS[basic_type]
    packer = struct.Struct(f">{code}")
    pack, unpack_from, size = packer.pack, packer.unpack_from, packer.size
    hashes: dict[BasicType, HashCode] = {
        BasicType.LONG: hash_long,
        BasicType.FLOAT: hash_float,
        BasicType.DOUBLE: hash_double,
    }

    def write(value: Any) -> bytes:
        try:
            return pack(value)
        except ENCODE_ERRORS as error:
            raise mismatch(signature, value, reason=requirement) from error

    def read(data: bytes, offset: int) -> tuple[Any, int]:
        try:
            return unpack_from(data, offset)[0], offset + size
        except struct.error as error:
            raise undecodable(signature, offset, SHORT_OF_BYTES) from error

    def read_float(data: bytes, offset: int) -> tuple[Any, int]:
        value, end = read(data, offset)
        return float_key(value), end

    if basic_type in FLOATS:
        return JavaSerializer(write, read_float, hashes[basic_type])
    limit = 1 << size * 8 - 1

    def hash_integer(value: int) -> int:
        if not -limit <= value < limit:
            raise OverflowError(value)
        return value & INT_MASK

    return JavaSerializer(write, read, hashes.get(basic_type, hash_integer))


def _boolean() -> JavaSerializer:
    def write(value: Any) -> bytes:
        if value is True or value is False:
            return b"\x01" if value else b"\x00"
        raise mismatch("BOOLEAN", value, reason="True or False is needed")

    def read(data: bytes, offset: int) -> tuple[bool, int]:
        if offset >= len(data):
            raise undecodable("BOOLEAN", offset, SHORT_OF_BYTES)
        return data[offset] != 0, offset + 1

    def hash_code(value: Any) -> int:
        return hash_boolean(write(value) == b"\x01")

    return JavaSerializer(write, read, hash_code)


def _character() -> JavaSerializer:
    def write(value: Any) -> bytes:
        if not isinstance(value, str) or len(value) != 1 or value > "\uffff":
            raise mismatch("CHAR", value, reason="one character below U+10000 is needed")
        return ord(value).to_bytes(2, "big")

    def read(data: bytes, offset: int) -> tuple[str, int]:
        raw = data[offset : offset + 2]
        if len(raw) < 2:
            raise undecodable("CHAR", offset, SHORT_OF_BYTES)
        return chr(int.from_bytes(raw, "big")), offset + 2

    return JavaSerializer(write, read, ord)


def bytes_serializer(type_info: TypeInformation) -> JavaSerializer:
    """Return the serializer of byte[]: int length, then the bytes."""
    signature = type_info.signature

    def write(value: Any) -> bytes:
        if not isinstance(value, bytes):
            raise mismatch(signature, value, reason="bytes are needed")
        try:
            return _INT.pack(len(value)) + value
        except struct.error as error:
            raise mismatch(signature, value, reason="it has 2**31 bytes or more") from error

    def read(data: bytes, offset: int) -> tuple[bytes, int]:
        return _read_sized(signature, data, offset)

    return JavaSerializer(write, read, hash_bytes)


def _read_sized(signature: str, data: bytes, offset: int, bias: int = 0) -> tuple[bytes, int]:
    try:
        start = offset + 4
        end = start + _INT.unpack_from(data, offset)[0] - bias
    except struct.error as error:
        raise undecodable(signature, offset, SHORT_OF_BYTES) from error
    if not start <= end <= len(data):
        raise undecodable(signature, offset, f"a length of {end - start} is impossible")
    return data[start:end], end


def _write_big_integer(value: Any) -> bytes:
    # BigIntSerializer: 0 is null, 1 to 3 are the constants 0, 1 and 10, else length + 4.
    if not isinstance(value, int):
        raise mismatch("BIG_INT", value, reason="an integer is needed")
    if value in _SHORT_NUMBERS:
        return _INT.pack(_SHORT_NUMBERS[value])
    # Java's shortest two's complement: bit_length() of ~value for negative ones.
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return _INT.pack(size + 4) + value.to_bytes(size, "big", signed=True)


def _read_big_integer(data: bytes, offset: int) -> tuple[int, int]:
    head = data[offset : offset + 4]
    constant = int.from_bytes(head, "big")
    if len(head) == 4 and constant in _LONG_NUMBERS:
        return _LONG_NUMBERS[constant], offset + 4
    raw, end = _read_sized("BIG_INT", data, offset, bias=4)
    if not raw:
        raise undecodable("BIG_INT", offset, "a length of 0 is impossible")
    return int.from_bytes(raw, "big", signed=True), end


def _write_big_decimal(value: Any) -> bytes:
    if not isinstance(value, Decimal) or not value.is_finite():
        raise mismatch("BIG_DEC", value, reason="a finite decimal.Decimal is needed")
    try:
        number, scale = unscaled(value)
        return _write_big_integer(number) + _INT.pack(scale)
    except (struct.error, ValueError) as error:
        raise mismatch("BIG_DEC", value, reason="it has too many digits") from error


def _read_big_decimal(data: bytes, offset: int) -> tuple[Decimal, int]:
    number, position = _read_big_integer(data, offset)
    try:
        scale = _INT.unpack_from(data, position)[0]
        digits = tuple(map(int, str(abs(number))))
        return Decimal((int(number < 0), digits, -scale)), position + 4
    except (struct.error, ValueError) as error:
        raise undecodable("BIG_DEC", offset, "they are no decimal number") from error


def _instant() -> JavaSerializer:
    packer = struct.Struct(">qi")

    def write(value: Any) -> bytes:
        try:
            if isinstance(value, Instant) and 0 <= value.nanos < 1_000_000_000:
                return packer.pack(value.seconds, value.nanos)
        except ENCODE_ERRORS as error:
            raise mismatch("INSTANT", value, reason="its seconds do not fit 64 bits") from error
        raise mismatch("INSTANT", value, reason="an Instant is needed")

    def read(data: bytes, offset: int) -> tuple[Instant, int]:
        try:
            seconds, nanos = packer.unpack_from(data, offset)
        except struct.error as error:
            raise undecodable("INSTANT", offset, SHORT_OF_BYTES) from error
        if not 0 <= nanos < 1_000_000_000:
            raise undecodable("INSTANT", offset, f"{nanos} nanoseconds are impossible")
        return Instant(seconds, nanos), offset + 12

    def hash_code(value: Instant) -> int:
        return (hash_long(value.seconds) + 51 * value.nanos) & INT_MASK

    return JavaSerializer(write, read, hash_code)
