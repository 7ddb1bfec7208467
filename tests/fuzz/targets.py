"""What is fuzzed: one function for each reader, from bytes to nothing or a named error.

`run.py` drives them with atheris, `test_corpus.py` with the inputs that are kept. A target returns
for whatever bytes it is given; anything that it raises is a defect of a reader.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import struct
from pathlib import Path
from types import SimpleNamespace

from millpond.common.typeinfo import Types
from millpond.errors import (
    FormatError,
    MillpondError,
    SerializationError,
    SnapshotCorruptedError,
)
from millpond.formats import snappy_frames, sst, sst_block
from millpond.formats.buffer import Buffer
from millpond.formats.canonical_reader import CanonicalReader
from millpond.formats.handles import DistributionMode, InlineHandle, KeyGroupsHandle
from millpond.formats.heap_body import HeapReader
from millpond.formats.java_values import java_decoder
from millpond.formats.keyed_header import read_keyed_header, write_keyed_header
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.manifest import read_manifest
from millpond.formats.metadata import read_metadata, write_metadata
from millpond.formats.operator_state import (
    OperatorStateHandle,
    OperatorStatePartition,
    read_operator_state,
    read_operator_state_header,
)
from millpond.formats.pyflink_values import (
    decode_chunks,
    decode_map_key,
    decode_map_value,
    decode_ttl_chunks,
    decode_ttl_map_value,
)
from millpond.formats.raw_timers import RawTimersReader
from millpond.formats.serializer_snapshot import read_serializer_snapshot
from millpond.formats.state_meta import DISTRIBUTION_MODE

# A reader may take this many times the bytes of its input apart: an entry of a state has 8 bytes.
_MAX_ENTRIES_PER_BYTE = 2
ROOT = Path(__file__).resolve().parent
TIMER_KEY = Types.STRING()


def allowed(error: FormatError) -> None:
    """Every refusal says where."""
    where = error
    while isinstance(where, FormatError):
        if "offset" in where.context:
            return
        where = where.__cause__
    raise AssertionError(f"no offset in {error!r}") from error


def metadata(data: bytes) -> None:
    try:
        found = read_metadata(data)
    except FormatError as error:
        allowed(error)
        return
    written = write_metadata(found)
    again = read_metadata(written)
    assert again.operators == tuple(_without_names(each) for each in found.operators)
    if found.version == 3 and not _has_old_handles(found):
        assert written == data, "a byte was read that means nothing"


def _without_names(operator):
    return dataclasses.replace(operator, name="", uid="")


def _has_old_handles(found) -> bool:
    # Handles of types 5, 11 and 12 are written in another form than some of them were read.
    return any(
        handle.__class__.__name__ == "IncrementalHandle" or not handle.savepoint
        for operator in found.operators
        for subtask in operator.subtasks.values()
        for handle in subtask.keyed
    )


def keyed_header(data: bytes) -> None:
    buffer = Buffer(data)
    try:
        header = read_keyed_header(buffer)
    except FormatError as error:
        allowed(error)
        return
    again = read_keyed_header(Buffer(write_keyed_header(header)))
    assert again == header


def java_values(data: bytes) -> None:
    """A serializer snapshot, then values."""
    buffer = Buffer(data)
    try:
        decode = java_decoder(read_serializer_snapshot(buffer))
        values = data[buffer.offset :]
        at = 0
        while at < len(values):
            _, end = decode(values, at)
            assert end > at, "a value without bytes"
            at = end
    except FormatError as error:
        allowed(error)


def _body(data: bytes) -> tuple[io.BytesIO, KeyGroupsHandle, int]:
    """Three bytes say where key groups start, one of how many groups; the rest is the stream."""
    if len(data) < 8:
        raise FormatError("too short", offset=0)
    count = data[0] % 4 + 1
    first = data[1] % 100
    max_parallelism = 128 if data[0] < 0x80 else 300
    stream = data[8:]
    offsets = tuple(
        int.from_bytes(data[2 + 2 * i : 4 + 2 * i], "big") for i in range(min(count, 3))
    )
    return (
        io.BytesIO(stream),
        KeyGroupsHandle(first, offsets, InlineHandle(stream)),
        max_parallelism,
    )


class _Zero:
    """Makes checksums zero, so that damage gets past them; `mock.patch` costs 50 times as much."""

    def __init__(self, *places):
        self._places = [(module, name, getattr(module, name)) for module, name in places]

    def __enter__(self):
        for module, name, _ in self._places:
            setattr(module, name, lambda *_: 0)

    def __exit__(self, *_):
        for module, name, intact in self._places:
            setattr(module, name, intact)


_WITHOUT_CHECKSUMS = _Zero((snappy_frames, "masked_crc32c"))
_WITHOUT_BLOCK_CHECKSUMS = _Zero((sst, "checksum_of_block"), (sst_block, "checksum_of_block"))


def _count(blocks, limit: int) -> None:
    entries = 0
    for block in blocks:
        entries += len(block.entries)
        assert entries <= limit, "more entries than bytes"


def canonical(data: bytes) -> None:
    try:
        stream, handle, _ = _body(data)
        with _WITHOUT_CHECKSUMS:
            _count(CanonicalReader(stream, handle).blocks(), len(data) * 30)
    except FormatError as error:
        allowed(error)


def heap(data: bytes) -> None:
    try:
        stream, handle, max_parallelism = _body(data)
        with _WITHOUT_CHECKSUMS:
            _count(HeapReader(stream, handle, max_parallelism).blocks(), len(data) * 30)
    except FormatError as error:
        allowed(error)


def raw_timers(data: bytes) -> None:
    try:
        stream, handle, max_parallelism = _body(data)
        reader = RawTimersReader(stream, handle, max_parallelism)
        assert sum(len(block.entries) for block in reader.blocks()) <= len(data)
    except FormatError as error:
        allowed(error)


def examined(data: bytes) -> None:
    """Entries in any layout that `EntryCheck` lets pass; the first byte says which layout."""
    try:
        stream, handle, max_parallelism = _body(data[1:])
        layout = data[0] % 3
        handle = dataclasses.replace(handle, savepoint=layout == 0, raw=layout == 2)
        with _WITHOUT_CHECKSUMS:
            reader = open_keyed_state(handle, lambda _: stream, max_parallelism)
            _count(reader.blocks(), len(data) * 30)
    except FormatError as error:
        allowed(error)


def restored_timers(data: bytes) -> None:
    """Raw timers into the queue of a heap backend: as nobody's (examined), and as a sealed file's.

    What was restored must be written again, and read back.
    """
    from millpond.state.contract.namespace import VOID
    from millpond.state.heap.store import HeapStateStore
    from millpond.testing.backend_harness import BackendHarness

    try:
        stream, handle, max_parallelism = _body(data)
    except FormatError:
        return
    handle = dataclasses.replace(handle, stream=InlineHandle(stream.getvalue()), raw=True)
    for sealed in (False, True):
        harness = BackendHarness(
            HeapStateStore(), ROOT, key_type=TIMER_KEY, max_parallelism=max_parallelism
        )
        harness.snapshots = _Sealed(harness.snapshots, has_checksums=sealed)
        try:
            backend = harness.create([handle])
            timers = [_drained(backend, domain, VOID) for domain in ("event", "processing")]
            again = harness.create([harness.snapshot(backend)])
            assert timers == [_drained(again, domain, VOID) for domain in ("event", "processing")]
        except FormatError as error:
            raise AssertionError("no name of what is damaged") from error
        except MillpondError:
            pass
        finally:
            harness.close()


class _Sealed:
    """Snapshots in memory whose reader says whether checksums vouch for them."""

    def __init__(self, snapshots, *, has_checksums):
        self.open = snapshots.open
        self.has_checksums = has_checksums
        self._reader = snapshots.reader()

    def reader(self):
        return SimpleNamespace(open=self._reader.open, has_checksums=self.has_checksums)


def _drained(backend, domain, namespace):
    queue = backend.timer_queue("user-timers", domain, namespace)
    return sorted(queue, key=repr)


def operator_state(data: bytes) -> None:
    """How many elements each of four states has, their offsets, then the stream."""
    counts = [each % 8 for each in data[:4]]
    end = 4 + 2 * sum(counts)
    places = [int.from_bytes(data[at : at + 2], "big") for at in range(4, end, 2)]
    data = data[end:]
    try:
        header = read_operator_state_header(Buffer(data))
        partitions = {}
        for meta in (*header.lists, *header.broadcasts):
            count = counts.pop(0) if counts else 0
            partitions[meta.name] = OperatorStatePartition(_mode(meta), tuple(places[:count]))
            del places[:count]
        with _WITHOUT_CHECKSUMS:
            read_operator_state(
                io.BytesIO(data), OperatorStateHandle(partitions, InlineHandle(data))
            )
    except FormatError as error:
        allowed(error)


def _mode(meta):
    mode = meta.options.get(DISTRIBUTION_MODE, "")
    return getattr(DistributionMode, mode, DistributionMode.SPLIT)


def snappy(data: bytes) -> None:
    try:
        assert len(snappy_frames.decompress_block(data, 1 << 16, 0)) <= 1 << 16
    except FormatError as error:
        allowed(error)
    stream = io.BytesIO(data)
    with _WITHOUT_CHECKSUMS:
        try:
            while True:
                assert len(snappy_frames.read_frame(stream)) <= 1 << 16
        except FormatError as error:
            allowed(error)


def sst_file(data: bytes) -> None:
    """A table file whose checksums are all zero, so that damage gets past them."""
    with _WITHOUT_BLOCK_CHECKSUMS:
        try:
            for number, _ in enumerate(sst.SstFile(io.BytesIO(data), "x.sst").entries()):
                assert number <= 1 << 22
        except FormatError as error:
            allowed(error)


def sst_blocks(data: bytes) -> None:
    for read in (
        lambda: list(sst_block.block_entries(data)),
        lambda: list(sst_block.index_entries(data, delta_encoded=True)),
        lambda: list(sst_block.index_entries(data, delta_encoded=False)),
    ):
        try:
            read()
        except FormatError as error:
            allowed(error)


def manifest(data: bytes) -> None:
    """The file as it is, and its bytes as one whole record."""
    body = data[:0x7000]
    checked = bytes([1]) + body
    record = struct.pack("<IH", snappy_frames.masked_crc32c(checked), len(body)) + checked
    for each in (data, record):
        try:
            read_manifest(each)
        except FormatError as error:
            allowed(error)


def pyflink_values(data: bytes) -> None:
    for decode in (
        decode_chunks,
        decode_ttl_chunks,
        decode_map_key,
        decode_map_value,
        decode_ttl_map_value,
    ):
        try:
            decode(data)
        except FormatError as error:
            allowed(error)


def savepoint(data: bytes) -> None:
    """A whole `_metadata` with its inline state, as `millpond savepoint` shows and dumps it."""
    from millpond.state_processor.dump import dump_records
    from millpond.state_processor.savepoint import Savepoint
    from millpond.state_processor.summary import summarize

    def open_stream(handle):
        if isinstance(handle, InlineHandle):
            return io.BytesIO(handle.data)
        raise SnapshotCorruptedError("A file of the snapshot is missing.", path="x")

    try:
        loaded = SimpleNamespace(
            metadata=read_metadata(data),
            reader=SimpleNamespace(open=open_stream, has_checksums=False),
            external_path="x",
        )
        opened = Savepoint(loaded)
        for operator in opened.operators:
            summarize(opened, opened.describe(operator))
        for number, _ in enumerate(dump_records(opened)):
            assert number <= _MAX_ENTRIES_PER_BYTE * len(data)
    except FormatError as error:
        allowed(error)
    except SnapshotCorruptedError:
        pass


def sidecar(data: bytes) -> None:
    from millpond.checkpoint.checksum import checksum_of
    from millpond.checkpoint.sidecar import read_sidecar

    line = data.partition(b"\n")[0]
    for each in (data, line + f"\n{checksum_of(line).crc32c:08x}\n".encode()):
        with contextlib.suppress(SnapshotCorruptedError):
            read_sidecar(each, "x")


def type_text(data: bytes) -> None:
    """A declared type as text, then bytes of a value."""
    from millpond.serialization.coders import coder_for
    from millpond.state_processor.type_text import parse_types

    text, _, values = data.partition(b"\n")
    types = parse_types(text.decode("utf-8", "replace"))
    for each in types or ():
        coder = coder_for(each)
        if not coder.pickled:
            with contextlib.suppress(SerializationError, FormatError):
                coder.decode(values)


TARGETS = {
    function.__name__: function
    for function in (
        metadata,
        keyed_header,
        java_values,
        canonical,
        heap,
        raw_timers,
        examined,
        restored_timers,
        operator_state,
        snappy,
        sst_file,
        sst_blocks,
        manifest,
        pyflink_values,
        savepoint,
        sidecar,
        type_text,
    )
}
