from __future__ import annotations

import random

import pytest

from millpond.state.heap import timer_queue as module
from millpond.state.heap.timer_queue import HeapTimerQueue


def queue() -> HeapTimerQueue:
    return HeapTimerQueue(lambda key, namespace: f"{key:05}|{namespace}".encode())


def test_timers_come_by_timestamp_then_by_encoded_key():
    timers = queue()
    for timestamp, key in [(5, 2), (3, 9), (5, 1), (-4, 3)]:
        timers.add(timestamp, key, None)
    assert timers.head() == -4
    assert timers.poll(-5) == []
    assert timers.poll(10) == [(-4, 3, None)]
    assert timers.poll(10) == [(3, 9, None)]
    assert timers.poll(10) == [(5, 1, None), (5, 2, None)]
    assert timers.poll(10) == []
    assert timers.head() is None


def test_a_timer_is_there_once():
    timers = queue()
    timers.add(1, 1, None)
    timers.add(1, 1, None)
    timers.add(1, 1, "window")
    assert len(timers) == 2
    assert sorted(timers, key=str) == [(1, 1, "window"), (1, 1, None)]
    timers.remove(1, 1, None)
    timers.remove(1, 1, None)
    timers.remove(7, 1, None)
    assert list(timers) == [(1, 1, "window")]


def test_a_removed_timestamp_is_no_head():
    timers = queue()
    timers.add(1, 1, None)
    timers.add(2, 2, None)
    timers.remove(1, 1, None)
    assert timers.head() == 2
    timers.add(1, 3, None)
    assert timers.poll(2) == [(1, 3, None)]
    timers.remove(2, 2, None)
    timers.add(2, 2, None)
    assert timers.poll(2) == [(2, 2, None)]
    assert timers.poll(2) == []


def test_many_timers_of_one_timestamp_come_in_pieces(monkeypatch):
    monkeypatch.setattr(module, "_PIECE", 10)
    timers = queue()
    keys = list(range(35))
    random.Random(1).shuffle(keys)
    for key in keys:
        timers.add(1, key, None)
    first = timers.poll(1)
    assert [key for _, key, _ in first] == list(range(10))
    timers.add(1, 3, None)
    timers.remove(1, 20, None)
    rest = []
    while piece := timers.poll(1):
        assert len(piece) <= 10
        rest.extend(key for _, key, _ in piece)
    assert rest == [3, *(key for key in range(10, 35) if key != 20)]


@pytest.mark.parametrize("seed", range(10))
def test_against_a_set_with_frozen_tables(seed):
    rng = random.Random(seed)
    timers, model, views = queue(), set(), []

    def content(items):
        return {(t, *pair) for t, bucket in items for pair in bucket}

    for _ in range(500):
        timer = (rng.randrange(6), rng.randrange(4), rng.choice([None, "w"]))
        action = rng.random()
        if action < 0.4:
            timers.add(*timer)
            model.add(timer)
        elif action < 0.6:
            timers.remove(*timer)
            model.discard(timer)
        elif action < 0.75:
            head = min((t for t, _, _ in model), default=None)
            assert timers.head() == head
            due = timers.poll(3)
            expected = (
                {t for t in model if t[0] == head} if head is not None and head <= 3 else set()
            )
            assert set(due) == expected
            model -= expected
        elif action < 0.85 and len(views) < 3:
            views.append((timers.table.freeze(), set(model)))
        elif views and action < 0.95:
            view, expected = views.pop(0)
            assert content(view.items()) == expected
            timers.table.release(view)
        else:
            timers.table.merge()
        assert set(timers) == model
        assert len(timers) == len(model)
