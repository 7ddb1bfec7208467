"""Lists of numbers, which are held as bytes: what they take, and when they are read."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.state import ListStateDescriptor
from millpond.errors import SerializationError, StateError, StateStoreError
from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.rocksdb.number_list_state import RocksDBNumberListState
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Level(IntEnum):
    HIGH = 3


class Indexed:
    """Not a number, but it stands for one; as numpy's integers do."""

    def __index__(self) -> int:
        return 7


LIST = ListStateDescriptor("list", Types.LONG())
TAKEN = [
    (Types.BYTE(), [-128, 127, True], [-128, 127, 1]),
    (Types.SHORT(), [-(1 << 15), Level.HIGH], [-(1 << 15), 3]),
    (Types.INT(), [-(1 << 31), (1 << 31) - 1, Indexed()], [-(1 << 31), (1 << 31) - 1, 7]),
    (Types.LONG(), [-(1 << 63), (1 << 63) - 1, False], [-(1 << 63), (1 << 63) - 1, 0]),
    (Types.FLOAT(), [0.1, 1, float("inf")], [0.10000000149011612, 1.0, float("inf")]),
    (Types.DOUBLE(), [0.1, 1, -0.0, 5e-324], [0.1, 1.0, -0.0, 5e-324]),
]
REFUSED = [
    (Types.BYTE(), 128),
    (Types.INT(), 1 << 31),
    (Types.LONG(), 1.0),
    (Types.LONG(), "1"),
    (Types.LONG(), 1 << 63),
    (Types.FLOAT(), 1e300),
    (Types.DOUBLE(), 10**400),
]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[BackendHarness]:
    options = SnapshotOptions(incremental=True)
    harness = BackendHarness(RocksDBStateStore(), tmp_path, options=options)
    yield harness
    harness.close()


def _exact(values: Any) -> list[tuple[type, str]]:
    return [(type(value), repr(value)) for value in values]


@pytest.mark.parametrize(("declared", "given", "expected"), TAKEN)
def test_numbers_read_the_same_before_and_after_a_restore(
    harness: BackendHarness, declared: Any, given: list[Any], expected: list[Any]
) -> None:
    backend = harness.create()
    state = state_of(backend, ListStateDescriptor("list", declared))
    assert isinstance(state, RocksDBNumberListState)
    with at_key(backend, 1):
        for value in given:
            state.add(value)
        state.add_all(tuple(given))
        assert _exact(state.get()) == _exact([*expected, *expected])
        backend = harness.restored(backend)
        state = state_of(backend, ListStateDescriptor("list", declared))
    with at_key(backend, 1):
        assert _exact(state.get()) == _exact([*expected, *expected])


@pytest.mark.parametrize(("declared", "value"), REFUSED)
def test_what_does_not_fit_is_refused_and_nothing_is_added(
    harness: BackendHarness, declared: Any, value: Any
) -> None:
    backend = harness.create()
    state = state_of(backend, ListStateDescriptor("list", declared))
    expected = f"A list element of type {type(value).__name__} does not fit the declared type "
    with at_key(backend, 1):
        for refused in (
            lambda: state.add(value),
            lambda: state.add_all([1, value]),
            lambda: state.update(iter([1, value])),
        ):
            with pytest.raises(SerializationError, match=expected):
                refused()
        assert list(state.get()) == []


def test_none_is_refused(harness: BackendHarness) -> None:
    backend = harness.create()
    state = state_of(backend, LIST)
    with at_key(backend, 1):
        state.add(1)
        for refused in (lambda: state.add(None), lambda: state.add_all([2, None])):
            with pytest.raises(StateError, match=r"None cannot be added to a list state\."):
                refused()
        for refused in (lambda: state.add_all(None), lambda: state.update(None)):
            with pytest.raises(StateError, match=r"None cannot be the elements of a list state\."):
                refused()
        assert state.get() == [1]


def test_what_was_returned_belongs_to_the_user(harness: BackendHarness) -> None:
    backend = harness.create()
    state = state_of(backend, LIST)
    given = [1, 2]
    with at_key(backend, 1):
        state.update(given)
        given.append(3)
        for change, expected in (
            (lambda: None, [1, 2]),
            (lambda: None, [1, 2]),
            (lambda: state.add(4), [1, 2, 4]),
            (lambda: state.add_all([5, 6]), [1, 2, 4, 5, 6]),
            (backend._flush, [1, 2, 4, 5, 6]),
            (state.clear, []),
        ):
            change()
            returned = state.get()
            assert returned == expected
            returned.append(0)


def test_a_list_is_held_once_it_was_read_twice(
    harness: BackendHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = harness.create()
    state = state_of(backend, LIST)
    family = backend._tables["python-state-list"].family
    reads: list[bytes] = []
    read = type(family).read
    monkeypatch.setattr(type(family), "read", lambda *a: reads.append(a[1]) or read(*a))
    with at_key(backend, 1):
        state.add_all([1, 2])
        state.add(3)
    for table in backend._tables.values():
        table.stored.evict()
    for expected in (1, 2, 2, 2):
        with at_key(backend, 1):
            assert state.get() == [1, 2, 3]
        assert len(reads) == expected
    # What is not there is known after one look.
    for _ in range(3):
        with at_key(backend, 2):
            assert state.get() == []
    assert len(reads) == 3


def test_many_added_numbers_are_no_list_at_once(harness: BackendHarness) -> None:
    backend = harness.create()
    state = state_of(backend, LIST)
    with at_key(backend, 1):
        state.clear()
        state.add_all(range(40_000))
        view = state.get()
        assert not isinstance(view, list)
        state.add(-1)
        assert list(view) == list(view) == list(range(40_000))
        assert list(state.get()) == [*range(40_000), -1]
        backend = harness.restored(backend)
        state = state_of(backend, LIST)
    with at_key(backend, 1):
        assert list(state.get()) == [*range(40_000), -1]


@pytest.mark.parametrize("row", [b"", b"\0\0\0\7", b"\0\0\0\7" + bytes(7), b"\0\0\0\7" + bytes(8)])
def test_a_damaged_row_is_named(harness: BackendHarness, row: bytes) -> None:
    backend = harness.create()
    state = state_of(backend, LIST)
    with at_key(backend, 1):
        key = state.composite_key(1) + bytes(8)
        backend._tables["python-state-list"].family.write([(key, row)])
        with pytest.raises(StateStoreError, match="cannot be decoded with the declared type"):
            state.get()
