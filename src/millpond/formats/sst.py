"""`SstFile`: reads a sorted table file of RocksDB, without RocksDB.

Block-based tables of format version 2 to 5, as Flink's RocksDB (frocksdb) writes them, and 6, as
newer ones do: plain, Snappy, LZ4, Zstandard or zlib blocks, one- or two-level index, delta-encoded
index values. One data block is in memory at a time.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final, NamedTuple, final

from millpond.errors import FormatError
from millpond.formats.sst_block import (
    block_entries,
    checksum_of_block,
    index_entries,
    read_varint,
    unpack_block,
)
from millpond.formats.stream_reader import read_exactly, stream_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ("DELETE", "MERGE", "PUT", "SINGLE_DELETE", "RangeDeletion", "SstEntry", "SstFile")

DELETE: Final = 0
PUT: Final = 1
MERGE: Final = 2
SINGLE_DELETE: Final = 7
_RANGE_DELETE = 15

_MAGIC = bytes.fromhex("f7cff485b741e288")
_FOOTER_BYTES = 53
_EXTENDED_MAGIC = bytes.fromhex("3e007a00")
_BLOCK_TRAILER_BYTES = 5
_MAX_BLOCK_BYTES = 1 << 30
_TWO_LEVEL_INDEX = 2
_PREFIX = b"rocksdb."


class SstEntry(NamedTuple):
    """One version of one key: `sequence` orders versions, `kind` is PUT, MERGE or a deletion."""

    key: bytes
    sequence: int
    kind: int
    value: bytes


class RangeDeletion(NamedTuple):
    """All versions of keys in [start, end) that are older than `sequence` are deleted."""

    start: bytes
    end: bytes
    sequence: int


@final
class SstFile:
    """One sorted table file. Used by one thread.

    Attributes:
        properties: the table's properties, without the prefix ``rocksdb.``.
        column_family: name of the column family, empty where the file does not say.
        range_deletions: deletions of key ranges.
    """

    def __init__(self, stream: BinaryIO, name: str, global_sequence: int | None = None) -> None:
        """Read footer, properties and index.

        `name` is only named in errors. `global_sequence` is the sequence of all keys of a file
        that was ingested, from the manifest.

        Raises:
            FormatError: the file is damaged or of a kind that cannot be read.
            MissingDependencyError: it is compressed and cramjam is not installed.
        """
        self._stream = stream
        self._name = name
        self._size = stream_size(stream)
        self._global_sequence = global_sequence
        self._context = 0
        self._checksum_type, meta, index = self._read_footer()
        handles = {key: self._handle(value) for key, value in block_entries(self._block(meta))}
        index = index or handles.get(b"rocksdb.index")
        if index is None:
            raise self._error("A table has no index.", meta[0])
        self._index = index
        self.properties: dict[str, bytes] = {}
        if b"rocksdb.properties" in handles:
            self.properties = {
                key.removeprefix(_PREFIX).decode("utf-8", "replace"): value
                for key, value in block_entries(self._block(handles[b"rocksdb.properties"]))
            }
        self.column_family = self.properties.get("column.family.name", b"").decode(
            "utf-8", "replace"
        )
        if "external_sst_file.version" not in self.properties:
            self._global_sequence = None
        self.range_deletions: list[RangeDeletion] = []
        if b"rocksdb.range_del" in handles:
            for key, end in block_entries(self._block(handles[b"rocksdb.range_del"])):
                entry = self._entry(key, end)
                self.range_deletions.append(RangeDeletion(entry.key, end, entry.sequence))

    def entries(self) -> Iterator[SstEntry]:
        """Iterate over all entries, by ascending key and descending sequence.

        Raises:
            FormatError: a block is damaged.
        """
        previous = -1
        for handle in self._data_blocks():
            # Ascending blocks cannot repeat, whatever the index says.
            if handle[0] <= previous:
                raise self._error("Data blocks are out of order.", handle[0])
            previous = handle[0]
            for key, value in block_entries(self._block(handle)):
                yield self._entry(key, value)

    def _entry(self, key: bytes, value: bytes) -> SstEntry:
        if len(key) < 8:
            raise self._error("A key is too short.", 0)
        trailer = int.from_bytes(key[-8:], "little")
        sequence = trailer >> 8
        if sequence == 0 and self._global_sequence is not None:
            sequence = self._global_sequence
        return SstEntry(key[:-8], sequence, trailer & 0xFF, value)

    def _data_blocks(self) -> Iterator[tuple[int, int]]:
        delta = self._flag("index.value.is.delta.encoded")
        handles = index_entries(self._block(self._index), delta_encoded=delta)
        if self._flag("block.based.table.index.type", "little") == _TWO_LEVEL_INDEX:
            previous = -1
            for handle in handles:
                if handle[0] <= previous:
                    raise self._error("Index blocks are out of order.", handle[0])
                previous = handle[0]
                yield from index_entries(self._block(handle), delta_encoded=delta)
        else:
            yield from handles

    def _flag(self, name: str, encoding: str = "varint") -> int:
        value = self.properties.get(name, b"\0")
        if encoding == "little":
            return int.from_bytes(value[:4], "little")
        return read_varint(value, 0)[0]

    def _read_footer(self) -> tuple[int, tuple[int, int], tuple[int, int] | None]:
        if self._size < _FOOTER_BYTES:
            raise self._error("A file is too short for a table.", self._size)
        self._stream.seek(self._size - _FOOTER_BYTES)
        footer = read_exactly(self._stream, _FOOTER_BYTES, "a table footer")
        if footer[-8:] != _MAGIC:
            raise self._error("This is no RocksDB table file.", self._size - 8)
        version = int.from_bytes(footer[41:45], "little")
        if version == 6:
            return footer[0], self._read_footer_6(footer), None
        if not 2 <= version <= 5:
            raise FormatError(
                "Table files of this version cannot be read.",
                offset=self._size - 12,
                file=self._name,
                version=version,
            )
        meta, at = _read_handle(footer, 1)
        index, at = _read_handle(footer, at)
        if footer[at:41].strip(b"\0"):
            raise self._error("A table footer is damaged.", self._size - _FOOTER_BYTES + at)
        return footer[0], meta, index

    def _read_footer_6(self, footer: bytes) -> tuple[int, int]:
        """Return the handle of the metaindex, which stands in front; the index is listed there."""
        start = self._size - _FOOTER_BYTES
        if footer[1:5] != _EXTENDED_MAGIC:
            raise self._error("A table footer is damaged.", start)
        recorded, self._context, size = (
            int.from_bytes(footer[at : at + 4], "little") for at in (5, 9, 13)
        )
        plain = footer[:5] + bytes(4) + footer[9:]
        checksum = checksum_of_block(plain, footer[0], self._name) + self._context_at(start)
        if checksum & 0xFFFFFFFF != recorded:
            raise self._error("A table footer has a wrong checksum.", start)
        offset = start - _BLOCK_TRAILER_BYTES - size
        if offset < 0:
            raise self._error("A block lies outside of its file.", start)
        return offset, size

    def _context_at(self, offset: int) -> int:
        """Return what is added to checksums at an offset, so that blocks cannot change places."""
        if self._context == 0:
            return 0
        return self._context ^ ((offset & 0xFFFFFFFF) + (offset >> 32)) & 0xFFFFFFFF

    def _handle(self, value: bytes) -> tuple[int, int]:
        return _read_handle(value, 0)[0]

    def _block(self, handle: tuple[int, int]) -> bytes:
        offset, size = handle
        if size > _MAX_BLOCK_BYTES or offset + size + 5 > self._size - _FOOTER_BYTES:
            raise self._error("A block lies outside of its file.", offset)
        self._stream.seek(offset, io.SEEK_SET)
        data = read_exactly(self._stream, size + 5, "a block")
        context = self._context_at(offset)
        return unpack_block(data, self._checksum_type, self._name, offset, context)

    def _error(self, message: str, offset: int) -> FormatError:
        return FormatError(message, file=self._name, offset=offset)


def _read_handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = read_varint(data, at)
    size, at = read_varint(data, at)
    return (offset, size), at
