from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import pytest

from millpond.common.configuration import Configuration
from millpond.common.typeinfo import Types
from millpond.configuration.options.rocksdb import TimerStore
from millpond.datastream.state import ValueStateDescriptor
from millpond.errors import StateError
from millpond.state.contract.namespace import TIME_WINDOW, VOID
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.state.rocksdb.timer_queue import timers_within
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["tiny", "default", "heap"])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BackendHarness]:
    configuration = Configuration()
    if request.param == "tiny":
        configuration.set_string("state.backend.rocksdb.timer-service.cache-size", "2")
    if request.param == "heap":
        configuration.set_string("state.backend.rocksdb.timer-service.factory", "HEAP")
    harness = BackendHarness(RocksDBStateStore(configuration), tmp_path)
    yield harness
    harness.close()


@pytest.mark.parametrize("seed", range(2))
def test_random_operations_equal_a_sorted_list(harness: BackendHarness, seed: int) -> None:
    rng = random.Random(seed)
    backend = harness.create()
    queue = backend.timer_queue("user-timers", "event", VOID)
    encode = backend.parameters.key_serializer.encode
    model: set[tuple[int, int]] = set()
    for step in range(600):
        action = rng.random()
        timestamp, key = rng.randrange(-50, 50), rng.randrange(40)
        if action < 0.45:
            queue.add(timestamp, key, None)
            model.add((timestamp, key))
        elif action < 0.55:
            several = rng.sample(range(40), rng.randrange(20))
            queue.add_all(timestamp, several, None)
            model |= {(timestamp, each) for each in several}
        elif action < 0.75:
            queue.remove(timestamp, key, None)
            model.discard((timestamp, key))
        elif action < 0.95:
            smallest = min((time for time, _ in model), default=None)
            assert queue.head() == smallest
            due = sorted((key for time, key in model if time == smallest), key=encode)
            if smallest is not None and timestamp >= smallest:
                assert queue.poll(timestamp) == [(smallest, key, None) for key in due]
                model -= {(smallest, key) for key in due}
            else:
                assert queue.poll(timestamp) == []
        elif step % 7 == 0:
            backend = harness.restored(backend)
            queue = backend.timer_queue("user-timers", "event", VOID)
        else:
            assert len(queue) == len(model)
            assert {(time, key) for time, key, _ in queue} == model
    while model:
        smallest = min(time for time, _ in model)
        assert queue.head() == smallest
        due = queue.poll(1000)
        model -= {(time, key) for time, key, _ in due}
    assert queue.head() is None
    assert len(queue) == 0


def test_many_timers_of_one_moment_come_in_pieces_and_in_order(harness: BackendHarness) -> None:
    backend = harness.create()
    queue = backend.timer_queue("user-timers", "processing", VOID)
    keys = list(range(5000))
    random.Random(1).shuffle(keys)
    for key in keys:
        queue.add(7, key, None)
    pieces = []
    while piece := queue.poll(7):
        pieces.append(piece)
        queue.add(8, len(pieces), None)
    assert len(pieces) == 2
    assert [key for piece in pieces for _, key, _ in piece] == list(range(5000))
    assert queue.poll(8) == [(8, 1, None), (8, 2, None)]


def test_one_service_has_one_queue_a_domain(harness: BackendHarness) -> None:
    backend = harness.create()
    event = backend.timer_queue("user-timers", "event", VOID)
    assert backend.timer_queue("user-timers", "event", VOID) is event
    assert backend.timer_queue("user-timers", "processing", VOID) is not event
    with pytest.raises(StateError, match="void namespaces"):
        backend.timer_queue("user-timers", "event", TIME_WINDOW)


def test_timer_store_is_taken_from_code_before_configuration(tmp_path: Path) -> None:
    configuration = Configuration()
    configuration.set_string("state.backend.rocksdb.timer-service.factory", "HEAP")
    store = RocksDBStateStore(configuration, timer_store=TimerStore.ROCKSDB)
    assert store._settings.timer_cache_size == 128
    store.close()
    store = RocksDBStateStore(configuration)
    assert store._settings.timer_cache_size is None
    store.close()


def test_timers_in_memory_are_bounded_and_count_towards_the_budget(tmp_path: Path) -> None:
    budget = {"state.backend.rocksdb.memory.fixed-per-slot": "8mb"}
    harness = BackendHarness(RocksDBStateStore(Configuration.from_dict(budget)), tmp_path)
    backend = harness.create()
    values = state_of(backend, ValueStateDescriptor("value", Types.LONG()))
    for key in range(100):
        with at_key(backend, key):
            values.update(key)
    backend.end_batch()
    queue = backend.timer_queue("user-timers", "event", VOID)
    rng = random.Random(1)
    objects = harness._store.memory.object_bytes
    alone, most = values.cache_entries, 0
    for number in range(60_000):
        queue.add(rng.randrange(1 << 40), number, None)
        if number % 100 == 0:
            backend.end_batch()
            held = sum(
                sum(map(sys.getsizeof, group.timers)) + sys.getsizeof(group.timers)
                for group in queue._groups.values()
            )
            most = max(most, held)
            assert held <= 1.5 * queue.held_bytes
    assert 100_000 < most < 0.75 * objects
    assert values.cache_entries < alone * 0.9
    harness.close()


def test_timers_within_a_share_are_at_least_some() -> None:
    assert timers_within(0, 128) == 16
    assert timers_within(8 << 20, 128) == 227
    assert timers_within(8 << 20, 1) > 20_000
