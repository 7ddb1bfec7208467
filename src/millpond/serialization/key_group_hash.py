"""`key_groups_of_hashes`: many hash codes to key groups at once, in the lanes of long integers.

Python's operators on one long integer work in C on all lanes, 64 bits each; mmh3 would cost a call
and an object a key. The hash is Flink's (MathUtils.murmurHash): murmur3 of the code's 4 bytes.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ("key_groups_of_hashes", "key_groups_of_longs")

_LANE_BYTES: Final = 8
_LANES: Final = 2048
"""At once; the intermediate integers then stay in the processor's cache."""

_SEVEN_BITS: Final = bytes(number & 127 for number in range(256))


class _Masks(NamedTuple):
    """Constants in each of some lanes; `bits_n` are the n lowest bits."""

    added: int
    bits_32: int
    bits_19: int
    bits_16: int
    murmur: int
    length: int


@lru_cache(maxsize=4)
def _masks(count: int, added: int) -> _Masks:
    ones = _ones(count, _LANE_BYTES)
    return _Masks(
        added=ones * added,
        bits_32=ones * 0xFFFFFFFF,
        bits_19=ones * 0x7FFFF,
        bits_16=ones * 0xFFFF,
        murmur=ones * 0xE6546B64,
        length=ones * 4,
    )


@lru_cache(maxsize=4)
def _ones(count: int, lane_bytes: int) -> int:
    return int.from_bytes((1).to_bytes(lane_bytes, "little") * count, "little")


def key_groups_of_longs(packed: bytes, added: int, max_parallelism: int) -> list[int]:
    """Return the key groups of 64-bit integers, little-endian, by Long.hashCode()."""
    return _key_groups(packed, added, max_parallelism, are_longs=True)


def key_groups_of_hashes(packed: bytes, added: int, max_parallelism: int) -> list[int]:
    """Return the key groups of hash codes in lanes of 64 bits, little-endian, the high half unused.

    `added` is added to each code first, modulo 2**32. About 120 ns a code.
    """
    return _key_groups(packed, added, max_parallelism, are_longs=False)


def _key_groups(packed: bytes, added: int, max_parallelism: int, *, are_longs: bool) -> list[int]:
    groups: list[int] = []
    step = _LANES * _LANE_BYTES
    for start in range(0, len(packed), step):
        piece = packed[start : start + step]
        masks = _masks(len(piece) // _LANE_BYTES, added)
        lanes = int.from_bytes(piece, "little")
        if are_longs:
            lanes ^= lanes >> 32
        mixed = _murmur(lanes, masks).to_bytes(len(piece), "little")
        groups += _remainders(mixed, max_parallelism)
    return groups


def _murmur(lanes: int, masks: _Masks) -> int:
    """Return murmur3 of 4 bytes with seed 0 of the lower half of each lane."""
    bits_32, bits_16 = masks.bits_32, masks.bits_16
    lanes = (lanes & bits_32) + masks.added & bits_32
    lanes = lanes * 0xCC9E2D51 & bits_32
    lanes = (lanes << 15 | lanes >> 17) & bits_32
    lanes = lanes * 0x1B873593 & bits_32
    lanes = (lanes << 13 | lanes >> 19) & bits_32
    lanes = lanes * 5 + masks.murmur & bits_32
    lanes ^= masks.length
    lanes ^= lanes >> 16 & bits_16
    lanes = lanes * 0x85EBCA6B & bits_32
    lanes ^= lanes >> 13 & masks.bits_19
    lanes = lanes * 0xC2B2AE35 & bits_32
    return lanes ^ lanes >> 16 & bits_16


def _remainders(hashes: bytes, divisor: int) -> list[int]:
    """Divide the absolute values of hashes in lanes; that of the smallest int counts as 0."""
    if divisor <= 128 and divisor.bit_count() == 1:
        # The lowest byte and the sign are enough: -x is ~x + 1, in lanes of 8 bits here.
        count = len(hashes) // _LANE_BYTES
        ones = _ones(count, 1)
        low = int.from_bytes(hashes[::_LANE_BYTES].translate(_SEVEN_BITS), "little")
        sign = int.from_bytes(hashes[3::_LANE_BYTES], "little") >> 7 & ones
        low = (low ^ (sign << 7) - sign) + sign & ones * (divisor - 1)
        return list(low.to_bytes(count, "little"))
    numbers = _signed_halves(len(hashes) // _LANE_BYTES).unpack(hashes)
    return [(abs(number) & 0x7FFFFFFF) % divisor for number in numbers]


@lru_cache(maxsize=4)
def _signed_halves(count: int) -> struct.Struct:
    return struct.Struct("<" + "i4x" * count)
