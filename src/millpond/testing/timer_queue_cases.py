"""Conformance cases of timer queues, named after Flink's InternalPriorityQueueTestBase."""

# ruff: noqa: S311 - these are tests, for pytest; the dice are no secret

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from millpond.datastream.window import TimeWindow
from millpond.state.contract.namespace import TIME_WINDOW, VOID, VOID_NAMESPACE

if TYPE_CHECKING:
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.contract.timer_queue import Timer, TimerQueue
    from millpond.testing.backend_harness import BackendHarness

__all__ = ("TimerQueueCases",)

_NEVER = 1 << 62


def _queue(backend: KeyedStateBackend, domain: str = "event") -> TimerQueue:
    return backend.timer_queue("user-timers", domain, VOID)


def _drain(queue: TimerQueue, up_to: int = _NEVER) -> list[Timer]:
    drained: list[Timer] = []
    while timers := queue.poll(up_to):
        assert len({timestamp for timestamp, _, _ in timers}) == 1
        drained.extend(timers)
    return drained


class TimerQueueCases:
    """Order, identity, snapshots."""

    def test_peek_poll_order(self, harness: BackendHarness) -> None:
        """Timers come by ascending timestamp, negative ones first."""
        queue = _queue(harness.create())
        dice = random.Random(1)
        timers = {(dice.randrange(-500, 500), dice.randrange(50)) for _ in range(1000)}
        for timestamp, key in timers:
            queue.add(timestamp, key, VOID_NAMESPACE)
        assert len(queue) == len(timers)
        assert queue.head() == min(timestamp for timestamp, _ in timers)
        drained = _drain(queue)
        assert [timer[0] for timer in drained] == sorted(timestamp for timestamp, _ in timers)
        assert {timer[:2] for timer in drained} == timers
        assert queue.head() is None
        assert len(queue) == 0

    def test_poll_up_to(self, harness: BackendHarness) -> None:
        """Only timers that are due come; those added meanwhile are seen."""
        queue = _queue(harness.create())
        for timestamp in (10, 20, 30):
            queue.add(timestamp, 1, VOID_NAMESPACE)
        assert queue.poll(9) == []
        assert queue.poll(25) == [(10, 1, None)]
        queue.add(15, 2, VOID_NAMESPACE)
        assert _drain(queue, 25) == [(15, 2, None), (20, 1, None)]
        assert queue.head() == 30

    def test_add_is_idempotent(self, harness: BackendHarness) -> None:
        """The same timestamp, key and namespace are one timer."""
        queue = harness.create().timer_queue("user-timers", "event", TIME_WINDOW)
        for window in (TimeWindow(0, 1), TimeWindow(0, 2)):
            for _ in range(3):
                queue.add(5, 1, window)
        assert len(queue) == 2
        assert set(queue.poll(5)) == {(5, 1, TimeWindow(0, 1)), (5, 1, TimeWindow(0, 2))}

    def test_add_all(self, harness: BackendHarness) -> None:
        """Many timers of one time are those that were added one by one, after a restore too."""
        backend = harness.create()
        window = TimeWindow(0, 8)
        queue = backend.timer_queue("user-timers", "event", TIME_WINDOW)
        for key in (3, 300):
            queue.add(7, key, window)
        queue.add_all(7, range(200), window)
        queue.add_all(3, iter([5, 4]), window)
        queue.add_all(7, [], TimeWindow(0, 1))
        queue.remove(7, 11, window)
        queue = harness.restored(backend).timer_queue("user-timers", "event", TIME_WINDOW)
        assert sorted(key for _, key, _ in queue.poll(3)) == [4, 5]
        drained = _drain(queue)
        assert {(time, namespace) for time, _, namespace in drained} == {(7, window)}
        assert sorted(key for _, key, _ in drained) == [*range(11), *range(12, 200), 300]

    def test_remove(self, harness: BackendHarness) -> None:
        """A removed timer does not come; removing what is not there changes nothing."""
        queue = _queue(harness.create())
        for key in range(5):
            queue.add(key, key, VOID_NAMESPACE)
        queue.remove(0, 0, VOID_NAMESPACE)
        queue.remove(3, 3, VOID_NAMESPACE)
        queue.remove(3, 4, VOID_NAMESPACE)
        queue.remove(99, 1, VOID_NAMESPACE)
        assert queue.head() == 1
        assert [timer[0] for timer in _drain(queue)] == [1, 2, 4]

    def test_insert_mixed_with_remove(self, harness: BackendHarness) -> None:
        """A random mix of adding, removing and polling keeps order and content."""
        queue = _queue(harness.create())
        dice = random.Random(2)
        model: set[tuple[int, int]] = set()
        for _ in range(2000):
            timer = (dice.randrange(60), dice.randrange(8))
            action = dice.random()
            if action < 0.5:
                queue.add(*timer, VOID_NAMESPACE)
                model.add(timer)
            elif action < 0.75:
                queue.remove(*timer, VOID_NAMESPACE)
                model.discard(timer)
            else:
                head = min((timestamp for timestamp, _ in model), default=None)
                assert queue.head() == head
                due = {each for each in model if each[0] == head} if head is not None else set()
                assert {each[:2] for each in queue.poll(_NEVER)} == due
                model -= due
        assert {each[:2] for each in queue} == model

    def test_ties_come_in_a_stable_order(self, harness: BackendHarness) -> None:
        """Timers of one timestamp come alike however they were added, also after a restore."""
        keys = list(range(100))
        orders = []
        for seed in range(3):
            backend = harness.create()
            random.Random(seed).shuffle(keys)
            for key in keys:
                _queue(backend).add(1, key, VOID_NAMESPACE)
            if seed == 2:
                backend = harness.restored(backend)
            orders.append(_drain(_queue(backend)))
        assert orders[0] == orders[1] == orders[2]

    def test_poll_until_empty(self, harness: BackendHarness) -> None:
        """Polling ends with an empty queue that may be used again."""
        queue = _queue(harness.create())
        for round_number in range(3):
            for key in range(200):
                queue.add(key % 5, key + 1000 * round_number, VOID_NAMESPACE)
            assert len(_drain(queue)) == 200
            assert queue.poll(_NEVER) == []
            assert queue.head() is None

    def test_is_empty(self, harness: BackendHarness) -> None:
        """A queue is empty before the first and after the last timer."""
        queue = _queue(harness.create())
        assert queue.head() is None
        queue.add(1, 1, VOID_NAMESPACE)
        assert queue.head() == 1
        queue.remove(1, 1, VOID_NAMESPACE)
        assert queue.head() is None
        assert len(queue) == 0

    def test_bulk_add(self, harness: BackendHarness) -> None:
        """Many timers of one timestamp come each once, in pieces or together."""
        queue = _queue(harness.create())
        for key in range(10_000):
            queue.add(7, key, VOID_NAMESPACE)
        assert sorted(timer[1] for timer in _drain(queue)) == list(range(10_000))

    def test_add_and_remove_change_the_head(self, harness: BackendHarness) -> None:
        """The head is right after each of many changes at the front."""
        queue = _queue(harness.create())
        for timestamp in range(300, 0, -1):
            queue.add(timestamp, timestamp % 17, VOID_NAMESPACE)
            assert queue.head() == timestamp
        for timestamp in range(1, 300):
            queue.remove(timestamp, timestamp % 17, VOID_NAMESPACE)
            assert queue.head() == timestamp + 1

    def test_iterator(self, harness: BackendHarness) -> None:
        """Iterating gives every timer once, in any order, and takes none away."""
        queue = _queue(harness.create())
        for number in range(300):
            queue.add(number % 10, number, VOID_NAMESPACE)
        assert sorted(queue) == sorted((n % 10, n, None) for n in range(300))
        assert len(queue) == 300

    def test_domains_and_services_are_apart(self, harness: BackendHarness) -> None:
        """Event and processing timers, and services, have queues of their own."""
        backend = harness.create()
        _queue(backend).add(1, 1, VOID_NAMESPACE)
        _queue(backend, "processing").add(2, 1, VOID_NAMESPACE)
        backend.timer_queue("other", "event", VOID).add(3, 1, VOID_NAMESPACE)
        backend = harness.restored(backend)
        assert list(_queue(backend)) == [(1, 1, None)]
        assert list(_queue(backend, "processing")) == [(2, 1, None)]
        assert list(backend.timer_queue("other", "event", VOID)) == [(3, 1, None)]

    def test_key_grouped_internal_priority_queue(self, harness: BackendHarness) -> None:
        """A snapshot holds the timers of its moment; they come back in order."""
        backend = harness.create()
        queue = _queue(backend)
        timers = [((number * 37) % 101 - 50, number) for number in range(500)]
        for timestamp, key in timers:
            queue.add(timestamp, key, VOID_NAMESPACE)
        snapshot = harness.start_snapshot(backend)
        polled: list[Any] = _drain(queue, 0)
        for timestamp, key in timers:
            if timestamp > 25:
                queue.remove(timestamp, key, VOID_NAMESPACE)
        queue.add(1000, 1, VOID_NAMESPACE)
        backend.end_batch()
        handle = snapshot.write()
        snapshot.release()
        backend.end_batch()
        assert sorted(timer[0] for timer in polled) == sorted(t for t, _ in timers if t <= 0)
        assert len(queue) == sum(0 < timestamp <= 25 for timestamp, _ in timers) + 1
        restored = _queue(harness.create([handle]))
        assert sorted(restored) == sorted((t, key, None) for t, key in timers)
        assert [timer[0] for timer in _drain(restored)] == sorted(t for t, _ in timers)

    def test_key_grouped_internal_priority_queue_add_all(self, harness: BackendHarness) -> None:
        """Many timers in any order, some of them twice, come out in order and once."""
        queue = _queue(harness.create())
        timers = [((number * 7919) % 997, number % 50) for number in range(1000)]
        for timestamp, key in timers + timers[::-1]:
            queue.add(timestamp, key, VOID_NAMESPACE)
        assert len(queue) == len(set(timers))
        drained = _drain(queue)
        assert [timer[0] for timer in drained] == sorted(timestamp for timestamp, _ in set(timers))
        assert {(timestamp, key) for timestamp, key, _ in drained} == set(timers)
