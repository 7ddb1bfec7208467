from __future__ import annotations

import dataclasses

import msgspec
import pytest

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.errors import FormatError
from millpond.formats.handles import IncrementalHandle, KeyGroupsHandle
from millpond.formats.heap_increments import read_heap_manifest
from millpond.state.contract.key_group import KeyGroupRange
from millpond.state.contract.namespace import VOID, VOID_NAMESPACE
from millpond.state.contract.snapshot import SnapshotKind, SnapshotOptions
from millpond.state.heap.change_log import ChangeLog
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

VALUE = ValueStateDescriptor("value", Types.LONG())
VALUE_OF_OTHERS = ValueStateDescriptor("others", Types.LONG())
LIST = ListStateDescriptor("list", Types.LONG())
MAP = MapStateDescriptor("map", Types.STRING(), Types.LONG())
INCREMENTAL = SnapshotOptions(incremental=True)


@pytest.fixture
def harness(tmp_path):
    harness = BackendHarness(HeapStateStore(incremental=True), tmp_path, options=INCREMENTAL)
    yield harness
    harness.close()


class Job:
    """A backend whose checkpoints are confirmed unless a test says otherwise."""

    def __init__(self, harness, backend=None):
        self.harness = harness
        self.backend = backend or harness.create()
        self.number = 100

    def put(self, descriptor, key, value):
        with at_key(self.backend, key):
            state = state_of(self.backend, descriptor)
            if value is None:
                state.clear()
            elif isinstance(value, dict):
                state.put_all(value)
            elif isinstance(value, list):
                state.add_all(value)
            else:
                state.update(value)

    def begin(self):
        self.number += 1
        snapshot = self.backend.snapshot(self.number, self.harness.snapshots, INCREMENTAL)
        return self.number, snapshot

    def checkpoint(self, confirmed=True):
        number, snapshot = self.begin()
        handle = snapshot.write()
        snapshot.release()
        self.backend.end_batch()
        if confirmed:
            self.backend.notify_checkpoint_complete(number)
        else:
            self.backend.notify_checkpoint_aborted(number)
        return handle


def values(harness, handle, descriptor=VALUE, keys=range(-5, 100)):
    backend = harness.create([handle])
    state = state_of(backend, descriptor)
    found = {}
    for key in keys:
        with at_key(backend, key):
            if descriptor is MAP:
                value = dict(state.items())
            else:
                is_value = isinstance(descriptor, ValueStateDescriptor)
                value = state.value() if is_value else state.get()
        if value not in (None, [], {}):
            found[key] = value
    harness.dismiss(backend)
    return found


def kinds(handle):
    return [name.split("-")[2] for name, _ in handle.shared]


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_checkpoint_writes_what_changed_since_the_last_confirmed_one(harness, confirmed):
    job = Job(harness)
    for key in range(50):
        job.put(VALUE, key, key)
    first = job.checkpoint()
    assert kinds(first) == ["base"]
    job.put(VALUE, 1, 100)
    job.put(VALUE, 2, None)
    second = job.checkpoint(confirmed)
    job.put(VALUE, 3, 300)
    third = job.checkpoint()
    expected = {key: key for key in range(50)} | {1: 100}
    del expected[2]
    assert values(harness, second) == expected
    assert values(harness, third) == expected | {3: 300}
    assert third.shared[0] == first.shared[0]
    assert kinds(third) == ["base", "removed", "added"] + (["added"] if confirmed else [])
    assert third.checkpointed_size < first.size


def test_an_unchanged_state_writes_only_the_manifest(harness):
    job = Job(harness)
    for key in range(50):
        job.put(VALUE, key, key)
    first = job.checkpoint()
    second = job.checkpoint()
    assert second.shared == first.shared
    assert second.checkpointed_size == second.meta.size


def test_map_entries_and_lists(harness):
    job = Job(harness)
    for key in range(50):
        job.put(MAP, key, {"a": 1, "b": 2})
        job.put(LIST, key, [1])
    job.checkpoint()
    with at_key(job.backend, 1):
        state_of(job.backend, MAP).remove("a")
        state_of(job.backend, LIST).add(2)
    with at_key(job.backend, 2):
        state_of(job.backend, MAP).put("c", 3)
        state_of(job.backend, LIST).clear()
    handle = job.checkpoint()
    maps = values(harness, handle, MAP)
    assert (maps[1], maps[2], maps[3]) == ({"b": 2}, {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2})
    lists = values(harness, handle, LIST)
    assert (lists[1], 2 in lists, lists[3]) == ([1, 2], False, [1])


def test_timers_are_written_one_by_one(harness):
    job = Job(harness)
    timers = job.backend.timer_queue("user-timers", "event", VOID)
    for key in range(1000):
        timers.add(10, key, VOID_NAMESPACE)
    first = job.checkpoint()
    timers.remove(10, 1, VOID_NAMESPACE)
    timers.add(20, 2, VOID_NAMESPACE)
    second = job.checkpoint()
    assert second.checkpointed_size < first.checkpointed_size / 10
    restored = harness.create([second]).timer_queue("user-timers", "event", VOID)
    assert set(restored) == {
        *((10, key, VOID_NAMESPACE) for key in range(1000) if key != 1),
        (20, 2, VOID_NAMESPACE),
    }


def test_several_in_flight_and_one_of_them_given_up(harness):
    job = Job(harness)
    for key in range(50):
        job.put(VALUE, key, 0)
    job.checkpoint()
    job.put(VALUE, 1, 1)
    number, one = job.begin()
    job.put(VALUE, 2, 2)
    later, two = job.begin()
    job.put(VALUE, 3, 3)
    written = two.write()
    one.cancel()
    one.release()
    job.backend.notify_checkpoint_aborted(number)
    two.release()
    assert values(harness, written) == dict.fromkeys(range(50), 0) | {1: 1, 2: 2}
    job.backend.notify_checkpoint_complete(later)
    assert values(harness, job.checkpoint()) == dict.fromkeys(range(50), 0) | {1: 1, 2: 2, 3: 3}


def test_an_older_one_confirmed_late_is_no_base(harness):
    job = Job(harness)
    for key in range(50):
        job.put(VALUE, key, 0)
    number, one = job.begin()
    job.put(VALUE, 1, 1)
    later, two = job.begin()
    for snapshot in (one, two):
        snapshot.write()
        snapshot.release()
    job.backend.notify_checkpoint_complete(later)
    job.backend.notify_checkpoint_complete(number)
    job.put(VALUE, 2, 2)
    assert values(harness, job.checkpoint()) == dict.fromkeys(range(50), 0) | {1: 1, 2: 2}


def test_a_savepoint_is_whole_and_no_base(harness):
    job = Job(harness)
    for key in range(50):
        job.put(VALUE, key, 0)
    job.checkpoint()
    job.put(VALUE, 1, 1)
    snapshot = job.backend.snapshot(
        7, harness.snapshots, SnapshotOptions(SnapshotKind.SAVEPOINT, incremental=True)
    )
    savepoint = snapshot.write()
    snapshot.release()
    assert isinstance(savepoint, KeyGroupsHandle)
    job.backend.notify_checkpoint_complete(7)
    job.put(VALUE, 2, 2)
    expected = dict.fromkeys(range(50), 0) | {1: 1}
    assert values(harness, savepoint) == expected
    assert values(harness, job.checkpoint()) == expected | {2: 2}


def test_a_restored_backend_goes_on_with_the_files(harness):
    job = Job(harness)
    for key in range(50):
        job.put(VALUE, key, 0)
        job.put(LIST, key, [key])
    first = job.checkpoint()
    job = Job(harness, harness.create([first]))
    job.put(VALUE, 1, 1)
    second = job.checkpoint()
    assert second.shared[0] == first.shared[0]
    assert second.backend_id == first.backend_id
    assert values(harness, second) == dict.fromkeys(range(50), 0) | {1: 1}
    assert values(harness, second, LIST)[7] == [7]


def test_rescaled_and_read_by_the_other_store(harness, tmp_path):
    job = Job(harness)
    for key in range(50):
        job.put(VALUE, key, 0)
    job.checkpoint()
    job.put(VALUE, 1, 1)
    job.put(VALUE, 2, None)
    handle = job.checkpoint()
    expected = dict.fromkeys(range(50), 0) | {1: 1}
    del expected[2]
    halves = [KeyGroupRange(0, 63), KeyGroupRange(64, 127)]
    again = []
    for half in halves:
        part = Job(harness, harness.create([handle], half))
        again.append(part.checkpoint())
        assert kinds(again[-1]) == ["base"]
    assert values(harness, handle) == expected
    united = harness.create(again)
    state = state_of(united, VALUE)
    found = {}
    for key in range(50):
        with at_key(united, key):
            found[key] = state.value()
    assert {key: value for key, value in found.items() if value is not None} == expected
    directory = tmp_path / "rocksdb"
    directory.mkdir()
    other = BackendHarness(RocksDBStateStore(), directory)
    other.snapshots = harness.snapshots
    assert values(other, handle) == expected
    other.close()


def record_classes(kind):
    """Return a record class, and what it is in the next release: one field more, one less."""
    before, after = [("old", int), ("name", str)], [("name", str), ("new", int, 7)]
    if kind == "dataclass":
        after[-1] = ("new", int, dataclasses.field(default=7))
        made = [dataclasses.make_dataclass("Record", fields) for fields in (before, after)]
    else:
        made = [msgspec.defstruct("Record", fields) for fields in (before, after)]
    for each in made:
        each.__module__ = __name__
    return made


@pytest.mark.parametrize("kind", ["dataclass", "Struct"])
@pytest.mark.parametrize("store", [HeapStateStore(incremental=True), RocksDBStateStore()])
def test_records_migrate_over_increments(tmp_path, store, kind):
    """What no later run touched is read from files of the first one, to the end."""
    harness = BackendHarness(store, tmp_path, options=INCREMENTAL)
    old, new = record_classes(kind)
    before, after = (ValueStateDescriptor("value", each) for each in (old, new))
    lists = [ListStateDescriptor("list", Types.TYPED(each)) for each in (old, new)]
    job = Job(harness)
    for key in range(50):
        job.put(before, key, old(key, f"n{key}"))
        job.put(lists[0], key, [old(key, f"n{key}")])
    job.put(VALUE_OF_OTHERS, 1, 1)
    job.checkpoint()
    job.put(before, 1, old(1, "again"))
    handle = job.checkpoint()
    assert isinstance(handle, IncrementalHandle)
    expected = {key: new(f"n{key}") for key in range(50)} | {1: new("again")}
    for run in range(3):
        job = Job(harness, harness.create([handle]))
        state_of(job.backend, lists[1])
        for key in (2, 3):
            job.put(after, key, new(f"n{key}", run))
            expected[key] = new(f"n{key}", run)
        job.put(lists[1], 4, [new("more", run)])
        handle = job.checkpoint()
        if isinstance(store, HeapStateStore):
            # Rows name their fields: those of both releases may stand in one chain.
            assert set(kinds(handle)) == {"base", "added"}
        job.put(after, 5, new("five", run))
        expected[5] = new("five", run)
        handle = job.checkpoint()
        assert values(harness, handle, after) == expected
        found = values(harness, handle, lists[1])
        assert found[1] == [new("n1")]
        assert found[4] == [new("n4"), *(new("more", each) for each in range(run + 1))]
        assert values(harness, handle, VALUE_OF_OTHERS) == {1: 1}
    harness.close()


def test_a_state_of_the_same_type_goes_on_with_the_files(harness):
    job = Job(harness)
    for key in range(50):
        job.put(VALUE, key, 0)
    job = Job(harness, harness.create([job.checkpoint()]))
    job.put(ValueStateDescriptor("value", Types.LONG()), 1, 1)
    assert kinds(job.checkpoint()) == ["base", "added"]


def test_expired_entries_go(harness):
    ttl = StateTtlConfig.new_builder(Time.milliseconds(100)).cleanup_full_snapshot().build()
    descriptor = ValueStateDescriptor("expiring", Types.LONG())
    descriptor.enable_time_to_live(ttl)
    job = Job(harness)
    for key in range(50):
        job.put(descriptor, key, 0)
    job.checkpoint()
    job.put(descriptor, 1, 1)
    harness.clock.advance(1_000)
    job.put(descriptor, 2, 2)
    handle = job.checkpoint()
    backend = harness.create([handle])
    state = state_of(backend, descriptor)
    with at_key(backend, 1):
        assert state.value() is None
    with at_key(backend, 2):
        assert state.value() == 2


def test_increments_are_consolidated(harness):
    job = Job(harness)
    for key in range(400):
        job.put(VALUE, key, 0)
    seen = []
    for number in range(200):
        job.put(VALUE, number, number)
        seen.append(kinds(job.checkpoint()))
    lengths = [len(each) for each in seen]
    assert max(lengths) <= 65
    assert lengths.count(1) >= 3


def test_one_percent_of_a_million_keys(harness):
    job = Job(harness)
    backend = job.backend
    entries = state_of(backend, VALUE).entries()
    for key in range(1_000_000):
        entries[key] = key
    full = job.checkpoint()
    entries = state_of(backend, VALUE).entries()
    for key in range(0, 1_000_000, 100):
        entries[key] = -key
    increment = job.checkpoint()
    assert isinstance(increment, IncrementalHandle)
    assert increment.checkpointed_size <= 0.03 * full.checkpointed_size
    assert increment.size >= full.size


def test_a_damaged_manifest_is_named(harness):
    job = Job(harness)
    job.put(VALUE, 1, 1)
    handle = job.checkpoint()
    data = harness.snapshots.content(handle.meta)
    for size in range(len(data)):
        with pytest.raises(FormatError):
            read_heap_manifest(data[:size], handle)
    with pytest.raises(FormatError, match="no manifest"):
        read_heap_manifest(b"X" + data[1:], handle)
    with pytest.raises(FormatError, match="version"):
        read_heap_manifest(data[:5] + b"\x09" + data[6:], handle)


def test_a_log_forgets_what_is_confirmed():
    log = ChangeLog()
    log.append({1: 1})
    log.append({2: 2})
    assert log.since(0) == ({2: 2}, {1: 1})
    assert log.since(1) == ({2: 2},)
    log.forget(1)
    assert (log.end, log.since(0), log.since(1), log.size_since(0)) == (2, ({2: 2},), ({2: 2},), 1)
