"""`HeapReader`: reads streams in the layout of Flink's heap backend.

Flink's heap checkpoints, native heap savepoints and the heap savepoints of 1.12 have it
(HeapSnapshotStrategy, CopyOnWriteStateMapSnapshot). One key group is in memory at a time.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, final

from millpond.errors import FormatError
from millpond.formats import serializer_classes as classes
from millpond.formats.buffer import Buffer
from millpond.formats.composite_key import SkipValue, build_composite_key, encode_key_group
from millpond.formats.java_values import has_ambiguous_parts, java_skipper
from millpond.formats.keyed_block import KeyedBlock
from millpond.formats.keyed_header import KeyedHeader, read_keyed_header_from
from millpond.formats.snappy_frames import STREAM_IDENTIFIER, read_frame, skip_stream_identifier
from millpond.formats.state_meta import (
    KEYED_STATE_TYPE,
    NAMESPACE_SERIALIZER,
    VALUE_SERIALIZER,
    StateMeta,
    StateMetaKind,
)
from millpond.formats.stream_reader import read_exactly, stream_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from millpond.formats.handles import KeyGroupsHandle

__all__ = ("HeapReader",)


@final
class HeapReader:
    """Reads one keyed-state stream in heap layout. Used by one thread.

    Attributes:
        header: serializers and states.
    """

    def __init__(self, stream: BinaryIO, handle: KeyGroupsHandle, max_parallelism: int) -> None:
        """Read the header.

        Raises:
            FormatError: the header is damaged.
        """
        self._stream = stream
        self._handle = handle
        self._max_parallelism = max_parallelism
        stream.seek(0)
        self.header: KeyedHeader
        self.header, self._body = read_keyed_header_from(stream)
        self._size = stream_size(stream)

    def blocks(self, key_groups: tuple[int, int] | None = None) -> Iterator[KeyedBlock]:
        """Iterate over the entries; `key_groups` is the first and the last wanted, inclusive.

        Raises:
            FormatError: the stream is damaged, or its values cannot be told apart.
        """
        handle = self._handle
        first, last = key_groups or (handle.first_key_group, handle.last_key_group)
        states = [_StateEntries(state, self.header) for state in self.header.states]
        ends = (*handle.offsets[1:], self._size)
        for index, (start, end) in enumerate(zip(handle.offsets, ends, strict=True)):
            key_group = handle.first_key_group + index
            if start > end or (index == 0 and start != self._body):
                raise FormatError(
                    "Key groups overlap in the stream, or leave a gap.",
                    key_group=key_group,
                    offset=start,
                )
            if first <= key_group <= last:
                yield from self._key_group(key_group, start, end, states)

    def _key_group(
        self, key_group: int, start: int, end: int, states: list[_StateEntries]
    ) -> Iterator[KeyedBlock]:
        self._stream.seek(start)
        data = read_exactly(self._stream, end - start, "a key group")
        buffer = Buffer(data, origin=start)
        if buffer.int32("a key group") != key_group:
            raise buffer.error("Another key group is here than is listed.", key_group=key_group)
        prefix = encode_key_group(key_group, self._max_parallelism)
        missing = set(range(len(states)))
        for part in self._parts(buffer, len(states)):
            state_id = part.int16("a state id")
            if state_id not in missing:
                raise part.error(
                    "An entry belongs to no state, or a state stands twice.", state_id=state_id
                )
            missing.remove(state_id)
            entries = states[state_id].read(part, prefix)
            if entries:
                yield KeyedBlock(key_group, state_id, entries)

    def _parts(self, buffer: Buffer, count: int) -> Iterator[Buffer]:
        """Yield the buffer of each state; the same one unless they are compressed."""
        if not self.header.compressed:
            for _ in range(count):
                yield buffer
            buffer.expect_end("a key group")
            return
        stream = io.BytesIO(buffer.data)
        stream.seek(buffer.offset)
        for _ in range(count):
            skip_stream_identifier(stream)
            plain: list[bytes] = []
            while stream.tell() < buffer.end and not _at_identifier(buffer.data, stream.tell()):
                plain.append(read_frame(stream))
            part = Buffer(b"".join(plain))
            yield part
            part.expect_end("a state")
        buffer.offset = stream.tell()
        buffer.expect_end("a key group")


def _at_identifier(data: bytes, offset: int) -> bool:
    return data[offset : offset + len(STREAM_IDENTIFIER)] == STREAM_IDENTIFIER


@final
class _StateEntries:
    """Reads the entries of one state and gives them the canonical form."""

    def __init__(self, state: StateMeta, header: KeyedHeader) -> None:
        value = state.serializers.get(VALUE_SERIALIZER)
        if value is None:
            raise FormatError("A state has no value serializer.", offset=0, state=state.name)
        self._skip_value = java_skipper(value)
        self._is_timer = state.kind is StateMetaKind.PRIORITY_QUEUE
        self._element: SkipValue | None = None
        self._map: tuple[SkipValue, SkipValue] | None = None
        if self._is_timer:
            return
        namespace = state.serializers.get(NAMESPACE_SERIALIZER)
        if namespace is None:
            raise FormatError("A state has no namespace serializer.", offset=0, state=state.name)
        self._skip_namespace = java_skipper(namespace)
        self._skip_key = java_skipper(header.key_serializer)
        self._ambiguous = has_ambiguous_parts(header.key_serializer, namespace)
        kind = state.options.get(KEYED_STATE_TYPE)
        if kind == "LIST" and value.class_name == classes.LIST:
            self._element = java_skipper(value.nested[0])
        elif kind == "MAP" and value.class_name == classes.MAP:
            self._map = (java_skipper(value.nested[0]), java_skipper(value.nested[1]))

    def read(self, buffer: Buffer, prefix: bytes) -> list[tuple[bytes, bytes]]:
        entries: list[tuple[bytes, bytes]] = []
        data = buffer.data
        for _ in range(buffer.count("entries")):
            start = buffer.offset
            if self._is_timer:
                buffer.offset = self._skip_value(data, start)
                entries.append((prefix + data[start : buffer.offset], b""))
                continue
            key_start = self._skip_namespace(data, start)
            key_end = self._skip_key(data, key_start)
            buffer.offset = key_end
            composite = build_composite_key(
                prefix, data[key_start:key_end], data[start:key_start], ambiguous=self._ambiguous
            )
            self._read_value(buffer, composite, entries)
        return entries

    def _read_value(
        self, buffer: Buffer, composite: bytes, entries: list[tuple[bytes, bytes]]
    ) -> None:
        data = buffer.data
        if self._map is not None:
            skip_key, skip_value = self._map
            for _ in range(buffer.count("map entries", 2)):
                start = buffer.offset
                buffer.offset = value_start = skip_key(data, start)
                if not buffer.boolean("a null flag"):
                    buffer.offset = skip_value(data, buffer.offset)
                value = data[value_start : buffer.offset]
                entries.append((composite + data[start:value_start], value))
            return
        if self._element is not None:
            elements = []
            for _ in range(buffer.count("list elements")):
                start = buffer.offset
                buffer.offset = self._element(data, start)
                elements.append(data[start : buffer.offset])
            if elements:
                entries.append((composite, b",".join(elements)))
            return
        start = buffer.offset
        buffer.offset = self._skip_value(data, start)
        entries.append((composite, data[start : buffer.offset]))
