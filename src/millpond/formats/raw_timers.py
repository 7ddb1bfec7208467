"""`RawTimersReader`: how Flink checkpoints heap timers beside RocksDB state.

The rules are Flink's (InternalTimerServiceSerializationProxy, InternalTimersSnapshot version 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from millpond.errors import FormatError
from millpond.formats import serializer_classes as classes
from millpond.formats.buffer import Buffer
from millpond.formats.composite_key import encode_key_group
from millpond.formats.java_values import java_skipper
from millpond.formats.keyed_block import KeyedBlock
from millpond.formats.keyed_header import KeyedHeader
from millpond.formats.pyflink_serializers import NAMESPACES, timer_state_name
from millpond.formats.pyflink_values import encode_timer
from millpond.formats.serializer_snapshot import SerializerSnapshot, read_serializer_snapshot
from millpond.formats.state_meta import VALUE_SERIALIZER, StateMeta, StateMetaKind
from millpond.formats.stream_reader import read_exactly, stream_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from millpond.formats.handles import KeyGroupsHandle

__all__ = ("RawTimersReader",)

_MAGIC: Final = bytes.fromhex("f1cd859f")
_VERSION: Final = 2
_DOMAINS: Final = ("event", "processing")

_Queues = list[tuple[StateMeta, list[tuple[bytes, bytes]]]]


@final
class RawTimersReader:
    """Reads raw timers in the form that canonical streams have: a state for each queue.

    One key group is in memory at a time. Used by one thread.

    Attributes:
        header: serializer of the keys and all timer queues, empty ones too. If the operator had no
            timer service, there are no states, and the serializer says nothing.
    """

    def __init__(self, stream: BinaryIO, handle: KeyGroupsHandle, max_parallelism: int) -> None:
        """Read the header, which every key group repeats.

        Raises:
            FormatError: the stream is damaged, or holds raw state of an operator of Java's.
        """
        self._stream = stream
        self._max_parallelism = max_parallelism
        self._first_key_group = handle.first_key_group
        ends = (*handle.offsets[1:], stream_size(stream))
        self._bounds = tuple(zip(handle.offsets, ends, strict=True))
        for index, (start, end) in enumerate(self._bounds):
            if start > end or (index == 0 and start != 0):
                raise FormatError(
                    "Key groups of timers overlap, or leave a gap.",
                    key_group=handle.first_key_group + index,
                    offset=start,
                )
        states = tuple(meta for meta, _ in self._queues(0)) if self._bounds else ()
        key = states[0].serializers[VALUE_SERIALIZER].nested[0] if states else NAMESPACES["void"]
        self.header = KeyedHeader(key, states)

    def blocks(self, key_groups: tuple[int, int] | None = None) -> Iterator[KeyedBlock]:
        """Iterate over the timers, sorted inside of a block; see `KeyedStateReader`."""
        for index, (start, _) in enumerate(self._bounds):
            key_group = self._first_key_group + index
            if key_groups is not None and not key_groups[0] <= key_group <= key_groups[1]:
                continue
            queues = self._queues(index)
            if tuple(meta for meta, _ in queues) != self.header.states:
                raise FormatError(
                    "Two key groups disagree on their timers.", key_group=key_group, offset=start
                )
            for state_id, (_, entries) in enumerate(queues):
                if entries:
                    entries.sort()
                    yield KeyedBlock(key_group, state_id, entries)

    def _queues(self, index: int) -> _Queues:
        start, end = self._bounds[index]
        self._stream.seek(start)
        buffer = Buffer(read_exactly(self._stream, end - start, "a key group"), origin=start)
        prefix = encode_key_group(self._first_key_group + index, self._max_parallelism)
        return _read_queues(buffer, prefix)


def _read_queues(buffer: Buffer, prefix: bytes) -> _Queues:
    if buffer.take(4, "raw timers") != _MAGIC:
        raise buffer.error(
            "Raw keyed state that holds no timers cannot be read.",
            hint="Take a savepoint in canonical format instead.",
        )
    version = buffer.int32("raw timers")
    if version != _VERSION:
        raise buffer.error("Unknown version of raw timers.", version=version)
    queues: _Queues = []
    keys: set[SerializerSnapshot] = set()
    for _ in range(buffer.count("timer services", 14)):
        service = buffer.utf("the name of a timer service")
        key = read_serializer_snapshot(buffer)
        namespace = read_serializer_snapshot(buffer)
        keys.add(key)
        snapshot = SerializerSnapshot(classes.TIMER, (key, namespace), 2)
        skip_key = java_skipper(key)
        skip_namespace = java_skipper(namespace)
        for domain in _DOMAINS:
            entries = []
            for _ in range(buffer.count("timers", 9)):
                start = buffer.offset
                key_end = skip_key(buffer.data, start)
                buffer.offset = namespace_end = skip_namespace(buffer.data, key_end)
                timestamp = buffer.int64("a timer")
                timer = encode_timer(
                    timestamp, buffer.data[start:key_end], buffer.data[key_end:namespace_end]
                )
                entries.append((prefix + timer, b""))
            name = timer_state_name(service, domain)
            meta = StateMeta(name, StateMetaKind.PRIORITY_QUEUE, {}, {VALUE_SERIALIZER: snapshot})
            queues.append((meta, entries))
    buffer.expect_end("raw timers")
    if len({meta.name for meta, _ in queues}) != len(queues):
        raise buffer.error("Two timer services have the same name.")
    if len(keys) > 1:
        raise buffer.error("Two timer services have different keys.")
    return queues
