"""Checkpoints, savepoints and cancellations that somebody asks for: everything exactly once."""

from __future__ import annotations

import errno

import pytest

from millpond.checkpoint.garbage import find_garbage
from millpond.clock import SystemClock
from millpond.errors import CheckpointError
from millpond.state.contract.snapshot import SnapshotKind, SnapshotOptions
from millpond.testing.faulty_filesystem import Fault

BACKENDS = (
    "memory",
    "filesystem",
    "filesystem incremental",
    "rocksdb full",
    "rocksdb incremental",
)
ON_REQUEST = {"execution.checkpointing.interval": None}


class Ask:
    """Asks a job manager for something at some steps, and keeps the answers."""

    def __init__(self, steps, ask):
        self.steps, self.ask = steps, ask
        self.answers = []

    def __call__(self, step, manager):
        if step in self.steps:
            self.answers.append(self.ask(manager))

    @property
    def errors(self):
        return [answer.exception(0) for answer in self.answers]


def checkpoint(manager):
    return manager.checkpoint()


def savepoint(manager):
    return manager.savepoint(None, SnapshotOptions(kind=SnapshotKind.SAVEPOINT))


def cancel(manager):
    return manager.cancel_with_savepoint(None)


@pytest.mark.parametrize("backend", BACKENDS)
def test_checkpoints_need_no_interval(world, calm, finished, trouble, backend):
    trouble.arm(element=200)
    one, ask = world(), Ask({6, 12, 18}, checkpoint)
    outcome = finished(one.run(backend, options=ON_REQUEST, act=ask))
    assert outcome.restarts == 1
    assert ask.errors == [None] * len(ask.answers)
    assert [each.status for each in outcome.checkpoints] == ["COMPLETED"] * len(ask.answers)
    assert one.answer == calm


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_held_for_a_savepoint_come_with_the_end_of_a_job_without_checkpoints(
    world, calm, finished, backend
):
    one, ask = world(), Ask({5, 11}, savepoint)
    finished(one.run(backend, options=ON_REQUEST, act=ask))
    assert ask.errors == [None, None]
    assert one.answer == calm


@pytest.mark.parametrize("backend", ["filesystem", "filesystem incremental", "rocksdb incremental"])
@pytest.mark.parametrize("step", [6, 9, 14])
def test_a_job_goes_on_from_the_savepoint_it_was_cancelled_with(
    world, calm, finished, backend, step
):
    options = {"execution.checkpointing.max-concurrent-checkpoints": "3"}
    for seed in range(4):
        one, ask = world(), Ask({step}, cancel)
        first = one.run(backend, seed=seed, options=options, act=ask)
        assert first.status.name == "CANCELED"
        path = ask.answers[0].result(0)
        assert first.savepoint_path == path
        assert path.startswith("memory:///savepoints/savepoint-")
        # No checkpoint after it: what sinks have committed is in the savepoint.
        ends = [each.end_ms for each in first.checkpoints if each.status == "COMPLETED"]
        assert first.checkpoints[len(first.checkpoints) - 1].external_path == path
        assert ends == sorted(ends)
        finished(one.reborn().run(backend, seed=seed, savepoint=path))
        assert one.answer == calm, seed


@pytest.mark.parametrize("step", [6, 30])
def test_a_job_goes_on_when_its_cancelling_savepoint_fails(world, calm, finished, step):
    one, ask = world(), Ask({step}, cancel)
    one.files.inject(Fault("publish", "/savepoints/*", error=errno.ENOSPC))
    outcome = finished(one.run("filesystem", seed=1, act=ask))
    assert isinstance(ask.errors[0], CheckpointError)
    assert outcome.checkpoints[len(outcome.checkpoints) - 1].status == "COMPLETED"
    assert one.answer == calm
    resolve = one.reborn().files.resolve
    assert not find_garbage("memory:///checkpoints", SystemClock(), resolve=resolve).files


def test_nothing_else_is_taken_while_a_job_is_cancelled_with_a_savepoint(world):
    one = world()
    ask = Ask({6}, lambda manager: (manager.cancel_with_savepoint(None), manager.checkpoint()))
    one.run("filesystem", seed=1, act=ask)
    path, refused = ask.answers[0]
    assert path.result(0)
    with pytest.raises(CheckpointError, match="cancelled with a savepoint"):
        refused.result(0)
    again = Ask({6}, lambda manager: (manager.cancel_with_savepoint(None), cancel(manager)))
    world().run("filesystem", seed=1, act=again)
    with pytest.raises(CheckpointError, match="cannot be stopped"):
        again.answers[0][1].result(0)
