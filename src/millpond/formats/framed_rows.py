"""`EncodedRows`: many entries at once as a canonical stream has them, lengths in between."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, final

from millpond.formats.pyflink_values import encode_chunk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ("EncodedRows",)

_pack_int = struct.Struct(">i").pack
_KEPT = 1 << 12


@final
class _Heads(dict[int, bytes]):
    """What stands in front of a part of some length: `before`, then its length and some more.

    With `inner` more bytes, that is followed by the length itself: the chunk in a value.
    """

    __slots__ = ("_before", "_inner", "_more")

    def __init__(self, before: bytes, more: int, *, inner: bool = False) -> None:
        super().__init__()
        self._before = before
        self._more = more
        self._inner = inner

    def __missing__(self, length: int) -> bytes:
        head = self._before + _pack_int(length + self._more)
        if self._inner:
            head += _pack_int(length)
        if len(self) < _KEPT:
            self[length] = head
        return head


@lru_cache(maxsize=16)
def _key_heads(more: int) -> _Heads:
    return _Heads(b"", more)


@lru_cache(maxsize=16)
def _value_heads(suffix: bytes, *, as_chunks: bool) -> _Heads:
    return _Heads(suffix, 4 if as_chunks else 0, inner=as_chunks)


@final
@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Encoded entries of one key group, one at least.

    A composite key is made of the key group's prefix, one of `keys` and `suffix`. With `as_chunks`
    a value is a list of one chunk of elements (`encode_chunk`), else it is the value as it is.
    """

    keys: Sequence[bytes]
    values: Sequence[bytes]
    suffix: bytes
    as_chunks: bool

    @property
    def size_bytes(self) -> int:
        """About how much memory they take."""
        return sum(map(len, self.keys)) + sum(map(len, self.values)) + 100 * len(self.keys)

    @property
    def longest(self) -> int:
        """At least the bytes of the longest key and of the longest value."""
        return max(map(len, self.keys)) + max(map(len, self.values))

    def rows(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over (composite key, value)."""
        suffix, as_chunks = self.suffix, self.as_chunks
        for key, value in zip(self.keys, self.values, strict=True):
            yield prefix + key + suffix, encode_chunk(value) if as_chunks else value

    def framed(self, prefix: bytes) -> tuple[bytearray, int]:
        """Return them for `CanonicalWriter.write_rows`, and where the last one begins.

        About 200 ns an entry. Raises struct.error for more than 2^31-1 bytes.
        """
        pieces: list[bytes] = [prefix] * (5 * len(self.keys))
        key_heads = _key_heads(len(prefix) + len(self.suffix))
        value_heads = _value_heads(self.suffix, as_chunks=self.as_chunks)
        pieces[0::5] = map(key_heads.__getitem__, map(len, self.keys))
        pieces[2::5] = self.keys
        pieces[3::5] = map(value_heads.__getitem__, map(len, self.values))
        pieces[4::5] = self.values
        rows = bytearray().join(pieces)
        return rows, len(rows) - sum(map(len, pieces[-5:]))
