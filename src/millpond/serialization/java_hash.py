"""Java's hash codes: 32-bit patterns, here as integers from 0 to 2**32 - 1.

They decide the key group of a key, so they must equal Java's bit for bit.
"""

from __future__ import annotations

import math
import struct
from operator import mul
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

__all__ = (
    "INT_MASK",
    "hash_big_decimal",
    "hash_big_integer",
    "hash_boolean",
    "hash_bytes",
    "hash_double",
    "hash_float",
    "hash_long",
    "hash_string",
    "unscaled",
)

INT_MASK: Final = 0xFFFFFFFF
_LONG_MASK: Final = 0xFFFFFFFFFFFFFFFF
_CHUNK: Final = 64
_POWERS: Final = tuple(pow(31, exponent, 1 << 32) for exponent in range(_CHUNK, -1, -1))
_WEIGHTS: Final = tuple(_POWERS[_CHUNK + 1 - count :] for count in range(_CHUNK + 1))
"""`_WEIGHTS[n]` are the powers of 31 for n digits, the highest first."""

_DOUBLE = struct.Struct(">d")
_FLOAT = struct.Struct(">f")
_NAN_DOUBLE: Final = 0x7FF8000000000000
_NAN_FLOAT: Final = 0x7FC00000


_BIASED: Final = bytes(byte ^ 0x80 for byte in range(256))
_ARRAY_STARTS: Final = tuple(
    pow(31, count, 1 << 32) - 128 * sum(_WEIGHTS[count]) for count in range(_CHUNK + 1)
)
"""What a byte array adds to the polynomial over its bytes + 128, which are not negative."""


def _polynomial(digits: Sequence[int]) -> int:
    """Return the digits as a number to the base 31, modulo 2**32."""
    result = 0
    for position in range(0, len(digits), _CHUNK):
        chunk = digits[position : position + _CHUNK]
        weights = _WEIGHTS[len(chunk)]
        result = (result * pow(31, len(chunk), 1 << 32) + sum(map(mul, chunk, weights))) & INT_MASK
    return result


def hash_string(text: str) -> int:
    """Return String.hashCode(): a polynomial over UTF-16 units."""
    if text.isascii():
        raw = text.encode()
        if len(raw) <= _CHUNK:
            total: int = sum(map(mul, raw, _WEIGHTS[len(raw)]))
            return total & INT_MASK
        return _polynomial(raw)
    raw = text.encode("utf-16-be", "surrogatepass")
    return _polynomial(struct.unpack(f">{len(raw) // 2}H", raw))


def hash_bytes(data: bytes) -> int:
    """Return Arrays.hashCode(byte[]): a polynomial over signed bytes.

    Raises:
        TypeError: it is no `bytes`.
        OverflowError: Java has no array of that length.
    """
    if not isinstance(data, bytes):
        raise TypeError(data)
    count = len(data)
    if count <= _CHUNK:
        total: int = sum(map(mul, data.translate(_BIASED), _WEIGHTS[count]))
        return (total + _ARRAY_STARTS[count]) & INT_MASK
    if count >= 1 << 31:
        raise OverflowError("a byte[] has at most 2**31 - 1 elements")
    head = pow(31, count, 1 << 32)
    return (head + _polynomial(memoryview(data).cast("b"))) & INT_MASK


def hash_long(value: int) -> int:
    """Return Long.hashCode().

    Raises:
        OverflowError: the number does not fit 64 bits.
    """
    if not -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        raise OverflowError(value)
    value &= _LONG_MASK
    return (value ^ value >> 32) & INT_MASK


def hash_boolean(value: object) -> int:
    """Return Boolean.hashCode()."""
    return 1231 if value else 1237


def hash_double(value: float) -> int:
    """Return Double.hashCode(); every NaN counts as the same."""
    bits = _NAN_DOUBLE if math.isnan(value) else int.from_bytes(_DOUBLE.pack(value), "big")
    return (bits ^ bits >> 32) & INT_MASK


def hash_float(value: float) -> int:
    """Return Float.hashCode() of the number rounded to 32 bits."""
    return _NAN_FLOAT if math.isnan(value) else int.from_bytes(_FLOAT.pack(value), "big")


def hash_big_integer(value: int) -> int:
    """Return BigInteger.hashCode(): a polynomial over 32-bit words of the magnitude."""
    magnitude = abs(value)
    result = 0
    for shift in range(max(0, (magnitude.bit_length() - 1) // 32) * 32, -1, -32):
        result = 31 * result + (magnitude >> shift & INT_MASK)
    return (result if value >= 0 else -result) & INT_MASK


def unscaled(value: Decimal) -> tuple[int, int]:
    """Return BigDecimal's unscaled value and scale of a finite decimal."""
    sign, digits, exponent = value.as_tuple()
    number = int("".join(map(str, digits)) or "0")
    return (-number if sign else number), -int(exponent)


def hash_big_decimal(value: Decimal) -> int:
    """Return BigDecimal.hashCode(): of the unscaled value, and the scale."""
    number, scale = unscaled(value)
    return (31 * hash_big_integer(number) + scale) & INT_MASK
