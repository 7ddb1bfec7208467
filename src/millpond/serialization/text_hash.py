"""`text_hashes`: String.hashCode() of many texts at once, in the lanes of a long integer.

A text is a number to the base 31, with its characters as digits. Short texts of ASCII stand one
behind the other in one long integer, zeros in front; digits that are neighbours are united, then
neighbouring pairs, and so on, all of them by each operator.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Final

from millpond.serialization.java_hash import INT_MASK, hash_string

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("text_hashes",)

_LONGEST: Final = 64
_TEXTS: Final = 1024


def text_hashes(texts: Sequence[str]) -> bytes:
    """Return the hash codes in lanes of 64 bits, little-endian.

    Raises:
        TypeError: one of them is no text.
    """
    hashes = b""
    for start in range(0, len(texts), _TEXTS):
        piece = texts[start : start + _TEXTS]
        joined = "".join(piece)
        longest = max(map(len, piece))
        if longest <= _LONGEST and joined.isascii():
            hashes += _short_hashes(piece, max(8, 1 << (longest - 1).bit_length()))
        else:
            hashes += struct.pack(f"<{len(piece)}Q", *map(hash_string, piece))
    return hashes


def _short_hashes(texts: Sequence[str], width: int) -> bytes:
    padded = "".join(map(str.rjust, texts, repeat(width), repeat("\0"))).encode()
    # Big-endian, so that the last character of a text is its lowest digit; so is the last text.
    digits = int.from_bytes(padded, "big")
    lane_bytes = 1
    while lane_bytes < width:
        # Digits of one lane each become digits of two.
        low = _lanes(len(padded) // lane_bytes // 2, lane_bytes)
        weight = pow(31, lane_bytes, 1 << 32)
        digits = (digits >> 8 * lane_bytes & low) * weight + (digits & low)
        lane_bytes *= 2
        if lane_bytes >= 8:
            # Only the lower half counts; it must be free of what the next product adds.
            digits &= _halves(len(padded) // lane_bytes, lane_bytes)
    data = digits.to_bytes(len(padded), "big")
    hashes = bytearray(8 * len(texts))
    for byte in range(4):
        hashes[byte::8] = data[width - 1 - byte :: width]
    return bytes(hashes)


@lru_cache(maxsize=16)
def _lanes(count: int, lane_bytes: int) -> int:
    """Return ones in the lower of each two lanes."""
    return int.from_bytes((bytes(lane_bytes) + b"\xff" * lane_bytes) * count, "big")


@lru_cache(maxsize=16)
def _halves(count: int, lane_bytes: int) -> int:
    return int.from_bytes(INT_MASK.to_bytes(lane_bytes, "big") * count, "big")
