"""The Snappy framing format: how Flink compresses state streams.

A stream is an identifier, then chunks of at most 64 KiB plain bytes, each with a checksum. Flink's
streams have no end mark: the reader must know when it has enough.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import google_crc32c

from millpond.errors import FormatError, MissingDependencyError
from millpond.formats.stream_reader import read_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = (
    "STREAM_IDENTIFIER",
    "decompress_block",
    "frame_stream_start",
    "frames",
    "load_cramjam",
    "masked_crc32c",
    "read_frame",
    "skip_stream_identifier",
)

STREAM_IDENTIFIER: Final = b"\xff\x06\x00\x00sNaPpY"

_COMPRESSED = 0
_PLAIN = 1
_MAX_PLAIN_BYTES = 1 << 16
_MAX_CHUNK_BYTES = 76_490 + 4
_CRC_DELTA = 0xA282EAD8
# snappy-java's rule: a chunk that shrinks less than this stays plain.
_WORTHWHILE = 0.85
_HEADER = struct.Struct("<II")


def masked_crc32c(data: bytes) -> int:
    """Return the masked CRC-32C that chunks (and RocksDB's blocks) carry."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _CRC_DELTA) & 0xFFFFFFFF


def frame_stream_start() -> bytes:
    """Return what every framed stream starts with."""
    return STREAM_IDENTIFIER


def frames(data: bytes) -> Iterator[bytes]:
    """Yield the chunks of plain bytes.

    Raises:
        MissingDependencyError: cramjam is not installed.
    """
    compress = load_cramjam().snappy.compress_raw
    for start in range(0, len(data), _MAX_PLAIN_BYTES):
        plain = data[start : start + _MAX_PLAIN_BYTES]
        packed = bytes(compress(plain))
        kind = _COMPRESSED
        if len(packed) > len(plain) * _WORTHWHILE:
            packed = plain
            kind = _PLAIN
        yield _HEADER.pack((len(packed) + 4) << 8 | kind, masked_crc32c(plain)) + packed


def skip_stream_identifier(stream: BinaryIO) -> None:
    """Read the identifier that a framed stream starts with.

    Raises:
        FormatError: something else is there.
    """
    offset = stream.tell()
    if read_exactly(stream, len(STREAM_IDENTIFIER), "a Snappy stream") != STREAM_IDENTIFIER:
        raise FormatError("A Snappy stream does not start with its identifier.", offset=offset)


def read_frame(stream: BinaryIO) -> bytes:
    """Read one chunk and return its plain bytes, 64 KiB at most; skips padding.

    Raises:
        FormatError: the chunk is damaged, or the stream ends.
        MissingDependencyError: cramjam is not installed.
    """
    while True:
        offset = stream.tell()
        word = int.from_bytes(read_exactly(stream, 4, "a Snappy chunk"), "little")
        kind = word & 0xFF
        size = word >> 8
        if kind in (_COMPRESSED, _PLAIN):
            break
        if kind == STREAM_IDENTIFIER[0]:
            raise FormatError("A Snappy stream ends inside its content.", offset=offset)
        # The format reserves 0x80 to 0xFE for chunks that may be skipped.
        if kind < 0x80:
            raise FormatError("Unknown kind of Snappy chunk.", offset=offset, kind=kind)
        read_exactly(stream, size, "a Snappy chunk")
    if not 4 <= size <= _MAX_CHUNK_BYTES:
        raise FormatError("Impossible size of a Snappy chunk.", offset=offset, bytes=size)
    checksum = int.from_bytes(read_exactly(stream, 4, "a Snappy chunk"), "little")
    plain = read_exactly(stream, size - 4, "a Snappy chunk")
    if kind == _COMPRESSED:
        plain = decompress_block(plain, _MAX_PLAIN_BYTES, offset)
    if len(plain) > _MAX_PLAIN_BYTES or masked_crc32c(plain) != checksum:
        raise FormatError("A Snappy chunk has a wrong checksum.", offset=offset)
    return plain


def decompress_block(data: bytes, max_bytes: int, offset: int) -> bytes:
    """Decompress one raw Snappy block; `offset` is only named in errors.

    Raises:
        FormatError: the block is damaged or longer than `max_bytes`.
        MissingDependencyError: cramjam is not installed.
    """
    size = 0
    for index, byte in enumerate(data[:5]):
        size |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            break
    # Snappy's densest element turns 3 bytes into 64; more cannot be true and is not allocated.
    if size > max_bytes or size > 24 * len(data):
        raise FormatError("A Snappy block is too large.", offset=offset, bytes=size)
    cramjam = load_cramjam()
    try:
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise FormatError("A Snappy block is damaged.", offset=offset, cause=str(error)) from None


def load_cramjam() -> Any:
    """Return the module cramjam.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import cramjam
    except ImportError:
        raise MissingDependencyError(
            "Compressed state needs the package cramjam.", hint='pip install "millpond[snappy]"'
        ) from None
    return cramjam
