"""Flink's StringSerializer: length + 1, then UTF-16 units, each as a varint of 7-bit groups."""

from __future__ import annotations

import struct
from typing import Any, Final

from millpond.serialization.basic_coders import SHORT_OF_BYTES
from millpond.serialization.mismatch import mismatch, undecodable

__all__ = ("read_string", "write_string")

_ONE_BYTE: Final = tuple(bytes((length + 1,)) for length in range(127))


def write_string(value: Any) -> bytes:
    """Return the bytes of a string; ASCII takes one byte a character.

    Raises:
        SerializationError: the value is no string.
    """
    if not isinstance(value, str):
        raise mismatch("STRING", value, reason="a str is needed")
    if value.isascii():
        length = len(value)
        if length >= 1 << 31:
            raise mismatch("STRING", value, reason="it has 2**31 characters or more")
        prefix = _ONE_BYTE[length] if length < 127 else _varint(length + 1)
        return prefix + value.encode()
    raw = value.encode("utf-16-be", "surrogatepass")
    units = struct.unpack(f">{len(raw) // 2}H", raw)
    return _varint(len(units) + 1) + b"".join([_varint(unit) for unit in units])


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number >= 0x80:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def read_string(data: bytes, offset: int) -> tuple[str, int]:
    """Return the string at `offset` and the offset after it.

    Raises:
        SerializationError: there is none.
    """
    start = offset + 1
    length = data[offset] - 1 if offset < len(data) else 0x7F
    if length >= 0x7F:
        length, start = _read_varint(data, offset)
        length -= 1
    if not 0 <= length <= len(data) - start:
        raise undecodable("STRING", offset, f"a length of {length} is impossible")
    end = start + length
    segment = data[start:end]
    if segment.isascii():
        return segment.decode("ascii"), end
    units = bytearray()
    position = start
    for _ in range(length):
        unit, position = _read_varint(data, position)
        if unit > 0xFFFF:
            raise undecodable("STRING", offset, "a character exceeds 16 bits")
        units += unit.to_bytes(2, "big")
    return units.decode("utf-16-be", "surrogatepass"), position


def _read_varint(data: bytes, offset: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 35, 7):
        if offset >= len(data):
            raise undecodable("STRING", offset, SHORT_OF_BYTES)
        group = data[offset]
        offset += 1
        number |= (group & 0x7F) << shift
        if group < 0x80:
            return number, offset
    raise undecodable("STRING", offset, "a number has more than 5 groups")
