"""What Millpond writes stays byte for byte what it was, per version of each format.

A change of these files is a change of the format: write a new one under a new name then, and keep
the old one readable. ``MILLPOND_WRITE_GOLDEN=1 pytest tests/golden`` writes missing files.
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.partitioning import RebalancePartitioning
from millpond.formats.canonical_reader import read_canonical
from millpond.formats.canonical_writer import CanonicalWriter
from millpond.formats.composite_key import build_composite_key, encode_key_group
from millpond.formats.handles import (
    CheckpointMetadata,
    FileHandle,
    IncrementalHandle,
    InlineHandle,
    KeyGroupsHandle,
    MasterState,
    OperatorState,
    OperatorStateHandle,
    RelativeFileHandle,
    SubtaskState,
)
from millpond.formats.heap_increments import (
    HeapStream,
    HeapStreamKind,
    read_heap_manifest,
    write_heap_manifest,
)
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.keyed_header import KeyedHeader
from millpond.formats.metadata import read_metadata, write_metadata
from millpond.formats.operator_state import (
    OperatorStateHeader,
    read_operator_state,
    write_operator_state,
)
from millpond.formats.pyflink_serializers import (
    broadcast_state_meta,
    keyed_state_meta,
    operator_list_state_meta,
    timer_state_meta,
)
from millpond.formats.pyflink_values import (
    encode_chunk,
    encode_chunks,
    encode_map_key,
    encode_map_value,
    encode_timer,
    encode_ttl_chunks,
    encode_ttl_map_value,
)
from millpond.operators.batch import MIN_WATERMARK, Batch
from millpond.runtime.channel import Channel
from millpond.runtime.element import END_OF_INPUT, Watermark
from millpond.runtime.in_flight import InFlightCodec
from millpond.runtime.job_graph import JobEdge, JobGraph, JobVertex, OperatorNode
from millpond.serialization.key_serializer import key_serializer_for

GOLDEN = Path(__file__).parent / "millpond"
KEYS = key_serializer_for(Types.TUPLE([Types.STRING(), Types.LONG()]))
KEY_SNAPSHOT = key_serializer_snapshot(KEYS.type_info)
WINDOW = struct.pack(">qq", 1_700_000_000_000, 1_700_000_010_000)
MAX_PARALLELISM = 300


class Output:
    def __init__(self):
        self.stream = io.BytesIO()

    def write(self, data):
        self.stream.write(data)

    @property
    def position(self):
        return self.stream.tell()


def keyed_entries():
    """State id, namespace and rows of every kind of state, for two keys."""
    for key in [("grüße", -1), ("key", 2)]:
        encoded = KEYS.encode(key)
        group = KEYS.key_group(key, MAX_PARALLELISM)
        prefix = encode_key_group(group, MAX_PARALLELISM)
        void = build_composite_key(prefix, encoded, b"\0")
        yield group, 0, [(void, encode_chunk(struct.pack(">q", 7)))]
        yield group, 1, [(void, encode_chunks([b"\0\0\0\1a", b"\0\0\0\1b\0\0\0\1c"]))]
        yield (
            group,
            2,
            [
                (void + encode_map_key(b"\0\0\0\1k"), encode_map_value(struct.pack(">q", 8))),
                (void + encode_map_key(b"\0\0\0\1n"), encode_map_value(None)),
            ],
        )
        yield group, 3, [(void, encode_ttl_chunks([(1_700_000_000_123, struct.pack(">q", 9))]))]
        yield group, 4, [(void + encode_map_key(b"t"), encode_ttl_map_value(5, b"\1"))]
        yield group, 5, [(build_composite_key(prefix, encoded, WINDOW), encode_chunk(b"elements"))]
        yield group, 6, [(prefix + encode_timer(1_700_000_009_999, encoded, WINDOW), b"")]


def keyed_stream(*, compressed):
    states = (
        keyed_state_meta("value", is_map=False, signature="VALUE<LONG>"),
        keyed_state_meta("list", is_map=False, signature="LIST<STRING>"),
        keyed_state_meta("map", is_map=True, signature="MAP<STRING, LONG>"),
        keyed_state_meta("expiring", is_map=False, ttl=True),
        keyed_state_meta("expiring-map", is_map=True, ttl=True),
        keyed_state_meta("window-contents", is_map=False, namespace="time-window"),
        timer_state_meta("user-timers", "event", KEY_SNAPSHOT, "time-window"),
    )
    out = Output()
    header = KeyedHeader(KEY_SNAPSHOT, states, compressed)
    writer = CanonicalWriter(out, header, 0, MAX_PARALLELISM - 1)
    current = -1
    for group, state_id, rows in sorted(keyed_entries()):
        if group != current:
            writer.begin_key_group(group)
            current = group
        writer.write_entries(state_id, rows)
    offsets = writer.finish()
    data = out.stream.getvalue()
    return data, KeyGroupsHandle(0, offsets, InlineHandle(data))


def operator_stream():
    out = Output()
    header = OperatorStateHeader(
        (operator_list_state_meta("offsets"), operator_list_state_meta("all", union=True)),
        (broadcast_state_meta("rules", "MAP<STRING, LONG>"),),
    )
    lists = {"offsets": [b"one", b"two"], "all": [b"three"]}
    broadcasts = {"python-state-rules": [(b"\0\0\0\1k", struct.pack(">q", 3))]}
    partitions = write_operator_state(out, header, lists, broadcasts)
    data = out.stream.getvalue()
    return data, OperatorStateHandle(partitions, InlineHandle(data)), lists, broadcasts


def metadata():
    _, keyed = keyed_stream(compressed=False)
    _, operator_state, _, _ = operator_stream()
    files = (("000008.sst", FileHandle("s3://bucket/shared/8", 1000)),)
    private = (("CURRENT", InlineHandle(b"MANIFEST-000004\n")),)
    incremental = IncrementalHandle(
        7, "backend", 0, 128, RelativeFileHandle("meta", 12), files, private, 1028
    )
    return CheckpointMetadata(
        12,
        (
            OperatorState(
                bytes(range(16)),
                1,
                MAX_PARALLELISM,
                {0: SubtaskState(operator_state, None, (keyed,))},
                InlineHandle(b"coordinator"),
            ),
            OperatorState(b"i" * 16, 1, 128, {0: SubtaskState(keyed_managed=(incremental,))}),
            OperatorState(b"f" * 16, 2, 2, {}, fully_finished=True),
        ),
        (MasterState("hook", 1, b"state"),),
    )


HEAP_FILES = (
    HeapStream(HeapStreamKind.BASE, (0, 700, 0, 1 << 33), FileHandle("file:///shared/a", 1 << 34)),
    HeapStream(HeapStreamKind.REMOVED, (0, 0, 0, 650), FileHandle("file:///shared/b", 700)),
    HeapStream(HeapStreamKind.ADDED, (640, 0, 0, 0), FileHandle("file:///shared/c", 800)),
)


def in_flight_channels():
    """A main output with timestamps and a side output, pickled, that lead to one subtask."""
    main, side = Channel(0, 0, 1), Channel(1, 1, 0)
    main.watermark = 1_700_000_000_000
    main.queue.extend(
        [
            Batch([("grüße", -1), ("key", 2)], [1_700_000_000_001, -5]),
            Watermark(1_700_000_000_002),
            Batch([("none", 3)]),
            END_OF_INPUT,
        ]
    )
    side.queue.append(Batch([b"late"]))
    return main, side


def in_flight_codec():
    declared = Types.TUPLE([Types.STRING(), Types.LONG()])
    sender, receiver = (
        OperatorNode(bytes([number]) * 16, "", None, b"", kind, None, None, frozenset())
        for number, kind in ((1, declared), (2, None))
    )
    vertices = (
        JobVertex(0, (sender,), (), 2, 128, False),
        JobVertex(1, (receiver,), (), 3, 128, False),
    )
    edges = (
        JobEdge(0, 0, 1, None, RebalancePartitioning(), 0),
        JobEdge(0, 0, 1, "late", RebalancePartitioning(), 1),
    )
    return InFlightCodec(JobGraph("job", vertices, edges))


WRITTEN = {
    "in-flight-v1.bin": lambda: in_flight_codec().encode(in_flight_channels(), 2),
    "heap-manifest-v1.bin": lambda: write_heap_manifest(HEAP_FILES),
    "metadata-v3.bin": lambda: write_metadata(metadata()),
    "keyed-stream-v6.bin": lambda: keyed_stream(compressed=False)[0],
    "operator-state-v6.bin": lambda: operator_stream()[0],
}


@pytest.mark.parametrize("name", WRITTEN)
def test_bytes_are_as_they_were(name):
    path = GOLDEN / name
    data = WRITTEN[name]()
    if not path.exists() and os.environ.get("MILLPOND_WRITE_GOLDEN"):
        path.write_bytes(data)
    assert data == path.read_bytes()


@pytest.mark.parametrize("compressed", [False, True])
def test_the_golden_keyed_stream_is_read(compressed):
    data, handle = keyed_stream(compressed=compressed)
    found = [(g, s, [(k, v)]) for g, s, k, v in read_canonical(io.BytesIO(data), handle)]
    wanted = [(g, s, [row]) for g, s, rows in sorted(keyed_entries()) for row in rows]
    assert found == wanted


def test_the_golden_operator_stream_is_read():
    data, handle, lists, broadcasts = operator_stream()
    content = read_operator_state(io.BytesIO(data), handle)
    assert content.lists == lists
    assert content.broadcasts == broadcasts


def test_the_golden_metadata_is_read():
    assert read_metadata((GOLDEN / "metadata-v3.bin").read_bytes()) == metadata()


def test_the_golden_heap_manifest_is_read():
    data = (GOLDEN / "heap-manifest-v1.bin").read_bytes()
    files = tuple((each.name(number), each.stream) for number, each in enumerate(HEAP_FILES))
    meta = InlineHandle(data, "meta")
    handle = IncrementalHandle(7, "backend", 0, 4, meta, files, (), len(data))
    assert read_heap_manifest(data, handle) == HEAP_FILES


def test_the_golden_records_in_flight_are_read():
    data = (GOLDEN / "in-flight-v1.bin").read_bytes()
    found = in_flight_codec().decode(1, data)
    assert [
        (one.edge, one.sender, one.receiver, one.senders, one.receivers, one.watermark)
        for one in found
    ] == [
        ((b"\x01" * 16, "", 0, 0), 1, 2, 2, 3, 1_700_000_000_000),
        ((b"\x01" * 16, "late", 1, 0), 0, 2, 2, 3, MIN_WATERMARK),
    ]
    for one, channel in zip(found, in_flight_channels(), strict=True):
        wanted = [each for each in channel.queue if each is not END_OF_INPUT]
        assert len(one.elements) == len(wanted)
        for element, original in zip(one.elements, wanted, strict=True):
            if isinstance(original, Watermark):
                assert element == original
            else:
                assert (element.values, element.timestamps) == (
                    original.values,
                    original.timestamps,
                )
