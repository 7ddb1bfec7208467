"""Writes the inputs that fuzzing starts from: small ones, of Flink's golden snapshots and our own.

usage: python tests/fuzz/seeds.py; overwrites `tests/fuzz/corpus/<target>/seed-*`.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from unittest import mock

from millpond.common.typeinfo import Types
from millpond.formats import snappy_frames, sst, sst_block
from millpond.formats.buffer import BufferWriter
from millpond.formats.canonical_writer import CanonicalWriter
from millpond.formats.composite_key import build_composite_key
from millpond.formats.handles import (
    CheckpointMetadata,
    InlineHandle,
    KeyGroupsHandle,
    OperatorState,
    OperatorStateHandle,
    RelativeFileHandle,
    SubtaskState,
)
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.keyed_header import KeyedHeader, write_keyed_header
from millpond.formats.metadata import read_metadata, write_metadata
from millpond.formats.operator_state import OperatorStateHeader, write_operator_state
from millpond.formats.pyflink_serializers import (
    NAMESPACES,
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
from millpond.formats.serializer_snapshot import write_serializer_snapshot
from millpond.state.contract.key_group import key_group_of_hash

HERE = Path(__file__).resolve().parent
FLINK = HERE.parent / "golden" / "flink"
TUPLE_KEY = key_serializer_snapshot(Types.TUPLE([Types.STRING(), Types.LONG()]))
KEY = key_serializer_snapshot(Types.STRING())
STATES = (
    keyed_state_meta("v", is_map=False, signature="VALUE<LONG>"),
    keyed_state_meta("l", is_map=False, ttl=True, signature="LIST<STRING> WITH TTL"),
    keyed_state_meta("m", is_map=True, signature="MAP<STRING, LONG>"),
    keyed_state_meta("t", is_map=True, ttl=True),
    timer_state_meta("user-timers", "event", KEY),
)


LAYOUTS = ("canonical", "heap", "raw_timers")
"""As the first byte of an input of the target `examined` numbers them."""


class Output(io.BytesIO):
    position = property(io.BytesIO.tell)


def keep(target: str, name: str, data: bytes) -> None:
    directory = HERE / "corpus" / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"seed-{name}").write_bytes(data)
    if target in LAYOUTS:
        keep("examined", f"{target}-{name}", bytes([LAYOUTS.index(target)]) + data)
    if target == "raw_timers":
        keep("restored_timers", name, data)


def canonical_stream(*, compressed: bool) -> tuple[bytes, tuple[int, ...]]:
    out = Output()
    writer = CanonicalWriter(out, KeyedHeader(KEY, STATES, compressed), 0, 127)
    rows = {}
    for text in ("a", "key-1"):
        key = b"\0" + bytes([len(text) + 1]) + text.encode()
        group = _group(text)
        map_key = encode_map_key(b"\0\0\0\1k")
        rows[group] = (
            (0, build_composite_key(bytes([group]), key, b"\0"), encode_chunks([bytes(8)])),
            (1, build_composite_key(bytes([group]), key, b"\0"), encode_ttl_chunks([(7, b"ab")])),
            (
                2,
                build_composite_key(bytes([group]), key, b"\0", map_key),
                encode_map_value(bytes(8)),
            ),
            (
                3,
                build_composite_key(bytes([group]), key, b"\0", map_key),
                encode_ttl_map_value(5, b"xy"),
            ),
            (4, bytes([group]) + encode_timer(12, key, b"\0"), b""),
        )
    for group in sorted(rows):
        writer.begin_key_group(group)
        for state, key, value in rows[group]:
            writer.write_entries(state, [(key, value)])
    offsets = writer.finish()
    return out.getvalue(), offsets


def _group(text: str) -> int:
    code = 0
    for character in text:
        code = (31 * code + ord(character)) & 0xFFFFFFFF
    return key_group_of_hash((62 + code) & 0xFFFFFFFF, 128)


def write_all() -> None:
    snapshots = []
    for path in sorted(FLINK.rglob("_metadata")):
        data = path.read_bytes()
        name = path.relative_to(FLINK).parts[0]
        _keep_parts(name, read_metadata(data), snapshots)
    stream, offsets = canonical_stream(compressed=False)
    used = [(group, at) for group, at in enumerate(offsets) if at]
    (first, at), (_, second) = used
    keep("canonical", "plain", bytes([1, first]) + struct.pack(">HHH", at, second, 0) + stream)
    packed, packed_offsets = canonical_stream(compressed=True)
    (_, at), (_, second) = [(g, o) for g, o in enumerate(packed_offsets) if o]
    zeroed = bytearray(packed)
    _zero_frames(zeroed, (at, second))
    keep(
        "canonical",
        "snappy",
        bytes([1, first]) + struct.pack(">HHH", at, second, 0) + bytes(zeroed),
    )
    keep("snappy", "frames", bytes(zeroed[at + 10 :]))
    keep("snappy", "block", bytes(snappy_frames.load_cramjam().snappy.compress_raw(b"ab" * 99)))
    keep("heap", "plain", bytes([0, 0]) + _heap())
    keep("raw_timers", "two", _raw_timers())
    metadata = _millpond(stream, offsets)
    keep("savepoint", "canonical", metadata)
    keep("metadata", "millpond", metadata)
    _java()
    keep("sidecar", "one", b'{"format":"millpond-checksums","version":1,"files":{"a":[1,2]}}\n')
    keep("type_text", "map", b"MAP<STRING, LIST<LONG>>\n" + bytes(30))
    keep("type_text", "row", b'ROW<a: INT, "b": TUPLE<BOOLEAN, INSTANT>>, BIG_DEC\n' + bytes(30))


def _keep_parts(name: str, metadata, snapshots: list) -> None:
    small = []
    for operator in metadata.operators:
        for subtask in operator.subtasks.values():
            if len(write_metadata(CheckpointMetadata(1, (operator,)))) < 6000:
                small.append(operator)
            for handle in subtask.keyed_managed:
                stream = getattr(handle, "stream", None)
                if isinstance(stream, InlineHandle) and len(stream.data) < 4000:
                    used = [o for o in handle.offsets if o]
                    head = bytes([2, handle.first_key_group]) + struct.pack(
                        ">HHH", *(used + [0] * 3)[:3]
                    )
                    body = bytearray(stream.data)
                    if "snappy" in name:
                        _zero_frames(body, tuple(used))
                    keep("canonical" if handle.savepoint else "heap", name, head + bytes(body))
                    keep("keyed_header", name, stream.data)
            managed = subtask.operator_managed
            if managed is not None and isinstance(managed.stream, InlineHandle):
                keep("operator_state", name, _operator_state(managed))
            break
    if small:
        data = write_metadata(CheckpointMetadata(1, tuple(small[:1])))
        if len(data) > 100:
            keep("metadata", name, data)
            properties = b"\xac\xed\0\5"
            keep("metadata", f"{name}-v4", data[:7] + b"\4" + data[8:] + properties)
            # Behind the header of 24 bytes: name and uid of the operator.
            named = data[8:24] + bytes(4) + data[24:] + properties
            keep("metadata", f"{name}-v6", data[:7] + b"\6" + named)
            keep("savepoint", name, data)
    for file in sorted((FLINK / name).rglob("*.sst")) or []:
        _sst(file.read_bytes(), name)
        break
    for file in (FLINK / name).rglob("*"):
        data = file.read_bytes() if file.is_file() else b""
        if b"rocksdb" not in name.encode() or not data:
            continue
        if data.endswith(sst._MAGIC):
            _sst(data, name)
        elif b"leveldb.BytewiseComparator" in data[:60]:
            keep("manifest", name, data[:4000])


def _sst(data: bytes, name: str) -> None:
    if len(data) > 6000:
        return
    blocks = []
    unpack = sst_block.unpack_block

    def recorded(block, *arguments):
        blocks.append((arguments[2], len(block)))
        plain = unpack(block, *arguments)
        if len(plain) // 200 not in seen:
            seen.add(len(plain) // 200)
            keep("sst_blocks", f"{name}-{len(plain)}", plain)
        return plain

    seen: set[int] = set()
    with mock.patch.object(sst, "unpack_block", recorded):
        list(sst.SstFile(io.BytesIO(data), "x").entries())
    zeroed = bytearray(data)
    for offset, size in blocks:
        zeroed[offset + size - 4 : offset + size] = bytes(4)
    keep("sst_file", name, bytes(zeroed))


def _zero_frames(data: bytearray, starts: tuple[int, ...]) -> None:
    for start in starts:
        at = start + 10
        while at < len(data) and data[at] in (0, 1):
            size = int.from_bytes(data[at + 1 : at + 4], "little")
            data[at + 4 : at + 8] = bytes(4)
            at += 4 + size


def _heap() -> bytes:
    header = write_keyed_header(KeyedHeader(KEY, STATES, False))
    out = BufferWriter()
    out.raw(header)
    out.int32(0)
    key = b"\0\2a"
    out.int16(0)
    out.int32(1)
    out.raw(b"\0" + key)
    out.int32(1)
    out.sized_bytes(bytes(8))
    out.int16(1)
    out.int32(0)
    out.int16(2)
    out.int32(1)
    out.raw(b"\0" + key)
    out.int32(1)
    out.sized_bytes(b"k")
    out.uint8(0)
    out.sized_bytes(b"value")
    out.int16(3)
    out.int32(0)
    out.int16(4)
    out.int32(1)
    out.raw(encode_timer(12, key, b"\0"))
    return struct.pack(">HHH", len(header), 0, 0) + out.to_bytes()


def _raw_timers() -> bytes:
    out = BufferWriter()
    out.raw(bytes.fromhex("f1cd859f"))
    out.int32(2)
    out.int32(1)
    out.utf("user-timers")
    write_serializer_snapshot(out, KEY)
    write_serializer_snapshot(out, NAMESPACES["void"])
    for _ in range(2):
        out.int32(1)
        out.raw(b"\0\2a\0")
        out.int64(77)
    return bytes([0, _group("a")]) + bytes(6) + out.to_bytes()


def _java() -> None:
    types = {
        "tuple": Types.TUPLE([Types.STRING(), Types.LONG()]),
        "row": Types.ROW([Types.BIG_DEC(), Types.SQL_TIMESTAMP(), Types.BOOLEAN()]),
        "map": Types.MAP(Types.STRING(), Types.LIST(Types.INT())),
        "array": Types.PRIMITIVE_ARRAY(Types.DOUBLE()),
        "objects": Types.OBJECT_ARRAY(Types.STRING()),
    }
    for name, each in types.items():
        out = BufferWriter()
        write_serializer_snapshot(out, key_serializer_snapshot(each))
        keep("java_values", name, out.to_bytes() + bytes(40))
    keep("pyflink_values", "chunks", encode_chunks([b"abc", b"d"]))
    keep("pyflink_values", "ttl", encode_ttl_chunks([(1, b"abc"), (2, b"d")]))
    keep("pyflink_values", "map", encode_map_value(b"abc"))
    keep("pyflink_values", "ttl-map", encode_ttl_map_value(7, b"abc"))
    header = OperatorStateHeader(
        (operator_list_state_meta("l"), operator_list_state_meta("u", union=True)),
        (broadcast_state_meta("b"),),
    )
    out = Output()
    element = encode_chunk(b"x")
    partitions = write_operator_state(
        out, header, {"l": [element], "u": [element]}, {"b": [(element, element)]}
    )
    keep(
        "operator_state",
        "millpond",
        _operator_state(OperatorStateHandle(partitions, InlineHandle(out.getvalue()))),
    )


def _operator_state(handle: OperatorStateHandle) -> bytes:
    partitions = [partition.offsets for partition in handle.partitions.values()][:4]
    counts = bytes(map(len, partitions)).ljust(4, b"\0")
    offsets = [at for each in partitions for at in each]
    return counts + struct.pack(f">{len(offsets)}H", *offsets) + handle.stream.data


def _millpond(stream: bytes, offsets: tuple[int, ...]) -> bytes:
    header = OperatorStateHeader((operator_list_state_meta("l"),), (broadcast_state_meta("b"),))
    out = Output()
    partitions = write_operator_state(out, header, {"l": [b"x"]}, {"b": [(b"k", b"v")]})
    subtask = SubtaskState(
        operator_managed=OperatorStateHandle(partitions, InlineHandle(out.getvalue())),
        keyed_managed=(KeyGroupsHandle(0, offsets, InlineHandle(stream)),),
    )
    other = SubtaskState(
        keyed_managed=(KeyGroupsHandle(0, (9,), RelativeFileHandle("file", 2000)),)
    )
    operators = (
        OperatorState(bytes(range(16)), 1, 128, {0: subtask}),
        OperatorState(bytes(16), 2, 128, {0: SubtaskState(finished=True), 1: other}),
    )
    return write_metadata(CheckpointMetadata(3, operators[:1]))


if __name__ == "__main__":
    write_all()
