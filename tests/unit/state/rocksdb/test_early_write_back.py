from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.state import ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor
from millpond.errors import MillpondError
from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.rocksdb import early_write_back
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUE = ValueStateDescriptor("value", Types.LONG())
LIST = ListStateDescriptor("list", Types.LONG())
MAP = MapStateDescriptor("map", Types.LONG(), Types.LONG())
PICKLED = ValueStateDescriptor("pickled", Types.PICKLED_BYTE_ARRAY())
INCREMENTAL = SnapshotOptions(incremental=True)
KEYS = 3000


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[BackendHarness]:
    harness = BackendHarness(RocksDBStateStore(), tmp_path, options=INCREMENTAL)
    yield harness
    harness.close()


def _update(backend: Any, keys: range, by: int = 0) -> None:
    state = state_of(backend, VALUE)
    for key in keys:
        with at_key(backend, key):
            state.update(key + by)


def _changed(backend: Any, descriptor: Any) -> int:
    return len(state_of(backend, descriptor).changed_parts())


def _prepare(backend: Any, checkpoint_id: int = 1) -> int:
    return sum(1 for _ in backend.prepare_snapshot(checkpoint_id, INCREMENTAL))


def test_what_is_changed_is_written_in_pieces(harness: BackendHarness) -> None:
    backend = harness.create()
    _update(backend, range(KEYS))
    assert _prepare(backend) > 5
    assert _changed(backend, VALUE) == 0
    rows = backend.database.column_family("python-state-value").scan_keys()
    assert sum(1 for _ in rows) == KEYS
    _update(backend, range(10), by=1)
    assert _changed(backend, VALUE) == 10
    restored = harness.restored(backend)
    state = state_of(restored, VALUE)
    for key in (0, 9, 10, KEYS - 1):
        with at_key(restored, key):
            assert state.value() == key + (key < 10)


def test_a_few_changes_are_left_to_the_snapshot(harness: BackendHarness) -> None:
    backend = harness.create()
    _update(backend, range(early_write_back._FEW))
    assert _prepare(backend) == 0
    assert _changed(backend, VALUE) == early_write_back._FEW


def test_a_second_pass_follows_while_changes_become_fewer(
    harness: BackendHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_write_back, "_FEW", 10)
    backend = harness.create()
    _update(backend, range(1000))
    steps = backend.prepare_snapshot(1, INCREMENTAL)
    for number, _ in enumerate(steps):
        if number == 1:
            # Others than those that were changed at the start.
            _update(backend, range(2000, 2400))
    assert _changed(backend, VALUE) == 0


def test_a_pass_that_does_not_help_is_the_last(
    harness: BackendHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_write_back, "_FEW", 10)
    backend = harness.create()
    _update(backend, range(1000))
    new = 1000
    for _ in backend.prepare_snapshot(1, INCREMENTAL):
        _update(backend, range(new, new + 500))
        new += 500
    assert _changed(backend, VALUE) > 500


def test_objects_that_change_all_the_time_are_left_to_the_snapshot(
    harness: BackendHarness,
) -> None:
    backend = harness.create()
    written = backend.database.column_family
    _update(backend, range(KEYS))
    for _ in backend.prepare_snapshot(1, INCREMENTAL):
        _update(backend, range(KEYS))
    assert sum(1 for _ in written("python-state-value").scan_keys()) <= early_write_back._SAMPLE
    # Nor are the next three snapshots prepared; then it is tried again.
    for checkpoint_id in (2, 3, 4):
        assert _prepare(backend, checkpoint_id) == 0
    assert _prepare(backend, 5) > 5
    assert _changed(backend, VALUE) == 0


def test_lists_and_maps_are_prepared_too(
    harness: BackendHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_write_back, "_FEW", 0)
    backend = harness.create()
    elements, entries = state_of(backend, LIST), state_of(backend, MAP)
    for key in range(50):
        with at_key(backend, key):
            elements.add_all([key, 1])
            entries.put(key, 1)
    backend._flush()
    for key in range(50):
        with at_key(backend, key):
            if key % 2:
                elements.clear()
                entries.clear()
            elements.add(2)
            entries.put(key + 1, None)
    with at_key(backend, 1000):
        entries.put_all({number: number for number in range(1000)})
    assert _changed(backend, MAP) == 50 + 4
    for number, _ in enumerate(backend.prepare_snapshot(1, INCREMENTAL)):
        if number == 1:
            with at_key(backend, 7):
                elements.add(3)
                entries.remove(8)
            with at_key(backend, 1000):
                entries.put(999, -1)
    assert _changed(backend, LIST) == _changed(backend, MAP) == 0

    def check(backend: Any) -> None:
        elements, entries = state_of(backend, LIST), state_of(backend, MAP)
        for key in range(50):
            with at_key(backend, key):
                kept = [] if key % 2 else [key, 1]
                assert list(elements.get()) == [*kept, 2, *([3] if key == 7 else [])]
                expected = {} if key % 2 else {key: 1}
                if key != 7:
                    expected[key + 1] = None
                assert dict(entries.items()) == expected
        with at_key(backend, 1000):
            assert dict(entries.items()) == {
                **{number: number for number in range(1000)},
                999: -1,
            }

    check(backend)
    check(harness.restored(backend))


def test_nothing_is_lost_when_writing_ahead_fails(
    harness: BackendHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_write_back, "_FEW", 0)
    backend = harness.create()
    states = [state_of(backend, each) for each in (VALUE, LIST, MAP)]
    for key in range(20):
        with at_key(backend, key):
            states[0].update(key)
            states[1].add(key)
            states[2].put(key, key)

    def fail(*_: Any, **__: Any) -> None:
        raise MillpondError("The disk is full.")

    for state in states:
        parts = state.changed_parts()
        with monkeypatch.context() as broken:
            broken.setattr(type(backend.database), "write_batch", fail)
            with pytest.raises(MillpondError, match="The disk is full"):
                state.write_back(parts)
        assert state.count_changed(parts) == 20
    for key in range(20):
        with at_key(backend, key):
            assert states[0].value() == key
            assert list(states[1].get()) == [key]
            assert dict(states[2].items()) == {key: key}
    restored = harness.restored(backend)
    for key in range(20):
        with at_key(restored, key):
            assert state_of(restored, VALUE).value() == key
            assert list(state_of(restored, LIST).get()) == [key]
            assert dict(state_of(restored, MAP).items()) == {key: key}


def test_nothing_is_written_while_an_earlier_snapshot_needs_the_database(
    harness: BackendHarness,
) -> None:
    backend = harness.create()
    _update(backend, range(10))
    snapshot = harness.start_snapshot(backend)
    _update(backend, range(KEYS))
    assert _prepare(backend, 2) == 0
    assert backend.database.is_held
    snapshot.write()
    snapshot.release()
    assert _prepare(backend, 2) > 0
    assert snapshot.stopped_seconds == 0


def test_pieces_of_slow_objects_become_small(harness: BackendHarness) -> None:
    class Slow:
        def __reduce__(self) -> Any:
            harness.clock.advance(1)
            return int, (1,)

    backend = harness.create()
    state = state_of(backend, PICKLED)
    for key in range(early_write_back._FEW + 1):
        with at_key(backend, key):
            state.update(Slow())
    steps = backend.prepare_snapshot(1, INCREMENTAL)
    next(steps)
    next(steps)
    before = harness.clock.monotonic()
    longest = 0.0
    for _ in steps:
        now = harness.clock.monotonic()
        longest, before = max(longest, now - before), now
    assert longest <= 0.016
    assert _changed(backend, PICKLED) == 0
