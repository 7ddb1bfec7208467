"""Streams in heap layout, built by hand as Flink's heap backend writes them."""

import io
import struct

import pytest

from millpond.common.typeinfo import Types
from millpond.errors import FormatError
from millpond.formats.canonical_reader import CanonicalReader
from millpond.formats.handles import InlineHandle, KeyGroupsHandle
from millpond.formats.heap_body import HeapReader
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.keyed_header import KeyedHeader, write_keyed_header
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.pyflink_serializers import (
    NAMESPACES,
    basic_snapshot,
    keyed_state_meta,
    timer_state_meta,
)
from millpond.formats.pyflink_values import encode_chunks, encode_map_value, encode_timer
from millpond.formats.snappy_frames import STREAM_IDENTIFIER, frames
from millpond.formats.state_meta import StateMeta, StateMetaKind
from millpond.serialization.key_serializer import key_serializer_for

KEY = key_serializer_snapshot(Types.INT())
STATES = (
    keyed_state_meta("list", is_map=False, namespace="time-window"),
    keyed_state_meta("map", is_map=True),
    timer_state_meta("user-timers", "event", KEY),
    StateMeta(
        "value",
        StateMetaKind.KEY_VALUE,
        {"KEYED_STATE_TYPE": "VALUE"},
        {"VALUE_SERIALIZER": basic_snapshot("Long"), "NAMESPACE_SERIALIZER": NAMESPACES["void"]},
    ),
)


_key_group = key_serializer_for(Types.INT()).key_group
NUMBER_OF = {_key_group(number, 128): number for number in range(2000)}


def key(group):
    """A key that belongs to the key group."""
    return b"\0" + NUMBER_OF[group].to_bytes(4, "big")


WINDOW = struct.pack(">qq", 1, 2)


def states_of(group):
    yield b"\0\0\0\0\0\1" + WINDOW + key(group) + b"\0\0\0\2\0\0\0\1a\0\0\0\1b"
    yield (b"\0\1\0\0\0\1\0" + key(group) + b"\0\0\0\2" + b"\0\0\0\1k\0\0\0\0\1v" + b"\0\0\0\1l\1")
    yield b"\0\2\0\0\0\1" + encode_timer(-5, key(group), b"\0")
    yield b"\0\3\0\0\0\1\0" + key(group) + struct.pack(">q", 77)


def stream_of(groups, *, compressed=False):
    data = write_keyed_header(KeyedHeader(KEY, STATES, compressed))
    offsets = []
    for group in groups:
        offsets.append(len(data))
        data += group.to_bytes(4, "big")
        for state in states_of(group):
            data += STREAM_IDENTIFIER + b"".join(frames(state)) if compressed else state
    return data, KeyGroupsHandle(groups[0], tuple(offsets), InlineHandle(data), savepoint=False)


def expected(group):
    prefix = bytes([group])
    return [
        (group, 0, [(prefix + key(group) + WINDOW, encode_chunks([b"a", b"b"]))]),
        (
            group,
            1,
            [
                (prefix + key(group) + b"\0\0\0\0\1k", encode_map_value(b"v")),
                (prefix + key(group) + b"\0\0\0\0\1l", encode_map_value(None)),
            ],
        ),
        (group, 2, [(prefix + encode_timer(-5, key(group), b"\0"), b"")]),
        (group, 3, [(prefix + key(group) + b"\0", struct.pack(">q", 77))]),
    ]


@pytest.mark.parametrize("compressed", [False, True])
def test_entries_get_the_canonical_form(compressed):
    data, handle = stream_of([5, 6, 7], compressed=compressed)
    reader = HeapReader(io.BytesIO(data), handle, 128)
    assert list(reader.blocks()) == [*expected(5), *expected(6), *expected(7)]
    assert list(reader.blocks((6, 6))) == expected(6)


@pytest.mark.parametrize("compressed", [False, True])
def test_every_truncation_is_a_named_error(compressed):
    data, handle = stream_of([5, 6], compressed=compressed)
    for size in range(len(data)):
        with pytest.raises(FormatError):
            list(HeapReader(io.BytesIO(data[:size]), handle, 128).blocks())


@pytest.mark.parametrize("compressed", [False, True])
def test_every_flipped_byte_ends_in_entries_or_a_named_error(compressed):
    data, handle = stream_of([5, 6], compressed=compressed)
    for at in range(handle.offsets[0], len(data)):
        for flip in (0x01, 0x80):
            damaged = bytearray(data)
            damaged[at] ^= flip
            try:
                blocks = list(HeapReader(io.BytesIO(bytes(damaged)), handle, 128).blocks())
            except FormatError:
                continue
            assert sum(len(block.entries) for block in blocks) <= 10


def test_the_layout_is_recognised_where_the_handle_does_not_say(output):
    from millpond.formats.canonical_writer import CanonicalWriter

    data, handle = stream_of([5, 6])
    heap = open_keyed_state(handle, lambda _: io.BytesIO(data), 128, check=False)
    assert isinstance(heap, HeapReader)
    checked = open_keyed_state(handle, lambda _: io.BytesIO(data), 128)
    assert list(checked.blocks()) == list(heap.blocks())
    writer = CanonicalWriter(output, KeyedHeader(KEY, STATES), 5, 6)
    for group in (5, 6):
        writer.begin_key_group(group)
        writer.write_entries(0, expected(group)[0][2])
    old = KeyGroupsHandle(5, writer.finish(), InlineHandle(output.data), savepoint=False)
    reader = open_keyed_state(old, lambda _: io.BytesIO(output.data), 128, check=False)
    assert isinstance(reader, CanonicalReader)
    assert len(list(reader.blocks())) == 2
