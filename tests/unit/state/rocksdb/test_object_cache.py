from __future__ import annotations

import random
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pytest

from millpond.common import Configuration, Types
from millpond.datastream.state import ValueStateDescriptor
from millpond.state.rocksdb.object_cache import ObjectCache
from millpond.state.rocksdb.object_size import object_bytes
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MISSING: Any = object()


class Simulation:
    """The way of value state through its cache, without a database; counts misses."""

    def __init__(self, capacity: int) -> None:
        self.cache = ObjectCache()
        self.capacity = capacity
        self.changed: dict[int, int] = {}
        self.misses = 0
        self.most = 0

    def _make_room(self) -> None:
        if not self.cache.make_room(self.changed, self.capacity):
            self.cache.absorb(self.changed, self.capacity)
            self.changed.clear()

    def run(self, slots: Iterable[int]) -> int:
        before = self.misses
        cache, changed = self.cache, self.changed
        for slot in slots:
            known = slot in changed or slot in cache.clean
            if not known and (not cache.is_contested or cache.missed(slot, MISSING) is MISSING):
                self.misses += 1
                if len(changed) + len(cache) >= self.capacity:
                    self._make_room()
                cache.place[slot] = slot
            changed[slot] = slot
            if len(changed) + len(cache) > self.capacity:
                self._make_room()
            self.most = max(self.most, len(changed) + len(cache))
        return self.misses - before


def in_turn(keys: int, count: int) -> list[int]:
    return [number % keys for number in range(count)]


def zipf(keys: int, count: int, seed: int = 1) -> list[int]:
    weights = list(accumulate(1 / (number + 1) for number in range(keys)))
    return random.Random(seed).choices(range(keys), cum_weights=weights, k=count)


def test_keys_in_turn_are_found_in_proportion_to_the_cache() -> None:
    simulation = Simulation(4000)
    simulation.run(in_turn(8000, 200_000))
    misses = simulation.run(in_turn(8000, 40_000))
    assert simulation.cache.keeps_first
    assert misses < 40_000 * 0.62  # all of them, with the rule that suits most other work
    assert simulation.most <= 4001


def test_frequent_keys_stay_and_the_rule_changes_back() -> None:
    simulation = Simulation(4000)
    misses = simulation.run(zipf(40_000, 100_000))
    assert not simulation.cache.keeps_first
    assert misses < 40_000
    simulation.run(in_turn(8000, 200_000))
    assert simulation.cache.keeps_first
    # The same distribution over other keys: what was kept first is of no use for it.
    simulation.run(slot + 100_000 for slot in zipf(40_000, 300_000))
    assert simulation.run(slot + 100_000 for slot in zipf(40_000, 100_000, 2)) < 40_000


def test_what_fits_is_never_written_to_make_room() -> None:
    simulation = Simulation(1000)
    assert simulation.run(in_turn(800, 100_000)) == 800
    assert len(simulation.changed) == 800


def test_a_known_absence_is_remembered() -> None:
    cache = ObjectCache()
    cache.clean.update({1: None, 2: "two"})
    assert cache.is_absent(1)
    assert not cache.is_absent(2)
    assert not cache.is_absent(3)


@pytest.mark.parametrize("capacity", [1, 2, 3, 9])
def test_the_smallest_caches_work(capacity: int) -> None:
    simulation = Simulation(capacity)
    simulation.run(random.Random(1).choices(range(20), k=2000))
    assert simulation.most <= capacity + 1


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        (7, 28, 48),
        ("x" * 1000, 1000, 1100),
        (("a", 1, 2.0), 150, 300),
        ([1000 + number for number in range(1000)], 36_000, 50_000),
        ({"key": ["x" * 100] * 10}, 1000, 2500),
        (None, 0, 32),
    ],
)
def test_objects_are_weighed_with_what_they_hold(value: object, least: int, most: int) -> None:
    assert least <= object_bytes(value) <= most


def test_an_object_that_holds_itself_is_weighed() -> None:
    value: list[Any] = []
    value.append(value)
    assert object_bytes(value) < 1000


def test_small_values_of_many_keys_fit_into_the_default_memory(tmp_path: Path) -> None:
    harness = BackendHarness(RocksDBStateStore(Configuration()), tmp_path)
    backend = harness.create()
    state = state_of(backend, ValueStateDescriptor("sum", Types.LONG()))
    keys = 20_000
    for number in range(3 * keys):
        backend.current_key = number % keys
        state.update((state.value() or 0) + 1)
        if number % 2048 == 0:
            backend.end_batch()
    assert state.cache_entries + len(state._cache) > 100_000
    # Nothing had to be written: every key is still among the changed ones.
    assert len(state._dirty) == keys
    harness.close()


def test_a_snapshot_has_a_bounded_number_of_values_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("millpond.state.rocksdb.value_state._MOST_CHANGED", 500)
    harness = BackendHarness(RocksDBStateStore(Configuration()), tmp_path)
    backend = harness.create()
    state = state_of(backend, ValueStateDescriptor("sum", Types.LONG()))
    for number in range(6000):
        backend.current_key = number % 2000
        state.update((state.value() or 0) + 1)
        assert len(state._dirty) <= 501
    # What was written stays in memory.
    assert len({*state._dirty, *state._clean}) == 2000
    for key in range(2000):
        backend.current_key = key
        assert state.value() == 3
    harness.close()


def test_values_that_grow_are_noticed_at_the_end_of_a_batch(tmp_path: Path) -> None:
    store = RocksDBStateStore(
        Configuration.from_dict({"state.backend.rocksdb.memory.fixed-per-slot": "16mb"})
    )
    harness = BackendHarness(store, tmp_path)
    backend = harness.create()
    state = state_of(backend, ValueStateDescriptor("text", Types.STRING()))
    for number in range(6000):
        backend.current_key = number
        state.update("x" if number < 5000 else "x" * 20_000)
        if number % 100 == 0:
            backend.end_batch()
    backend.end_batch()
    held = sum(len(value) for value in dict(state._dirty).values() if value)
    assert held < 2 * store.memory.object_bytes
    harness.close()
