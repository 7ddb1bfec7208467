"""Values as PyFlink keeps them in Java state: chunks of bytes, map entries, timers.

Value, list, reducing and aggregating states are Java lists of byte arrays: each element is a chunk
that holds one or more Python-encoded elements. Chunks are joined by a comma, as RocksDB's merge
operator does. Maps have one entry for each user key.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from millpond.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.formats.composite_key import SkipValue

__all__ = (
    "decode_chunks",
    "decode_map_key",
    "decode_map_value",
    "decode_timer",
    "decode_ttl_chunks",
    "decode_ttl_map_value",
    "encode_chunk",
    "encode_chunks",
    "encode_map_key",
    "encode_map_value",
    "encode_timer",
    "encode_ttl_chunks",
    "encode_ttl_map_value",
    "join_chunks",
)

_DELIMITER = 0x2C
_pack_int = struct.Struct(">i").pack
_unpack_int = struct.Struct(">i").unpack_from
_TTL_CHUNK = struct.Struct(">qi")
_TTL_MAP_VALUE = struct.Struct(">?qi")
_UNSIGNED_LONG = struct.Struct(">Q")
_SIGN_BIT = 1 << 63
_LONG_MASK = (1 << 64) - 1


def encode_chunk(elements: bytes) -> bytes:
    """Return the state value that holds encoded elements in one chunk."""
    return _pack_int(len(elements)) + elements


def encode_chunks(chunks: Iterable[bytes]) -> bytes:
    """Return the state value that holds several chunks of encoded elements."""
    return b",".join([_pack_int(len(chunk)) + chunk for chunk in chunks])


def encode_ttl_chunks(chunks: Iterable[tuple[int, bytes]]) -> bytes:
    """Return the state value that holds (last access in ms, encoded elements) chunks."""
    return b",".join([_TTL_CHUNK.pack(time, len(chunk)) + chunk for time, chunk in chunks])


def join_chunks(value: bytes) -> bytes:
    """Return the encoded elements of all chunks, one after the other.

    Raises:
        FormatError: the bytes are not chunks.
    """
    if len(value) >= 4 and _unpack_int(value)[0] == len(value) - 4:
        return value[4:]
    return b"".join(decode_chunks(value))


def decode_chunks(value: bytes) -> list[bytes]:
    """Return the chunks of a state value.

    Raises:
        FormatError: the bytes are not chunks.
    """
    chunks: list[bytes] = []
    at = 0
    total = len(value)
    while True:
        if at + 4 > total:
            raise FormatError("A list of chunks ends too early.", offset=at, bytes=total)
        end = at + 4 + _unpack_int(value, at)[0]
        chunks.append(value[at + 4 : end])
        at = _after_chunk(value, at + 4, end)
        if at < 0:
            return chunks


def decode_ttl_chunks(value: bytes) -> list[tuple[int, bytes]]:
    """Return the (last access in ms, encoded elements) chunks of a state value with TTL.

    Raises:
        FormatError: the bytes are not such chunks.
    """
    chunks: list[tuple[int, bytes]] = []
    at = 0
    total = len(value)
    while True:
        if at + 12 > total:
            raise FormatError("A list of chunks ends too early.", offset=at, bytes=total)
        time, length = _TTL_CHUNK.unpack_from(value, at)
        end = at + 12 + length
        chunks.append((time, value[at + 12 : end]))
        at = _after_chunk(value, at + 12, end)
        if at < 0:
            return chunks


def _after_chunk(value: bytes, start: int, end: int) -> int:
    """Return where the next chunk starts, -1 if there is none."""
    total = len(value)
    if not start <= end <= total:
        raise FormatError("A chunk has an impossible length.", offset=start, length=end - start)
    if end == total:
        return -1
    if value[end] != _DELIMITER:
        raise FormatError("Something else than a comma stands between chunks.", offset=end)
    return end + 1


def encode_map_key(key: bytes) -> bytes:
    """Return the user key part of a composite key."""
    return _pack_int(len(key)) + key


def decode_map_key(data: bytes) -> bytes:
    """Return the Python-encoded user key.

    Raises:
        FormatError: the bytes are no user key.
    """
    if len(data) < 4 or _unpack_int(data)[0] != len(data) - 4:
        raise FormatError("A map key has an impossible length.", offset=0, bytes=len(data))
    return data[4:]


def encode_map_value(value: bytes | None) -> bytes:
    """Return the state value of a map entry; None is Python's None."""
    return b"\1" if value is None else b"\0" + _pack_int(len(value)) + value


def decode_map_value(data: bytes) -> bytes | None:
    """Return the Python-encoded value of a map entry, None for Python's None.

    Raises:
        FormatError: the bytes are no value of a map entry.
    """
    if data == b"\1":
        return None
    if data[:1] != b"\0" or len(data) < 5 or _unpack_int(data, 1)[0] != len(data) - 5:
        raise FormatError("A map value has an impossible form.", offset=0, bytes=len(data))
    return data[5:]


def encode_ttl_map_value(time: int, value: bytes) -> bytes:
    """Return the state value of a map entry with TTL; `time` is the last access in ms.

    Flink cannot hold None there.
    """
    return _TTL_MAP_VALUE.pack(False, time, len(value)) + value


def decode_ttl_map_value(data: bytes) -> tuple[int, bytes] | None:
    """Return (last access in ms, Python-encoded value) of a map entry; None for a null entry.

    Raises:
        FormatError: the bytes are no value of a map entry with TTL.
    """
    # Millpond leaves the time behind a null, which Flink does not read.
    if data[:1] == b"\1" and len(data) in (1, 9):
        return None
    if data[:1] == b"\0" and len(data) >= 13:
        _, time, length = _TTL_MAP_VALUE.unpack_from(data)
        if length == len(data) - 13:
            return time, data[13:]
    raise FormatError("A map value with TTL has an impossible form.", offset=0, bytes=len(data))


def encode_timer(timestamp: int, key: bytes, namespace: bytes) -> bytes:
    """Return a timer without key group: bytes that sort by timestamp (TimerSerializer)."""
    return _UNSIGNED_LONG.pack((timestamp + _SIGN_BIT) & _LONG_MASK) + key + namespace


def decode_timer(data: bytes, offset: int, skip_key: SkipValue) -> tuple[int, bytes, bytes]:
    """Return (timestamp in ms, key, namespace) of the timer at `offset`; it takes all the rest.

    Raises:
        FormatError: the bytes end too early.
    """
    if offset + 8 > len(data):
        raise FormatError("A timer ends too early.", offset=offset, bytes=len(data))
    timestamp: int = _UNSIGNED_LONG.unpack_from(data, offset)[0] - _SIGN_BIT
    key_end = skip_key(data, offset + 8)
    return timestamp, data[offset + 8 : key_end], data[key_end:]
