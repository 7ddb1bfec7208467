from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from millpond.clock import ManualClock
from millpond.runtime.message import TriggerCheckpoint
from millpond.runtime.snapshot_preparation import SnapshotPreparation
from millpond.state.contract.snapshot import SnapshotOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

NOWHERE: Any = None


class FakeTask:
    """Prepares `pieces` of some ms, less each round; says that it is behind at the first ones."""

    def __init__(self, clock: ManualClock, pieces: int, *, ms: int = 2, behind: int = 0) -> None:
        self.ended = False
        self.preparation_ms = 0.0
        self.asked: list[int] = []
        self.closed = 0
        self._clock = clock
        self._pieces = pieces
        self._ms = ms
        self._behind = behind

    def prepare_snapshot(self, message: TriggerCheckpoint) -> Iterator[bool]:
        self.asked.append(message.checkpoint_id)
        pieces, self._pieces = self._pieces, self._pieces // 8
        try:
            for number in range(pieces):
                self._clock.advance(self._ms)
                yield number < self._behind
        finally:
            self.closed += 1


def _trigger(checkpoint_id: int) -> TriggerCheckpoint:
    return TriggerCheckpoint(checkpoint_id, 0, SnapshotOptions(), NOWHERE)


def _make(timeout_ms: int = 600_000) -> tuple[ManualClock, SnapshotPreparation]:
    clock = ManualClock()
    return clock, SnapshotPreparation(clock, timeout_ms)


def test_a_barrier_is_due_at_once_where_nothing_is_prepared() -> None:
    clock, preparation = _make()
    preparation.add(_trigger(1))
    assert preparation.first == _trigger(1)
    assert preparation.work([FakeTask(clock, 0)])
    assert preparation.work([])
    preparation.remove(1)
    assert preparation.first is None


def test_a_slice_is_as_long_as_what_was_done_in_between() -> None:
    clock, preparation = _make()
    preparation.add(_trigger(1))
    task = FakeTask(clock, 1000)
    for between, expected in ((0, 4), (10, 10), (15, 16), (1000, 20), (1, 4)):
        clock.advance(between)
        before = clock.now_ms()
        assert not preparation.work([task])
        assert clock.now_ms() - before == expected
    assert task.preparation_ms == pytest.approx(54)


def test_who_is_behind_gets_more_time() -> None:
    clock, preparation = _make()
    preparation.add(_trigger(1))
    task = FakeTask(clock, 1000, behind=100)
    for expected in (80, 80, 42, 4):
        before = clock.now_ms()
        assert not preparation.work([task])
        assert clock.now_ms() - before == expected


def test_tasks_take_turns_and_a_round_follows_while_there_is_work() -> None:
    clock, preparation = _make()
    preparation.add(_trigger(1))
    tasks = [FakeTask(clock, 8), FakeTask(clock, 1), FakeTask(clock, 0)]
    while not preparation.work(tasks):
        clock.advance(1)
    assert [task.asked for task in tasks] == [[1, 1, 1]] * 3
    assert [task.preparation_ms for task in tasks] == pytest.approx([18, 2, 0])


def test_the_barrier_is_due_after_a_quarter_of_the_timeout() -> None:
    for timeout_ms, longest_ms in ((400, 100), (600_000, 10_000)):
        clock, preparation = _make(timeout_ms)
        preparation.add(_trigger(1))
        task = FakeTask(clock, 1_000_000)
        while not preparation.work([task]):
            clock.advance(5)
        assert longest_ms <= clock.now_ms() <= longest_ms + 30
        preparation.remove(1)
        assert task.closed == 1


def test_checkpoints_keep_their_order_and_one_can_be_given_up() -> None:
    clock, preparation = _make()
    for checkpoint_id in (1, 2, 3):
        preparation.add(_trigger(checkpoint_id))
    task = FakeTask(clock, 1000)
    assert not preparation.work([task])
    preparation.remove(2)
    assert preparation.first == _trigger(1)
    preparation.remove(7)
    preparation.remove(1)
    # Its iterator is closed, and the next one begins anew.
    assert task.closed == 1
    assert preparation.first == _trigger(3)
    assert not preparation.work([task])
    assert task.asked == [1, 3]


def test_nobody_waits_for_a_job_that_has_ended() -> None:
    clock, preparation = _make()
    preparation.add(_trigger(1))
    tasks = [FakeTask(clock, 1000), FakeTask(clock, 1000)]
    for task in tasks:
        task.ended = True
    assert preparation.work(tasks)
    assert [task.asked for task in tasks] == [[], []]
