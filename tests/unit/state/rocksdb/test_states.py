from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ValueStateDescriptor,
)
from millpond.errors import (
    KeyGroupOutOfRangeError,
    SerializationError,
    StateError,
    StateSizeExceededError,
    StateStoreError,
)
from millpond.state.contract.key_group import KeyGroupRange
from millpond.state.contract.namespace import VOID_NAMESPACE
from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUE = ValueStateDescriptor("value", Types.LONG())
LIST = ListStateDescriptor("list", Types.LONG())
OBJECTS = ListStateDescriptor("list", Types.PICKLED_BYTE_ARRAY())
MAP = MapStateDescriptor("map", Types.STRING(), Types.LONG())


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[BackendHarness]:
    harness = BackendHarness(RocksDBStateStore(), tmp_path)
    yield harness
    harness.close()


def _limit(backend: Any, size: int) -> None:
    for table in backend._tables.values():
        if table.stored is not None:
            table.stored._cache_bytes = 0
            table.stored.cache_entries = size


@pytest.mark.parametrize("cache", [1, 3, 100, 1000])
@pytest.mark.parametrize("seed", range(2))
def test_random_map_operations_equal_a_dictionary(
    harness: BackendHarness, monkeypatch: pytest.MonkeyPatch, cache: int, seed: int
) -> None:
    monkeypatch.setattr("millpond.state.rocksdb.state._SMALLEST_CACHE", cache)
    rng = random.Random(seed)
    backend = harness.create()
    state = state_of(backend, MAP)
    _limit(backend, cache)
    model: dict[int, dict[str, int | None]] = {}
    for _ in range(500):
        key = rng.randrange(4)
        name = "n" * rng.randrange(1, 6)
        entries = model.setdefault(key, {})
        action = rng.randrange(9)
        with at_key(backend, key):
            if action < 3:
                entries[name] = rng.choice([None, 1, 2])
                state.put(name, entries[name])
            elif action == 3:
                entries.pop(name, None)
                state.remove(name)
            elif action == 4:
                assert state.get(name) == entries.get(name)
            elif action == 5:
                assert list(state.items()) == sorted(entries.items())
            elif action == 6:
                assert state.is_empty() == (not entries)
            elif action == 7 and rng.random() < 0.3:
                entries.clear()
                state.clear()
            else:
                iterator = state.keys()
                for seen in iterator:
                    if rng.random() < 0.5:
                        iterator.remove()
                        del entries[seen]
                    elif rng.random() < 0.5:
                        entries[seen] = 9
                        state.put(seen, 9)
        if rng.random() < 0.02:
            backend = harness.restored(backend)
            state = state_of(backend, MAP)
            _limit(backend, cache)
    assert sorted(backend.keys("map", VOID_NAMESPACE)) == sorted(key for key in model if model[key])


@pytest.mark.parametrize("descriptor", [LIST, OBJECTS], ids=["numbers", "objects"])
@pytest.mark.parametrize("cache", [1, 5, 1000, 100_000])
@pytest.mark.parametrize("incremental", [False, True])
def test_random_list_operations_equal_a_list(
    harness: BackendHarness,
    monkeypatch: pytest.MonkeyPatch,
    cache: int,
    incremental: bool,
    descriptor: ListStateDescriptor,
) -> None:
    monkeypatch.setattr("millpond.state.rocksdb.state._SMALLEST_CACHE", cache)
    monkeypatch.setattr("millpond.state.rocksdb.list_rows._CACHED_ELEMENTS", 6)
    monkeypatch.setattr("millpond.state.rocksdb.list_rows._PIECE_ROWS", 4)
    monkeypatch.setattr("millpond.state.rocksdb.number_list_state._ROW_ELEMENTS", 3)
    monkeypatch.setattr("millpond.state.rocksdb.number_list_state._LONG_TAIL_BYTES", 100)
    harness.options = SnapshotOptions(incremental=incremental)
    rng = random.Random(cache)
    backend = harness.create()
    state = state_of(backend, descriptor)
    _limit(backend, cache)
    model: dict[int, list[int]] = {}
    for number in range(600):
        key = rng.randrange(4)
        elements = model.setdefault(key, [])
        with at_key(backend, key):
            action = rng.randrange(8)
            if action < 4:
                elements.append(number)
                state.add(number)
            elif action == 4:
                elements.extend([number, number])
                state.add_all([number, number])
            elif action == 5:
                got = state.get()
                state.add(-number)
                assert list(got) == elements
                assert list(got) == elements
                if isinstance(got, list):
                    got.append(0)
                elements.append(-number)
            elif action == 6:
                assert list(state.get()) == elements
            elif rng.random() < 0.4:
                elements[:] = [number] * rng.randrange(3)
                state.update(elements)
        if rng.random() < 0.02:
            backend = harness.restored(backend)
            state = state_of(backend, descriptor)
            _limit(backend, cache)
    for key, elements in model.items():
        with at_key(backend, key):
            assert list(state.get()) == elements


def test_a_long_list_is_appended_without_reading_and_iterated_lazily(
    harness: BackendHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = harness.create()
    state = state_of(backend, LIST)
    family = backend._tables["python-state-list"].family
    reads: list[int] = []
    scan = type(family).cursor
    monkeypatch.setattr(type(family), "cursor", lambda *a: reads.append(1) or scan(*a))
    with at_key(backend, 1):
        for number in range(60_000):
            state.add(number)
        assert reads == []
        view = state.get()
        assert not isinstance(view, list)
        first, second = iter(view), iter(view)
        assert [next(first) for _ in range(2000)] == list(range(2000))
        assert next(second) == 0
        state.add(-1)
        assert sum(1 for _ in view) == 60_000
        backend = harness.restored(backend)
        state = state_of(backend, LIST)
    with at_key(backend, 1):
        assert sum(state.get()) == sum(range(60_000)) - 1


def test_values_are_written_back_at_a_snapshot_only(harness: BackendHarness) -> None:
    backend = harness.create()
    state = state_of(backend, VALUE)
    family = backend._tables["python-state-value"].family
    with at_key(backend, 1):
        state.update(5)
        state.clear()
        assert state.value() is None
        state.update(6)
    assert list(family.scan()) == []
    harness.snapshot(backend)
    assert len(list(family.scan())) == 1


def test_a_map_whose_entries_are_used_again_and_again_is_not_written(
    harness: BackendHarness,
) -> None:
    backend = harness.create()
    state = state_of(backend, MAP)
    _limit(backend, 50)
    with at_key(backend, 1):
        for number in range(500):
            state.put("few", number)
            assert state.get("none") is None
            state.remove("other")
        assert list(state.items()) == [("few", 499)]
    family = backend._tables["python-state-map"].family
    assert family.number("rocksdb.num-entries-active-mem-table") == 0


def test_what_was_never_stored_leaves_no_tombstone(harness: BackendHarness) -> None:
    backend = harness.create()
    state = state_of(backend, VALUE)
    family = backend._tables["python-state-value"].family
    with at_key(backend, 1):
        assert state.value() is None
        state.update(1)
        state.clear()
    harness.snapshot(backend)
    assert family.number("rocksdb.num-entries-active-mem-table") == 0


def test_values_that_hardly_ever_come_again_are_kept_one_in_four(
    harness: BackendHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("millpond.state.rocksdb.state._SMALLEST_CACHE", 64)
    backend = harness.create()
    state = state_of(backend, VALUE)
    state.limit_cache(0)
    keys = list(range(1000))
    for key in keys:
        with at_key(backend, key):
            state.update(-key)
    state.flush()
    for _ in range(3):
        random.Random(1).shuffle(keys)
        for key in keys:
            with at_key(backend, key):
                assert state.value() == -key
    assert state._is_reluctant
    kept = len(state._cache)
    for key in range(2000, 2005):
        with at_key(backend, key):
            assert state.value() is None
    assert len(state._cache) >= min(kept + 5, 56)
    for _ in range(200):
        for key in range(5):
            with at_key(backend, key):
                assert state.value() == -key
    assert set(range(5)) <= state._cache.clean.keys() | state._cache.trial.keys()


def test_the_keys_of_many_rows_are_those_of_each(harness: BackendHarness) -> None:
    backend = harness.create()
    state = state_of(backend, VALUE)
    for count in (1, 100):
        slots = range(-count, count)
        assert state.composite_keys(slots) == [state.composite_key(slot) for slot in slots]


def test_a_key_of_another_subtask_is_refused(harness: BackendHarness) -> None:
    backend = harness.create(key_groups=KeyGroupRange(0, 0))
    state = state_of(backend, VALUE)
    with pytest.raises(KeyGroupOutOfRangeError, match="key: 1"), at_key(backend, 1):
        state.value()
    with at_key(backend, 2):
        state.update(1)
    with pytest.raises(KeyGroupOutOfRangeError, match="key: 2"):
        harness.snapshot(backend)


def test_damaged_rows_are_named_and_other_reads_go_on(harness: BackendHarness) -> None:
    backend = harness.create()
    states = [state_of(backend, descriptor) for descriptor in (VALUE, LIST, MAP)]
    value, elements, entries = states
    for key in (1, 2):
        with at_key(backend, key):
            value.update(1)
            elements.add(1)
            entries.put("a", 1)
    harness.snapshot(backend)
    for table in backend._tables.values():
        prefix = table.stored.composite_key(1)
        rows = [(row, b"\x05xx") for row, _ in table.family.scan(prefix)]
        table.family.write(rows)
        table.stored.evict()
        for name in ("_clean",):
            getattr(table.stored, name).clear()
    with at_key(backend, 1):
        for read in (value.value, elements.get, lambda: entries.get("a"), lambda: list(entries)):
            with pytest.raises(StateStoreError, match=r"cannot be decoded.*last checkpoint"):
                read()
    with at_key(backend, 2):
        assert value.value() == 1
        assert list(elements.get()) == [1]
        assert entries.get("a") == 1


def test_the_name_default_is_refused(harness: BackendHarness) -> None:
    with pytest.raises(StateError, match="cannot be named 'default'"):
        state_of(harness.create(), ValueStateDescriptor("default", Types.LONG()))


def test_a_value_that_cannot_be_written_back_names_state_and_key(harness: BackendHarness) -> None:
    backend = harness.create()
    state = state_of(backend, ValueStateDescriptor("any", Types.PICKLED_BYTE_ARRAY()))
    with at_key(backend, 77):
        state.update(lambda: (yield))
        state.update(item for item in ())
    with pytest.raises(SerializationError, match=r"state: any.*key: 77"):
        harness.snapshot(backend)


def test_more_than_two_gibibytes_are_refused_by_name(harness: BackendHarness) -> None:
    backend = harness.create()
    state = state_of(backend, ValueStateDescriptor("huge", Types.PRIMITIVE_ARRAY(Types.BYTE())))
    with pytest.raises(StateSizeExceededError, match=r"2\^31-1.*state: huge, .*key: 5"):
        state.refuse_size(5, 1 << 31)


def test_disk_full_fails_the_snapshot_and_reads_go_on(
    harness: BackendHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = harness.create()
    state = state_of(backend, VALUE)
    with at_key(backend, 1):
        state.update(1)
    good = harness.snapshot(backend)
    with at_key(backend, 1):
        state.update(2)

    class Full:
        def __init__(self, database: Any) -> None:
            self.database = database

        def write(self, *_: Any) -> None:
            raise Exception("IO error: No space left on device: While appending")  # noqa: TRY002

        def __getattr__(self, name: str) -> Any:
            return getattr(self.database, name)

    native = backend.database._database
    backend.database._database = Full(native)
    with pytest.raises(StateStoreError, match=r"disk .* is full"):
        harness.snapshot(backend)
    with at_key(backend, 1):
        assert state.value() == 2
    backend.database._database = native
    restored = harness.create([good])
    with at_key(restored, 1):
        assert state_of(restored, VALUE).value() == 1


def test_entries_are_read_through_and_written_back(
    harness: BackendHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("millpond.state.rocksdb.state._SMALLEST_CACHE", 2)
    backend = harness.create()
    state = state_of(backend, VALUE)
    state.limit_cache(0)
    entries = state.entries()
    for key in range(50):
        assert entries.get(key % 10) == (None if key < 10 else key - 10)
        entries[key % 10] = key
    assert len(entries) <= 4
    with at_key(backend, 7):
        assert state.value() == 47
        state.clear()
    assert entries.get(7) is None
    assert sorted(backend.keys("value", VOID_NAMESPACE)) == [0, 1, 2, 3, 4, 5, 6, 8, 9]
