from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.errors import (
    CheckpointDeclinedError,
    SavepointMismatchError,
    SnapshotCorruptedError,
    StateStoreError,
)
from millpond.formats.handles import IncrementalHandle, KeyGroupsHandle
from millpond.state.contract.key_group import KeyGroupRange
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUE = ValueStateDescriptor("value", Types.LONG())
LIST = ListStateDescriptor("list", Types.LONG())
MAP = MapStateDescriptor("map", Types.LONG(), Types.LONG())
NATIVE = SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.NATIVE)
CANONICAL = SnapshotOptions(SnapshotKind.SAVEPOINT, incremental=True)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[BackendHarness]:
    harness = BackendHarness(
        RocksDBStateStore(), tmp_path, options=SnapshotOptions(incremental=True)
    )
    yield harness
    harness.close()


def _fill(backend: Any, keys: range) -> None:
    value, elements, entries = (state_of(backend, item) for item in (VALUE, LIST, MAP))
    for key in keys:
        with at_key(backend, key):
            value.update(key)
            elements.add_all([key, -key])
            entries.put_all({1: key, 2: None})


def _check(backend: Any, keys: range, *, times: int = 1) -> None:
    value, elements, entries = (state_of(backend, item) for item in (VALUE, LIST, MAP))
    for key in keys:
        with at_key(backend, key):
            assert value.value() == key
            assert list(elements.get()) == [key, -key] * times
            assert dict(entries.items()) == {1: key, 2: None}


def _take(harness: BackendHarness, backend: Any) -> IncrementalHandle:
    handle = harness.snapshot(backend)
    assert isinstance(handle, IncrementalHandle)
    return handle


def test_only_new_files_are_uploaded_after_a_confirmed_checkpoint(harness: BackendHarness) -> None:
    backend = harness.create()
    _fill(backend, range(2000))
    first = _take(harness, backend)
    assert first.checkpointed_size == first.size
    backend.notify_checkpoint_complete(first.checkpoint_id)
    with at_key(backend, 1):
        state_of(backend, VALUE).update(5)
    second = _take(harness, backend)
    reused = dict(first.shared).items() & dict(second.shared).items()
    assert reused == dict(first.shared).items()
    assert len(second.shared) == len(first.shared) + 1
    assert second.checkpointed_size < second.size
    assert second.backend_id == first.backend_id
    restored = harness.create([second])
    _check(restored, range(2, 2000))


def test_unconfirmed_checkpoints_are_no_base(harness: BackendHarness) -> None:
    backend = harness.create()
    _fill(backend, range(10))
    first = _take(harness, backend)
    second = _take(harness, backend)
    assert second.checkpointed_size == second.size
    backend.notify_checkpoint_aborted(second.checkpoint_id)
    backend.notify_checkpoint_complete(second.checkpoint_id)
    assert _take(harness, backend).checkpointed_size == first.size
    backend.notify_checkpoint_complete(first.checkpoint_id)


def test_a_later_checkpoint_stays_the_base_if_an_older_one_is_confirmed_after_it(
    harness: BackendHarness,
) -> None:
    backend = harness.create()
    _fill(backend, range(10))
    _take(harness, backend)
    second = _take(harness, backend)
    backend.notify_checkpoint_complete(second.checkpoint_id)
    backend.notify_checkpoint_complete(second.checkpoint_id - 1)
    third = _take(harness, backend)
    assert third.shared == second.shared


def test_a_backend_restored_with_the_same_key_groups_goes_on_incrementally(
    harness: BackendHarness,
) -> None:
    backend = harness.create()
    _fill(backend, range(100))
    first = _take(harness, backend)
    backend.close()
    backend = harness.create([first])
    _check(backend, range(100))
    second = _take(harness, backend)
    assert second.backend_id == first.backend_id
    assert set(first.shared) <= set(second.shared)


def test_rescaling_takes_one_database_as_base_and_copies_the_others(
    harness: BackendHarness,
) -> None:
    whole = harness.create()
    _fill(whole, range(300))
    handle = _take(harness, whole)
    whole.close()
    halves = harness.subtasks(3, [handle])
    handles = []
    for index, half in enumerate(halves):
        keys = [key for key in range(300) if harness.owner(key, 3) == index]
        _check(half, keys)
        for name in ("value", "list", "map"):
            assert half.entry_count(name) == len(keys)
        _fill_more(half, keys)
        handles.append(_take(harness, half))
        assert handles[-1].backend_id != handle.backend_id
        half.close()
    assert len({one.backend_id for one in handles}) == 3
    again = harness.create(handles)
    _check(again, range(300), times=2)
    with at_key(again, 1):
        elements = state_of(again, LIST)
        elements.add(99)
        again = harness.restored(again)
    with at_key(again, 1):
        assert list(state_of(again, LIST).get()) == [1, -1, 1, -1, 99]


def _fill_more(backend: Any, keys: list[int]) -> None:
    elements = state_of(backend, LIST)
    for key in keys:
        with at_key(backend, key):
            elements.add_all([key, -key])


def test_states_that_nobody_registered_are_carried_along(harness: BackendHarness) -> None:
    backend = harness.create()
    _fill(backend, range(10))
    for options in (SnapshotOptions(incremental=True), CANONICAL, NATIVE, CANONICAL):
        harness.options = options
        backend = harness.restored(backend)
    _check(backend, range(10))


def test_a_native_savepoint_stands_alone(harness: BackendHarness) -> None:
    backend = harness.create()
    _fill(backend, range(10))
    checkpoint = _take(harness, backend)
    backend.notify_checkpoint_complete(checkpoint.checkpoint_id)
    harness.options = NATIVE
    savepoint = _take(harness, backend)
    assert savepoint.checkpointed_size == savepoint.size
    assert savepoint.backend_id != checkpoint.backend_id
    harness.options = SnapshotOptions(incremental=True)
    assert set(checkpoint.shared) <= set(_take(harness, backend).shared)
    _check(harness.create([savepoint]), range(10))


def test_canonical_savepoints_move_between_the_stores(
    harness: BackendHarness, tmp_path: Path
) -> None:
    harness.options = CANONICAL
    heap = BackendHarness(HeapStateStore(), tmp_path)
    heap.snapshots = harness.snapshots
    backend = heap.create()
    _fill(backend, range(50))
    handle = heap.snapshot(backend)
    assert isinstance(handle, KeyGroupsHandle)
    backend = harness.create([handle])
    _check(backend, range(50))
    _fill_more(backend, list(range(50)))
    handle = harness.snapshot(backend)
    backend = heap.create([handle])
    _check(backend, range(50), times=2)


def test_hard_links_are_removed_when_the_snapshot_is_released(harness: BackendHarness) -> None:
    backend = harness.create()
    _fill(backend, range(10))
    snapshot = harness.start_snapshot(backend)
    _fill(backend, range(10))
    backend._flush()
    assert len(list(backend.directory.glob("chk-*"))) == 1
    snapshot.cancel()
    with pytest.raises(CheckpointDeclinedError):
        snapshot.write()
    snapshot.release()
    assert list(backend.directory.glob("chk-*")) == []
    assert harness.snapshots.open_streams == 0


def test_a_snapshot_that_is_cancelled_in_time_makes_no_links(harness: BackendHarness) -> None:
    backend = harness.create()
    _fill(backend, range(10))
    snapshot = harness.start_snapshot(backend)
    assert backend.database.is_held
    snapshot.cancel()
    assert not backend.database.is_held
    backend._flush()
    with pytest.raises(CheckpointDeclinedError):
        snapshot.write()
    snapshot.release()
    assert list(backend.directory.glob("chk-*")) == []
    _fill(backend, range(10, 20))
    _check(harness.restored(backend), range(20))


@pytest.mark.parametrize("write_early", [True, False])
def test_what_is_written_before_the_links_are_made_is_not_in_them(
    harness: BackendHarness, write_early: bool
) -> None:
    backend = harness.create()
    _fill(backend, range(20))
    snapshot = harness.start_snapshot(backend)
    _fill(backend, range(10, 40))
    _check(backend, range(10))
    for key in range(10, 20):
        with at_key(backend, key):
            state_of(backend, MAP).clear()
    assert backend.database.is_held
    make = snapshot._links._make

    def take_a_second(path: Path) -> None:
        harness.clock.advance(1000)
        make(path)

    snapshot._links._make = take_a_second
    if write_early:
        # As when the caches are full: whoever writes makes the links first.
        backend._flush()
        assert not backend.database.is_held
    handle = snapshot.write()
    snapshot.release()
    assert snapshot.stopped_seconds == (1.0 if write_early else 0.0)
    restored = harness.create([handle])
    _check(restored, range(20))
    assert restored.entry_count("value") == 20
    second = _take(harness, backend)
    assert harness.create([second]).directory
    _check(backend, range(20, 40))


def test_a_writer_waits_for_the_thread_that_makes_the_links(harness: BackendHarness) -> None:
    backend = harness.create()
    _fill(backend, range(20))
    snapshot = harness.start_snapshot(backend)
    is_making, may_go_on = threading.Event(), threading.Event()
    make = snapshot._links._make

    def slowly(path: Path) -> None:
        is_making.set()
        assert may_go_on.wait(120)
        harness.clock.advance(1000)
        make(path)

    snapshot._links._make = slowly
    with ThreadPoolExecutor(2) as executor:
        writing = executor.submit(snapshot.write)
        assert is_making.wait(120)
        # Does not wait, and comes too late.
        snapshot._links.cancel()
        _fill(backend, range(20, 40))
        assert backend.database.is_held
        flushing = executor.submit(backend._flush)
        assert not flushing.done()
        may_go_on.set()
        flushing.result(120)
        handle = writing.result(120)
    snapshot.release()
    _check(harness.create([handle]), range(20))


def test_reads_go_on_while_the_links_are_made(harness: BackendHarness) -> None:
    backend = harness.create()
    _fill(backend, range(2000))
    snapshot = harness.start_snapshot(backend)
    family = backend.database.column_family("python-state-value")
    row_key = state_of(backend, VALUE).composite_key(7)
    with ThreadPoolExecutor(1) as executor:
        writing = executor.submit(snapshot.write)
        reads = 0
        while not writing.done() or reads < 100:
            assert family.get(row_key) is not None
            cursor = family.cursor()
            assert len(cursor.read(5)) == 5
            cursor.close()
            reads += 1
        handle = writing.result(120)
    snapshot.release()
    assert snapshot.stopped_seconds == 0
    _check(harness.create([handle]), range(2000))


def test_links_that_fail_fail_the_snapshot_and_not_who_writes(harness: BackendHarness) -> None:
    backend = harness.create()
    _fill(backend, range(20))
    snapshot = harness.start_snapshot(backend)

    def fail(path: Path) -> None:
        raise StateStoreError("No space left on device.", path=path)

    snapshot._links._make = fail
    _fill(backend, range(20, 40))
    backend._flush()
    for _ in range(2):
        with pytest.raises(StateStoreError, match="No space left"):
            snapshot.write()
    snapshot.release()
    _check(harness.restored(backend), range(40))


def test_nothing_expired_is_removed_while_links_are_due(tmp_path: Path) -> None:
    options = SnapshotOptions(incremental=True)
    harness = BackendHarness(RocksDBStateStore(), tmp_path, options=options)
    backend = harness.create()
    descriptor = ValueStateDescriptor("value", Types.LONG())
    descriptor.enable_time_to_live(StateTtlConfig.new_builder(Time.milliseconds(100)).build())
    state = state_of(backend, descriptor)
    for key in range(20):
        with at_key(backend, key):
            state.update(key)
    backend.end_batch()
    snapshot = harness.start_snapshot(backend)
    for _ in range(5):
        harness.clock.advance(1000)
        backend.end_batch()
    assert backend.database.is_held
    snapshot.write()
    snapshot.release()
    for _ in range(5):
        harness.clock.advance(1000)
        backend.end_batch()
    assert backend.entry_count("value") == 0
    harness.close()


def test_a_full_snapshot_shows_the_state_of_the_barrier(harness: BackendHarness) -> None:
    harness.options = SnapshotOptions()
    backend = harness.create()
    _fill(backend, range(20))
    snapshot = harness.start_snapshot(backend)
    value = state_of(backend, VALUE)
    for key in range(20):
        with at_key(backend, key):
            value.update(-1)
            state_of(backend, LIST).clear()
    backend._flush()
    backend.database.column_family("python-state-value").compact()
    handle = snapshot.write()
    snapshot.release()
    _check(harness.create([handle]), range(20))


def test_a_snapshot_outlives_neither_its_cancellation_nor_its_backend(
    harness: BackendHarness,
) -> None:
    harness.options = SnapshotOptions()
    backend = harness.create()
    _fill(backend, range(20))
    snapshot = harness.start_snapshot(backend)
    backend.close()
    with pytest.raises(StateStoreError, match="closed"):
        snapshot.write()
    snapshot.release()
    assert harness.snapshots.open_streams == 0


def test_a_missing_file_is_named_and_nothing_is_left(harness: BackendHarness) -> None:
    backend = harness.create()
    _fill(backend, range(20))
    handle = _take(harness, backend)
    backend.close()
    _name, stream = handle.shared[0]
    del harness.snapshots._files[stream.path]
    with pytest.raises(SnapshotCorruptedError, match="missing"):
        harness.create([handle])
    assert [path for path in harness._directory.iterdir() if path.name.startswith("job_")] == []


def test_a_damaged_file_is_a_named_error(harness: BackendHarness) -> None:
    backend = harness.create()
    _fill(backend, range(20))
    handle = _take(harness, backend)
    backend.close()
    manifest = dict(handle.private)
    name = next(name for name in manifest if name.startswith("MANIFEST"))
    harness.snapshots.replace(manifest[name], b"damaged")
    with pytest.raises(StateStoreError):
        harness.create([handle])


def test_other_keys_are_refused(harness: BackendHarness) -> None:
    backend = harness.create()
    _fill(backend, range(3))
    handle = _take(harness, backend)
    with pytest.raises(SavepointMismatchError, match="keys"):
        harness.create([handle], key_type=Types.STRING())


def test_no_state_gives_no_handle(harness: BackendHarness) -> None:
    backend = harness.create()
    assert harness.snapshot(backend) is None
    harness.options = SnapshotOptions()
    state_of(backend, VALUE)
    assert harness.snapshot(backend) is None


def test_key_groups_above_128_take_two_bytes(tmp_path: Path) -> None:
    options = SnapshotOptions(incremental=True)
    harness = BackendHarness(RocksDBStateStore(), tmp_path, max_parallelism=300, options=options)
    backend = harness.create()
    _fill(backend, range(200))
    handle = _take(harness, backend)
    parts = [harness.create([handle], KeyGroupRange(start, start + 99)) for start in (0, 100, 200)]
    assert sum(part.entry_count("value") for part in parts if _registered(part)) == 200
    harness.close()


def _registered(backend: Any) -> bool:
    state_of(backend, VALUE)
    return True
