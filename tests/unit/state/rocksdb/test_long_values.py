"""Lists and values that are too long for memory, or for RocksDB."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from millpond.common import Time
from millpond.common.configuration import Configuration
from millpond.common.typeinfo import Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.errors import CheckpointDeclinedError, FormatError, StateSizeExceededError
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.long_value import LONG_VALUE_BYTES
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb import column_family, full_snapshot
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
LIST = ListStateDescriptor("list", BYTES)
OTHER = ListStateDescriptor("other", Types.LONG())
ELEMENT_BYTES = 1 << 15
COUNT = 3 * LONG_VALUE_BYTES // ELEMENT_BYTES


def element(number: int) -> bytes:
    return number.to_bytes(4, "big") + bytes(ELEMENT_BYTES - 4)


def numbers(elements: Iterator[bytes]) -> list[int]:
    return [int.from_bytes(each[:4], "big") for each in elements]


def stores() -> dict[str, RocksDBStateStore]:
    compressed = Configuration()
    compressed.set_string("execution.checkpointing.snapshot-compression", "true")
    return {"plain": RocksDBStateStore(), "compressed": RocksDBStateStore(compressed)}


@pytest.fixture(params=["plain", "compressed"])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BackendHarness]:
    if request.param == "compressed":
        pytest.importorskip("cramjam")
    harness = BackendHarness(stores()[request.param], tmp_path)
    yield harness
    harness.close()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[BackendHarness]:
    harness = BackendHarness(RocksDBStateStore(), tmp_path)
    yield harness
    harness.close()


def filled(harness: BackendHarness, keys: int = 6) -> dict[int, int]:
    """Give every second key a long list, the others short ones; and all of them another state."""
    backend = harness.create()
    state, other = state_of(backend, LIST), state_of(backend, OTHER)
    lengths = {key: COUNT + key if key % 2 else key for key in range(keys)}
    for key, length in lengths.items():
        with at_key(backend, key):
            for number in range(length):
                state.add(element(number))
            other.add_all([key, key + 1])
    harness.handle = harness.snapshot(backend)
    backend.close()
    return lengths


@pytest.mark.parametrize("store", [RocksDBStateStore, HeapStateStore])
def test_long_lists_among_short_ones_are_restored(harness, tmp_path, store):
    lengths = filled(harness)
    (tmp_path / "other").mkdir()
    other_harness = BackendHarness(store(), tmp_path / "other")
    other_harness.snapshots = harness.snapshots
    restored = other_harness.create([harness.handle])
    state, other = state_of(restored, LIST), state_of(restored, OTHER)
    for key, length in lengths.items():
        with at_key(restored, key):
            assert numbers(state.get()) == list(range(length))
            assert list(other.get()) == [key, key + 1]
            state.add(element(length))
            assert numbers(state.get()) == list(range(length + 1))
    other_harness.close()


def test_a_long_list_has_the_bytes_of_one_that_is_joined(plain, monkeypatch):
    filled(plain)
    in_pieces = plain.snapshots.content(plain.handle.stream)
    monkeypatch.setattr(full_snapshot, "LONG_VALUE_BYTES", 1 << 40)
    filled(plain)
    assert plain.snapshots.content(plain.handle.stream) == in_pieces


def test_neither_snapshot_nor_restore_hold_a_list_in_memory(plain, tmp_path):
    backend = plain.create()
    state = state_of(backend, LIST)
    with at_key(backend, 1):
        for number in range(20 * COUNT):
            state.add(element(number))
    backend._flush()
    path = tmp_path / "stream"

    class FileOutput:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            self.file.write(data)

        @property
        def position(self):
            return self.file.tell()

        def finish(self):
            self.file.close()
            return plain.snapshots.keep(b"stands for the file")

    class FileStreams:
        def open(self, scope):
            return FileOutput(path.open("wb"))

    snapshot = backend.snapshot(1, FileStreams(), plain.options)
    tracemalloc.start()
    try:
        handle = snapshot.write()
        snapshot.release()
        size, peak = path.stat().st_size, tracemalloc.get_traced_memory()[1]
        assert size > 60 * LONG_VALUE_BYTES
        assert peak < 8 * LONG_VALUE_BYTES

        class FileReader:
            has_checksums = True

            def open(self, _handle):
                return path.open("rb")

        plain.snapshots.reader = FileReader
        backend.close()
        tracemalloc.reset_peak()
        restored = plain.create([handle])
        assert tracemalloc.get_traced_memory()[1] < 8 * LONG_VALUE_BYTES
    finally:
        tracemalloc.stop()
    with at_key(restored, 1):
        assert sum(1 for _ in state_of(restored, LIST).get()) == 20 * COUNT


def test_expired_elements_of_a_long_list_are_left_out(plain):
    descriptor = ListStateDescriptor("list", BYTES)
    ttl = StateTtlConfig.new_builder(Time.milliseconds(100)).cleanup_full_snapshot().build()
    descriptor.enable_time_to_live(ttl)
    backend = plain.create()
    state = state_of(backend, descriptor)
    with at_key(backend, 1):
        for number in range(2 * COUNT):
            state.add(element(number))
            plain.clock.advance(1 if number % 2 else 0)
    plain.clock.advance(50)
    handle = plain.snapshot(backend)
    restored = plain.create([handle])
    with at_key(restored, 1):
        kept = numbers(state_of(restored, descriptor).get())
    assert kept == list(range(kept[0], 2 * COUNT))
    assert 0 < kept[0] < 2 * COUNT - COUNT // 2
    assert len(plain.snapshots.content(handle.stream)) < (len(kept) + 2) * (ELEMENT_BYTES + 32)


def test_a_long_list_with_ttl_is_iterated_lazily(plain):
    descriptor = ListStateDescriptor("list", Types.LONG())
    descriptor.enable_time_to_live(StateTtlConfig.new_builder(Time.milliseconds(100)).build())
    backend = plain.create()
    state = state_of(backend, descriptor)
    with at_key(backend, 1):
        state.add_all(range(3000))
        plain.clock.advance(60)
        state.add_all(range(3000, 6000))
        backend._flush()
        plain.clock.advance(60)
        alive = state.get()
        assert not isinstance(alive, list)
        state.add(-1)
        assert list(alive) == list(range(3000, 6000))
        plain.clock.advance(60)
        assert list(alive) == list(range(3000, 6000))
        assert list(state.get()) == [-1]


def test_a_long_value_that_is_no_list_comes_back(harness):
    descriptor = ValueStateDescriptor("value", BYTES)
    backend = harness.create()
    with at_key(backend, 1):
        state_of(backend, descriptor).update(element(7) * 100)
    restored = harness.restored(backend)
    with at_key(restored, 1):
        assert state_of(restored, descriptor).value() == element(7) * 100


def test_a_snapshot_of_a_long_list_can_be_cancelled(plain):
    backend = plain.create()
    state = state_of(backend, LIST)
    with at_key(backend, 1):
        for number in range(COUNT):
            state.add(element(number))
    snapshot = plain.start_snapshot(backend)
    write = plain.snapshots.before_write
    plain.snapshots.before_write = lambda size: (snapshot.cancel(), write(size))
    full_rows = full_snapshot._PIECE_ROWS
    full_snapshot._PIECE_ROWS = 8
    try:
        with pytest.raises(CheckpointDeclinedError):
            snapshot.write()
    finally:
        full_snapshot._PIECE_ROWS = full_rows
    snapshot.release()
    assert plain.snapshots.open_streams == 0
    with at_key(backend, 1):
        assert numbers(state.get()) == list(range(COUNT))


@pytest.mark.parametrize("cut", [1, 2, 10, LONG_VALUE_BYTES])
def test_a_long_list_that_is_cut_off_is_noticed(plain, cut):
    filled(plain)
    stream = plain.handle.stream
    plain.snapshots.replace(stream, plain.snapshots.content(stream)[:-cut])
    reader = open_keyed_state(plain.handle, plain.snapshots.reader().open, 128, check=False)
    with pytest.raises(FormatError, match="ends inside"):
        for _ in reader.blocks():
            pass
    with pytest.raises(FormatError):
        plain.create([plain.handle])


def test_entries_behind_a_long_value_that_nobody_reads_are_found(plain):
    lengths = filled(plain)
    reader = open_keyed_state(plain.handle, plain.snapshots.reader().open, 128, check=False)
    found = [len(getattr(block, "entries", [block])) for block in reader.blocks_and_long_entries()]
    # Key 0 has no list at all.
    assert sum(found) == 2 * len(lengths) - 1


@pytest.mark.parametrize("state_name", ["value", "list", "map"])
def test_a_value_beyond_the_limit_names_state_operator_and_key(plain, monkeypatch, state_name):
    monkeypatch.setattr(column_family, "MAX_ROW_BYTES", 1000)
    # Batches are looked at only when they are larger than the limit as a whole.
    backend = plain.create()
    with at_key(backend, 77):
        if state_name == "value":
            state_of(backend, ValueStateDescriptor("value", BYTES)).update(bytes(997))
        elif state_name == "list":
            state_of(backend, ListStateDescriptor("list", BYTES)).add(bytes(997))
        else:
            state_of(backend, MapStateDescriptor("map", BYTES, BYTES)).put(b"k", bytes(997))
    with pytest.raises(StateSizeExceededError, match=r"2\^31-1") as caught:
        plain.snapshot(backend)
    context = caught.value.context
    assert (context["state"], context["operator"], context["key"]) == (
        state_name,
        "conformance",
        "77",
    )


def test_a_key_beyond_the_limit_is_refused(plain, monkeypatch):
    monkeypatch.setattr(column_family, "MAX_ROW_BYTES", 1000)
    backend = plain.create(key_type=Types.STRING())
    state = state_of(backend, ValueStateDescriptor("value", Types.LONG()))
    with at_key(backend, "x" * 1000):
        state.update(1)
    with pytest.raises(StateSizeExceededError, match=r"state: value, .*key: 'xxx"):
        plain.snapshot(backend)
    with at_key(backend, "x" * 1000):
        assert state.value() == 1


def test_many_rows_within_the_limit_may_exceed_it_together(plain, monkeypatch):
    monkeypatch.setattr(column_family, "MAX_ROW_BYTES", 30_000)
    backend = plain.create()
    state = state_of(backend, ListStateDescriptor("list", BYTES))
    with at_key(backend, 1):
        state.add_all([bytes(20_000)] * 20)
    backend._flush()
    with at_key(backend, 1):
        assert list(state.get()) == [bytes(20_000)] * 20


def test_a_list_beyond_the_limit_of_canonical_snapshots_is_named(plain, monkeypatch):
    monkeypatch.setattr(full_snapshot, "MAX_ROW_BYTES", 2 * LONG_VALUE_BYTES)
    backend = plain.create()
    state = state_of(backend, LIST)
    with at_key(backend, 1):
        for number in range(COUNT):
            state.add(element(number))
    with pytest.raises(StateSizeExceededError, match=r"2\^31-1 bytes.*state: python-state-list"):
        plain.snapshot(backend)
    assert plain.snapshots.open_streams == 0
    with at_key(backend, 1):
        assert numbers(state.get()) == list(range(COUNT))
