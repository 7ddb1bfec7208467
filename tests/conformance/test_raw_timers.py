"""Heap timers beside RocksDB state, of a checkpoint of Flink, restored into every store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.sealing import seal_snapshot
from millpond.common.configuration import Configuration
from millpond.common.typeinfo import Types
from millpond.datastream.state import ValueStateDescriptor
from millpond.errors import MillpondError, SavepointMismatchError, SnapshotCorruptedError
from millpond.formats.handles import FileHandle, InlineHandle, KeyGroupsHandle, RelativeFileHandle
from millpond.operators.batch import MAX_WATERMARK
from millpond.operators.timer_service import InternalTimerService
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.key_group import KeyGroupRange, key_group_range
from millpond.state.contract.namespace import VOID
from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key
from millpond.testing.memory_snapshots import MemorySnapshots

FOLDER = "2.3.0-rocksdb-p2-heap-timers-checkpoint"
KEY_TYPE = Types.TUPLE([Types.STRING(), Types.LONG()])
VALUE_TYPES = [Types.STRING(), Types.INT(), Types.DOUBLE()]
MAX_PARALLELISM = 300
DOMAINS = ("event", "processing")


def rocksdb(timers):
    configuration = Configuration()
    configuration.set_string("state.backend.rocksdb.timer-service.factory", timers)
    return RocksDBStateStore(configuration)


STORES = {
    "heap": HeapStateStore,
    "rocksdb": lambda: rocksdb("ROCKSDB"),
    "rocksdb with heap timers": lambda: rocksdb("HEAP"),
}


@pytest.fixture(params=STORES)
def harness(request, tmp_path):
    store = STORES[request.param]()
    harness = BackendHarness(store, tmp_path, key_type=KEY_TYPE, max_parallelism=MAX_PARALLELISM)
    yield harness
    harness.close()
    store.close()


@pytest.fixture
def snapshot(flink_snapshots, tmp_path):
    """A private copy."""
    path = Path(flink_snapshots[FOLDER][0])
    shutil.copytree(path.parent, tmp_path / FOLDER)
    return tmp_path / FOLDER / path.name


def expected_timers(flink_snapshots, domain):
    (operator,) = flink_snapshots[FOLDER][1]["operators"]
    return sorted(
        (timer["timestamp"], tuple(timer["key"]["tuple"]))
        for timer in operator["timers"][f"{domain}_time"]
    )


class Reading:
    """Reads a snapshot of Flink, and what the harness wrote itself."""

    def __init__(self, loaded, written):
        self._loaded = loaded.reader
        self._written = written.reader()
        self.has_checksums = self._loaded.has_checksums

    def open(self, handle):
        return self._of(handle).open(handle)

    def download(self, handle, path, *, may_link=False):
        self._of(handle).download(handle, path, may_link=may_link)

    def _of(self, handle):
        mine = getattr(handle, "path", "").startswith("memory:")
        return self._written if mine else self._loaded


class Snapshots:
    """Stands for `MemorySnapshots`."""

    def __init__(self, loaded):
        written = MemorySnapshots()
        self.open = written.open
        self.upload = written.upload
        self.reader = lambda: Reading(loaded, written)


def operator_of(loaded):
    return next(
        each
        for each in loaded.metadata.operators
        if any(subtask.keyed for subtask in each.subtasks.values())
    )


def load(harness, path):
    """Let the harness read the snapshot, and return all keyed handles of the operator."""
    loaded = load_checkpoint(str(path))
    harness.snapshots = Snapshots(loaded)
    operator = operator_of(loaded)
    handles = [handle for subtask in operator.subtasks.values() for handle in subtask.keyed]
    assert sum(map(is_raw, handles)) == 2
    return handles


def fire_all(harness, backend):
    """Return what fires in one subtask, event time first, in its order."""
    service = InternalTimerService(backend, harness.clock, VOID)
    fired = {domain: [] for domain in DOMAINS}

    def into(domain):
        return lambda timestamp, _: fired[domain].append((timestamp, backend.current_key))

    service.advance_watermark(MAX_WATERMARK, into("event"))
    harness.clock.set(1 << 52)
    service.advance_processing_time(1 << 52, into("processing"))
    assert all(found == sorted(found) for found in fired.values())
    return fired


@pytest.mark.parametrize("parallelism", [1, 2, 3])
def test_each_timer_fires_once_where_its_key_lives(harness, snapshot, flink_snapshots, parallelism):
    backends = harness.subtasks(parallelism, load(harness, snapshot))
    fired = {domain: [] for domain in DOMAINS}
    for index, backend in enumerate(backends):
        for domain, found in fire_all(harness, backend).items():
            assert all(harness.owner(key, parallelism) == index for _, key in found)
            fired[domain] += found
    for domain in DOMAINS:
        assert sorted(fired[domain]) == expected_timers(flink_snapshots, domain)


def is_raw(handle):
    return isinstance(handle, KeyGroupsHandle) and handle.raw


def test_timers_may_be_all_that_there_is(harness, snapshot, flink_snapshots):
    raw = [handle for handle in load(harness, snapshot) if is_raw(handle)]
    fired = fire_all(harness, harness.create(raw))
    for domain in DOMAINS:
        assert fired[domain] == expected_timers(flink_snapshots, domain)


def test_state_may_have_no_timer_service_beside_it(harness, snapshot):
    """Flink writes the raw state of such an operator all the same."""
    handles = [handle for handle in load(harness, snapshot) if not is_raw(handle)]
    one = bytes.fromhex("f1cd859f") + (2).to_bytes(4, "big") + bytes(4)
    offsets = tuple(range(0, MAX_PARALLELISM * len(one), len(one)))
    stream = InlineHandle(one * MAX_PARALLELISM)
    handles.append(KeyGroupsHandle(0, offsets, stream, savepoint=False, raw=True))
    backend = harness.create(handles)
    last = backend.get_state(
        StateDefinition.of(ValueStateDescriptor("last", Types.TUPLE(VALUE_TYPES)))
    )
    with at_key(backend, ("x", 2)):
        assert last.value() == ("l", 1, 0.25)
    assert fire_all(harness, backend) == {"event": [], "processing": []}


def test_keys_of_another_type_are_refused(harness, snapshot):
    raw = [handle for handle in load(harness, snapshot) if is_raw(handle)]
    with pytest.raises(SavepointMismatchError, match="keys in the snapshot are of another type"):
        harness.create(raw, key_type=Types.LONG())


@pytest.mark.parametrize("incremental", [False, True])
def test_snapshots_carry_timers_that_nobody_registered(
    harness, snapshot, flink_snapshots, incremental
):
    handles = load(harness, snapshot)
    harness.options = SnapshotOptions(incremental=incremental)
    for parallelism in (3, 2):
        handles = [harness.snapshot(each) for each in harness.subtasks(parallelism, handles)]
        assert not any(map(is_raw, handles))
    fired = fire_all(harness, harness.create(handles))
    for domain in DOMAINS:
        assert fired[domain] == expected_timers(flink_snapshots, domain)


def test_a_subtask_skips_what_it_does_not_own(harness, snapshot):
    handles = load(harness, snapshot)
    group = key_serializer_for(KEY_TYPE).key_group(("x", 1), MAX_PARALLELISM)
    backend = harness.create(handles, KeyGroupRange(group, group))
    assert fire_all(harness, backend) == {
        "event": [(1700001000000, ("x", 1))],
        "processing": [(4102444800100, ("x", 1))],
    }


def raw_file(snapshot):
    """Return the file of raw timers of the first subtask, and its key groups."""
    loaded = load_checkpoint(str(snapshot))
    (handle,) = operator_of(loaded).subtasks[0].keyed_raw
    assert isinstance(handle.stream, FileHandle | RelativeFileHandle)
    name = getattr(handle.stream, "path", "") or handle.stream.name
    return snapshot / name.rpartition("/")[2], handle


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x01
    path.write_bytes(data)


def places(handle, data):
    """Some in all key groups; all in the first one that has a timer."""
    ends = (*handle.offsets[1:], len(data))
    sizes = [end - start for start, end in zip(handle.offsets, ends, strict=True)]
    filled = next(i for i, size in enumerate(sizes) if size > min(sizes))
    return [*range(0, len(data), len(data) // 20), *range(handle.offsets[filled], ends[filled], 7)]


def test_any_flip_of_a_sealed_snapshot_is_refused(harness, snapshot):
    seal_snapshot(str(snapshot))
    path, handle = raw_file(snapshot)
    for at in places(handle, path.read_bytes())[::40]:
        flip(path, at)
        handles = load(harness, snapshot)
        with pytest.raises(SnapshotCorruptedError, match="checksum") as caught:
            harness.create(handles)
        assert path.name in str(caught.value)
        flip(path, at)


def test_without_a_seal_a_flip_never_loses_a_timer(harness, snapshot, flink_snapshots):
    path, handle = raw_file(snapshot)
    expected = {domain: expected_timers(flink_snapshots, domain) for domain in DOMAINS}
    refused = 0
    first = key_group_range(MAX_PARALLELISM, 2, 0)
    second = key_group_range(MAX_PARALLELISM, 2, 1)
    rest = fire_all(harness, harness.create(load(harness, snapshot), second))
    for at in places(handle, path.read_bytes())[::16]:
        flip(path, at)
        handles = load(harness, snapshot)
        try:
            backend = harness.create(handles, first)
            fired = fire_all(harness, backend)
        except MillpondError:
            refused += 1
        else:
            for domain in DOMAINS:
                found = sorted(fired[domain] + rest[domain])
                assert len(found) == len(expected[domain])
                assert len(set(found) ^ set(expected[domain])) <= 2
            harness.dismiss(backend)
        flip(path, at)
    assert refused


def test_a_cut_file_is_refused(snapshot):
    path, _ = raw_file(snapshot)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SnapshotCorruptedError, match="wrong length"):
        load_checkpoint(str(snapshot))
