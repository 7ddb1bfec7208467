from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from millpond.common.configuration import Configuration
from millpond.configuration.options.rocksdb import TimerStore
from millpond.errors import StateError
from millpond.state.contract.namespace import TIME_WINDOW, VOID
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness

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
        if action < 0.55:
            queue.add(timestamp, key, None)
            model.add((timestamp, key))
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
