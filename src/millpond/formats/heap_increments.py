"""Incremental checkpoints of heap state: a base and increments, each a canonical stream.

`docs/formats/heap-increments.md` has the bytes. The streams are listed in an `IncrementalHandle`;
its meta stream, written here, says what each of them is and where its key groups start.
"""

from __future__ import annotations

import enum
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from millpond.errors import FormatError
from millpond.formats.buffer import Buffer, BufferWriter
from millpond.formats.canonical_reader import CanonicalReader
from millpond.formats.handles import IncrementalHandle, KeyGroupsHandle, StreamHandle
from millpond.formats.keyed_block import KeyedBlock
from millpond.formats.keyed_header import KeyedHeader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from millpond.formats.state_meta import StateMeta

__all__ = (
    "HeapIncrementsReader",
    "HeapStream",
    "HeapStreamKind",
    "is_heap_increments",
    "read_heap_manifest",
    "write_heap_manifest",
)

_MAGIC = b"MPHI"
_VERSION = 1
_NAME_PREFIX = "heap-"
_MAX_MANIFEST_BYTES = 1 << 30

_Rows = dict[bytes, bytes]


class HeapStreamKind(enum.IntEnum):
    """What a stream does to the rows of those before it."""

    BASE = 0
    REMOVED = 1
    ADDED = 2


@final
@dataclass(frozen=True, slots=True)
class HeapStream:
    """One canonical stream; `offsets` of all key groups of the handle, 0 for empty ones."""

    kind: HeapStreamKind
    offsets: tuple[int, ...]
    stream: StreamHandle

    def name(self, number: int) -> str:
        """Return its name in the handle, as the `number`-th stream."""
        return f"{_NAME_PREFIX}{number:04}-{self.kind.name.lower()}"


def is_heap_increments(handle: IncrementalHandle) -> bool:
    """Tell these handles from those of RocksDB files, whose names are RocksDB's."""
    return bool(handle.shared) and handle.shared[0][0].startswith(_NAME_PREFIX)


def write_heap_manifest(streams: tuple[HeapStream, ...]) -> bytes:
    """Return the content of the meta stream: kind and key groups of every stream, in order."""
    out = BufferWriter()
    out.raw(_MAGIC)
    out.uint16(_VERSION)
    out.int32(len(streams))
    for stream in streams:
        filled = [(index, offset) for index, offset in enumerate(stream.offsets) if offset]
        out.uint8(stream.kind)
        out.int32(len(filled))
        for index, offset in filled:
            out.uint16(index)
            out.int64(offset)
    return out.to_bytes()


def read_heap_manifest(data: bytes, handle: IncrementalHandle) -> tuple[HeapStream, ...]:
    """Return the streams of a handle, oldest first.

    Raises:
        FormatError: the manifest is damaged, or does not fit the handle.
    """
    buffer = Buffer(data)
    if buffer.take(len(_MAGIC), "the magic number") != _MAGIC:
        raise buffer.error("This is no manifest of heap increments.")
    version = buffer.uint16("the version")
    if version != _VERSION:
        raise buffer.error("Unknown version of heap increments.", version=version)
    files = dict(handle.shared)
    streams = []
    for number in range(buffer.count("streams", 5)):
        kind = buffer.uint8("the kind of a stream")
        if kind > max(HeapStreamKind) or (kind == HeapStreamKind.BASE) != (number == 0):
            raise buffer.error("Impossible order of streams.", kind=kind, number=number)
        offsets = [0] * handle.key_group_count
        for _ in range(buffer.count("key groups", 10)):
            index = buffer.uint16("a key group")
            offset = buffer.int64("an offset")
            if index >= len(offsets) or offset <= 0:
                raise buffer.error("Impossible key group.", index=index, offset=offset)
            offsets[index] = offset
        stream = HeapStream(HeapStreamKind(kind), tuple(offsets), next(iter(files.values())))
        name = stream.name(number)
        if name not in files:
            raise buffer.error("A stream of the manifest is not in the handle.", name=name)
        streams.append(HeapStream(stream.kind, stream.offsets, files[name]))
    buffer.expect_end("the manifest")
    if len(streams) != len(files):
        raise FormatError("The handle has streams that the manifest lacks.", streams=len(files))
    return tuple(streams)


@final
class HeapIncrementsReader:
    """Reads a base with its increments as one canonical state. Used by one thread.

    One key group is in memory at a time.

    Attributes:
        header: serializers and states of all streams.
    """

    def __init__(
        self, handle: IncrementalHandle, open_stream: Callable[[StreamHandle], BinaryIO]
    ) -> None:
        """Read the manifest and the headers.

        Raises:
            FormatError: one of them is damaged, or two disagree on a state.
        """
        self._handle = handle
        self._open = open_stream
        if handle.meta.size > _MAX_MANIFEST_BYTES:
            raise FormatError("The manifest is impossibly long.", size_bytes=handle.meta.size)
        with open_stream(handle.meta) as file:
            self._streams = read_heap_manifest(file.read(), handle)
        if not self._streams:
            raise FormatError("A handle of heap increments names no stream.")
        self._ids: list[list[int]] = []
        self.header = self._united_header()

    def blocks(self, key_groups: tuple[int, int] | None = None) -> Iterator[KeyedBlock]:
        """Iterate over the entries that the increments leave; `key_groups` as everywhere.

        Raises:
            FormatError: a stream is damaged.
        """
        handle = self._handle
        first, last = key_groups or (handle.first_key_group, handle.last_key_group)
        first, last = max(first, handle.first_key_group), min(last, handle.last_key_group)
        with ExitStack() as opened:
            readers = [
                CanonicalReader(opened.enter_context(self._open(each.stream)), self._plain(each))
                for each in self._streams
            ]
            for key_group in range(first, last + 1):
                for state_id, rows in sorted(self._merge(readers, key_group).items()):
                    if rows:
                        yield KeyedBlock(key_group, state_id, list(rows.items()))

    def _merge(self, readers: list[CanonicalReader], key_group: int) -> dict[int, _Rows]:
        index = key_group - self._handle.first_key_group
        merged: dict[int, _Rows] = {}
        for stream, reader, ids in zip(self._streams, readers, self._ids, strict=True):
            if not stream.offsets[index]:
                continue
            changes: dict[int, _Rows] = {}
            for _, state_id, entries in reader.blocks((key_group, key_group)):
                changes.setdefault(ids[state_id], {}).update(entries)
            for state_id, rows in changes.items():
                before = merged.setdefault(state_id, {})
                if stream.kind is HeapStreamKind.REMOVED:
                    _remove(before, rows)
                else:
                    before.update(rows)
        return merged

    def _plain(self, stream: HeapStream) -> KeyGroupsHandle:
        return KeyGroupsHandle(self._handle.first_key_group, stream.offsets, stream.stream)

    def _united_header(self) -> KeyedHeader:
        states: dict[str, StateMeta] = {}
        numbers: dict[str, int] = {}
        key_serializer = None
        for stream in self._streams:
            with self._open(stream.stream) as file:
                header = CanonicalReader(file, self._plain(stream)).header
            if key_serializer is None:
                key_serializer = header.key_serializer
            elif key_serializer != header.key_serializer:
                raise FormatError("Two increments disagree on the type of the keys.")
            for meta in header.states:
                if states.setdefault(meta.name, meta) != meta:
                    raise FormatError("Two increments disagree on a state.", state=meta.name)
                numbers.setdefault(meta.name, len(numbers))
            self._ids.append([numbers[meta.name] for meta in header.states])
        assert key_serializer is not None
        return KeyedHeader(key_serializer, tuple(states.values()))


def _remove(rows: _Rows, addresses: _Rows) -> None:
    """Remove the rows of entries: an entry's address, or the beginning of its map rows.

    Addresses are encoded so that none is the beginning of another one.
    """
    lengths = {len(address) for address in addresses}
    for key in [key for key in rows if any(key[:length] in addresses for length in lengths)]:
        del rows[key]
