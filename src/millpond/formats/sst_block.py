"""Blocks of RocksDB's table files: checksum, compression, prefix-compressed entries."""

from __future__ import annotations

import contextlib
import zlib
from typing import TYPE_CHECKING

from millpond.errors import FormatError
from millpond.formats.snappy_frames import decompress_block, load_cramjam, masked_crc32c
from millpond.formats.xxh3 import xxh3_64

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("block_entries", "checksum_of_block", "index_entries", "read_varint", "unpack_block")

_CRC32C = 1
_XXH3 = 4
_PLAIN = 0
_SNAPPY = 1
_ZLIB = 2
_LZ4 = (4, 5)
_ZSTANDARD = 7
_MAX_PLAIN_BYTES = 1 << 30
# Blocks are some KiB; a block of zeros shrinks less than this.
_LARGEST_RATIO = 1 << 16
_LAST_BYTE_FACTOR = 0x6B9083D9
_BLOCK_TRAILER_BYTES = 5
_LEAST_KEY_BYTES = 1 << 20
_KEY_BYTES_PER_BYTE = 1 << 10


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned variable-length number and the offset after it.

    Raises:
        FormatError: the bytes end early, or the number has more than 64 bits.
    """
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                break  # RocksDB writes as few bytes as a number needs
            return value, at
        shift += 7
    raise FormatError("A variable-length number does not end where it must.", offset=at)


def checksum_of_block(data: bytes, checksum_type: int, file: str) -> int:
    """Return the checksum of a block and its compression type, or of a footer.

    Raises:
        FormatError: the kind of checksum is not known.
    """
    if checksum_type == _CRC32C:
        return masked_crc32c(data)
    if checksum_type == _XXH3:
        # The hash covers all but the last byte, which is mixed in afterwards.
        return (xxh3_64(data[:-1]) ^ data[-1] * _LAST_BYTE_FACTOR) & 0xFFFFFFFF
    raise FormatError("Unknown kind of block checksum.", offset=0, file=file, kind=checksum_type)


def unpack_block(
    data: bytes, checksum_type: int, file: str, offset: int, context: int = 0
) -> bytes:
    """Verify and decompress a block with its trailer (compression type, checksum).

    `context` is what the file adds to the checksum of this block, since format version 6.

    Raises:
        FormatError: the checksum is wrong, or the compression is not known.
        MissingDependencyError: the block is compressed and cramjam is not installed.
    """
    body = data[:-5]
    kind = data[-5]
    recorded = int.from_bytes(data[-4:], "little")
    checksum = checksum_of_block(data[:-4], checksum_type, file)
    if (checksum + context) & 0xFFFFFFFF != recorded:
        raise FormatError("A block has a wrong checksum.", file=file, offset=offset)
    if kind == _PLAIN:
        return body
    if kind == _SNAPPY:
        return decompress_block(body, _MAX_PLAIN_BYTES, offset)
    if kind in (_ZLIB, *_LZ4, _ZSTANDARD):
        return _decompress(kind, body, file, offset)
    raise FormatError(
        "Blocks of this compression cannot be read.",
        hint="Take a savepoint in canonical format instead.",
        offset=offset,
        file=file,
        compression=kind,
    )


def block_entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over (key, value) of a data or meta block.

    Raises:
        FormatError: the block is damaged.
    """
    end = _entries_end(block)
    at = 0
    key = b""
    # Every 16th key or so is whole; keys that only ever repeat the one before would have no bound.
    allowance = _LEAST_KEY_BYTES + _KEY_BYTES_PER_BYTE * len(block)
    while at < end:
        shared, at = read_varint(block, at)
        own, at = read_varint(block, at)
        size, at = read_varint(block, at)
        value_start = at + own
        value_end = value_start + size
        allowance -= shared
        if shared > len(key) or value_end > end or allowance < 0:
            raise FormatError("An entry leaves its block.", offset=at)
        key = key[:shared] + block[at:value_start]
        at = value_end
        yield key, block[value_start:value_end]


def index_entries(block: bytes, *, delta_encoded: int) -> Iterator[tuple[int, int]]:
    """Iterate over (offset, size) of the blocks that an index block lists.

    Raises:
        FormatError: the block is damaged.
    """
    if not delta_encoded:
        for _, value in block_entries(block):
            offset, at = read_varint(value, 0)
            yield offset, read_varint(value, at)[0]
        return
    end = _entries_end(block)
    at = offset = size = 0
    while at < end:
        shared, at = read_varint(block, at)
        own, at = read_varint(block, at)
        at += own
        if at >= end:
            raise FormatError("An entry leaves its block.", offset=at)
        if shared == 0:
            offset, at = read_varint(block, at)
            size, at = read_varint(block, at)
        else:
            # The block follows the one before; only the sizes' difference is recorded, zigzag.
            offset += size + _BLOCK_TRAILER_BYTES
            delta, at = read_varint(block, at)
            size += (delta >> 1) ^ -(delta & 1)
            if size < 0:
                raise FormatError("A block has a negative size.", offset=at)
        yield offset, size


def _entries_end(block: bytes) -> int:
    if len(block) < 4:
        raise FormatError("A block is too short.", offset=0, bytes=len(block))
    restarts = int.from_bytes(block[-4:], "little")
    # The top bit marks a hash index behind the entries, which Flink does not use.
    if restarts * 4 + 4 > len(block):
        raise FormatError(
            "A block has an impossible number of restarts.",
            offset=len(block) - 4,
            restarts=restarts,
        )
    return len(block) - 4 - restarts * 4


def _decompress(kind: int, body: bytes, file: str, offset: int) -> bytes:
    size, at = read_varint(body, 0)
    packed = body[at:]
    if size > min(_MAX_PLAIN_BYTES, _LARGEST_RATIO * len(packed)):
        raise FormatError("A compressed block is too large.", file=file, offset=offset)
    plain = b""
    if kind == _ZLIB:
        with contextlib.suppress(zlib.error):
            plain = zlib.decompressobj(-15).decompress(packed, max(size, 1))
    else:
        cramjam = load_cramjam()
        with contextlib.suppress(cramjam.DecompressionError):
            target = bytearray(size)
            if kind in _LZ4:
                written = cramjam.lz4.decompress_block_into(packed, target, output_len=size)
            else:
                written = cramjam.zstd.decompress_into(packed, target)
            plain = bytes(target[:written])
    if len(plain) != size:
        raise FormatError("A compressed block is damaged.", file=file, offset=offset)
    return plain
