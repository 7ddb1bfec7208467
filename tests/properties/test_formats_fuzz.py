"""No input makes a reader loop, allocate without bound or raise anything but a named error."""

from __future__ import annotations

import io

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.common.typeinfo import Types
from millpond.errors import FormatError
from millpond.formats.buffer import Buffer, BufferWriter
from millpond.formats.canonical_reader import read_canonical
from millpond.formats.canonical_writer import CanonicalWriter
from millpond.formats.composite_key import build_composite_key, split_composite_key
from millpond.formats.handles import (
    CheckpointMetadata,
    FileHandle,
    InlineHandle,
    KeyGroupsHandle,
    OperatorState,
    SubtaskState,
)
from millpond.formats.heap_body import HeapReader
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.java_values import java_decoder, java_skipper
from millpond.formats.keyed_header import KeyedHeader, read_keyed_header, write_keyed_header
from millpond.formats.manifest import read_manifest
from millpond.formats.metadata import read_metadata, write_metadata
from millpond.formats.operator_state import read_operator_state_header
from millpond.formats.pyflink_serializers import NAMESPACES, keyed_state_meta, timer_state_meta
from millpond.formats.pyflink_values import (
    decode_chunks,
    decode_ttl_chunks,
    encode_chunks,
    encode_ttl_chunks,
    join_chunks,
)
from millpond.formats.serializer_snapshot import read_serializer_snapshot, write_serializer_snapshot
from millpond.formats.sst import SstFile

quick = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


KEY = key_serializer_snapshot(Types.TUPLE([Types.STRING(), Types.LONG()]))
HEADER = KeyedHeader(
    KEY,
    (
        keyed_state_meta("a", is_map=False),
        keyed_state_meta("b", is_map=True, ttl=True),
        timer_state_meta("user-timers", "event", KEY, "time-window"),
    ),
)


def named_errors_only(function, *arguments):
    try:
        return function(*arguments)
    except FormatError:
        return None


@quick
@given(st.binary(max_size=400))
def test_random_bytes(data):
    named_errors_only(read_metadata, data)
    named_errors_only(read_metadata, bytes.fromhex("4960672d00000003") + data)
    named_errors_only(read_metadata, bytes.fromhex("4960672d00000006") + data)
    named_errors_only(read_keyed_header, Buffer(data))
    named_errors_only(read_keyed_header, Buffer(b"\0\0\0\6\0\0\0\0\2" + data))
    named_errors_only(read_operator_state_header, Buffer(b"\0\0\0\6\0" + data))
    named_errors_only(read_serializer_snapshot, Buffer(data))
    named_errors_only(read_manifest, data)
    named_errors_only(SstFile, io.BytesIO(data), "x.sst")
    for decode in (decode_chunks, decode_ttl_chunks, join_chunks):
        named_errors_only(decode, data)
    for snapshot in (KEY, *HEADER.states[1].serializers.values(), *NAMESPACES.values()):
        named_errors_only(java_decoder(snapshot), data, 0)


@quick
@given(
    st.binary(max_size=300), st.lists(st.integers(0, 400), min_size=3, max_size=3), st.booleans()
)
def test_random_bodies(body, offsets, compressed):
    header = write_keyed_header(KeyedHeader(KEY, HEADER.states, compressed))
    data = header + body
    places = tuple(len(header) + offset if offset else 0 for offset in offsets)
    handle = KeyGroupsHandle(0, places, InlineHandle(data))
    found = named_errors_only(lambda: list(read_canonical(io.BytesIO(data), handle)))
    assert found is None or len(found) <= len(body)
    blocks = named_errors_only(lambda: list(HeapReader(io.BytesIO(data), handle, 128).blocks()))
    assert blocks is None or len(blocks) <= len(body)


@quick
@given(st.data())
def test_damaged_headers(data):
    intact = write_keyed_header(HEADER)
    at = data.draw(st.integers(0, len(intact)))
    end = data.draw(st.integers(at, len(intact)))
    damaged = intact[:at] + data.draw(st.binary(max_size=20)) + intact[end:]
    header = named_errors_only(read_keyed_header, Buffer(damaged))
    if header is not None:
        # What was read is what the bytes say: writing it again gives them back.
        again = write_keyed_header(header)
        assert read_keyed_header(Buffer(again)) == header


entries = st.dictionaries(st.binary(max_size=12), st.binary(max_size=60), max_size=8)
contents = st.dictionaries(
    st.integers(0, 127), st.dictionaries(st.integers(0, 2), entries, max_size=3), max_size=6
)


class Output:
    def __init__(self):
        self.stream = io.BytesIO()

    def write(self, data):
        self.stream.write(data)

    @property
    def position(self):
        return self.stream.tell()


@quick
@given(contents, st.booleans())
def test_canonical_streams_come_back(content, compressed):
    out = Output()
    writer = CanonicalWriter(out, KeyedHeader(KEY, HEADER.states, compressed), 0, 127)
    expected = []
    for group in sorted(content):
        writer.begin_key_group(group)
        for state_id, rows in content[group].items():
            keyed = [(bytes([group]) + key, value) for key, value in rows.items()]
            writer.write_entries(state_id, keyed)
            expected += [(group, state_id, key, value) for key, value in keyed]
    handle = KeyGroupsHandle(0, writer.finish(), InlineHandle(out.stream.getvalue()))
    assert list(read_canonical(out.stream, handle)) == expected


@quick
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=5), st.integers(-(2**63), 2**63 - 1))
def test_chunks_come_back(chunks, time):
    assert decode_chunks(encode_chunks(chunks)) == chunks
    assert join_chunks(encode_chunks(chunks)) == b"".join(chunks)
    timed = [(time, chunk) for chunk in chunks]
    assert decode_ttl_chunks(encode_ttl_chunks(timed)) == timed


@quick
@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=9), st.booleans())
def test_composite_keys_come_back(key, namespace, user_key, ambiguous):
    out = BufferWriter()
    out.sized_bytes(key)
    encoded = out.to_bytes()
    out = BufferWriter()
    out.sized_bytes(namespace)
    space = out.to_bytes()
    skip = java_skipper(HEADER.states[1].serializers["VALUE_SERIALIZER"].nested[0])
    data = build_composite_key(b"\7", encoded, space, user_key, ambiguous=ambiguous)
    parts = split_composite_key(data, 1, skip, skip, ambiguous=ambiguous)
    assert parts == (7, encoded, space, user_key)


texts = st.text(max_size=20)
streams = st.one_of(
    st.builds(InlineHandle, st.binary(min_size=9, max_size=40), texts),
    st.builds(FileHandle, texts, st.integers(9, 2**40)),
)
keyed = st.tuples(streams, st.booleans(), st.integers(0, 9))


@quick
@given(
    st.lists(
        st.tuples(
            st.binary(min_size=16, max_size=16), st.integers(1, 4), st.lists(keyed, max_size=4)
        ),
        max_size=4,
        unique_by=lambda operator: operator[0],
    ),
    st.integers(0, 2**62),
)
def test_metadata_comes_back(operators, checkpoint_id):
    metadata = CheckpointMetadata(
        checkpoint_id,
        tuple(
            OperatorState(
                operator_id,
                parallelism,
                2 * parallelism,
                {
                    index: SubtaskState(
                        keyed_managed=(
                            KeyGroupsHandle(2 * index, (0, offset), stream, savepoint=savepoint),
                        )
                    )
                    for index, (stream, savepoint, offset) in enumerate(handles[:parallelism])
                },
            )
            for operator_id, parallelism, handles in operators
        ),
    )
    assert read_metadata(write_metadata(metadata)) == metadata


def test_snapshots_of_serializers_are_bounded_by_their_bytes():
    out = BufferWriter()
    write_serializer_snapshot(out, KEY)
    data = out.to_bytes()
    for at in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[at] ^= flip
            named_errors_only(read_serializer_snapshot, Buffer(bytes(damaged)))
