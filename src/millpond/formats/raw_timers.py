"""Raw keyed timers: how Flink checkpoints heap timers beside RocksDB state.

The rules are Flink's (InternalTimerServiceSerializationProxy, InternalTimersSnapshot version 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.errors import FormatError
from millpond.formats import serializer_classes as classes
from millpond.formats.buffer import Buffer
from millpond.formats.composite_key import encode_key_group
from millpond.formats.entry_check import EntryCheck
from millpond.formats.java_values import java_skipper
from millpond.formats.keyed_block import KeyedBlock
from millpond.formats.keyed_header import KeyedHeader
from millpond.formats.pyflink_serializers import timer_state_name
from millpond.formats.pyflink_values import encode_timer
from millpond.formats.serializer_snapshot import SerializerSnapshot, read_serializer_snapshot
from millpond.formats.state_meta import VALUE_SERIALIZER, StateMeta, StateMetaKind
from millpond.formats.stream_reader import read_exactly, stream_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from millpond.formats.handles import KeyGroupsHandle

__all__ = ("read_raw_timers",)

_MAGIC = bytes.fromhex("f1cd859f")
_VERSION = 2
_DOMAINS = ("event", "processing")


def read_raw_timers(
    stream: BinaryIO,
    handle: KeyGroupsHandle,
    max_parallelism: int,
    key_groups: tuple[int, int] | None = None,
) -> Iterator[tuple[int, StateMeta, list[tuple[bytes, bytes]]]]:
    """Iterate over (key group, timer state, entries), in the form that canonical streams have.

    One key group is in memory at a time.

    Raises:
        FormatError: the stream is damaged, or holds raw state of an operator of Java's.
    """
    first, last = key_groups or (handle.first_key_group, handle.last_key_group)
    size = stream_size(stream)
    ends = (*handle.offsets[1:], size)
    for index, (start, end) in enumerate(zip(handle.offsets, ends, strict=True)):
        key_group = handle.first_key_group + index
        if start > end or (index == 0 and start != 0):
            raise FormatError(
                "Key groups of timers overlap, or leave a gap.", key_group=key_group, offset=start
            )
        if not first <= key_group <= last:
            continue
        stream.seek(start)
        buffer = Buffer(read_exactly(stream, end - start, "a key group"), origin=start)
        prefix = encode_key_group(key_group, max_parallelism)
        for meta, entries in _key_group(buffer, prefix):
            key = meta.serializers[VALUE_SERIALIZER].nested[0]
            header = KeyedHeader(key, (meta,), compressed=False)
            EntryCheck(header, max_parallelism).check(KeyedBlock(key_group, 0, entries))
            yield key_group, meta, entries


def _key_group(
    buffer: Buffer, prefix: bytes
) -> Iterator[tuple[StateMeta, list[tuple[bytes, bytes]]]]:
    if buffer.take(4, "raw timers") != _MAGIC:
        raise buffer.error(
            "Raw keyed state that holds no timers cannot be read.",
            hint="Take a savepoint in canonical format instead.",
        )
    version = buffer.int32("raw timers")
    if version != _VERSION:
        raise buffer.error("Unknown version of raw timers.", version=version)
    for _ in range(buffer.count("timer services", 14)):
        service = buffer.utf("the name of a timer service")
        key = read_serializer_snapshot(buffer)
        namespace = read_serializer_snapshot(buffer)
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
            if entries:
                yield meta, entries
    buffer.expect_end("raw timers")
