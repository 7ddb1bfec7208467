"""BATCH jobs that die while their sinks commit: who starts them again commits the rest, once."""

from __future__ import annotations

import pytest

from millpond.testing.ledger_sink import Ledger

BATCH = {"execution.runtime-mode": "BATCH", "execution.checkpointing.interval": None}


def test_a_job_with_a_name_goes_on_with_its_commits(world, crash, finished):
    calm = world()
    finished(calm.run("filesystem", parallelism=2, options=BATCH))
    names = [operation.name for operation in calm.files.operations]
    assert calm.answer.total() > 300
    last = len(names) - names[::-1].index("committed")
    for number in range(last):
        one = world()
        one.files.crash_at(number)
        with pytest.raises(crash):
            one.run("filesystem", parallelism=2, options=BATCH)
        finished(one.reborn().run("filesystem", parallelism=2, options=BATCH, resume=True))
        assert one.answer == calm.answer, (number, names[number])


def test_checkpoints_of_a_streaming_job_are_left_alone(world, finished):
    def cancel(step, manager):
        latest = manager.coordinator.store.latest
        if latest is not None and latest.checkpoint_id >= 3:
            manager.cancel()

    one, calm = world(), world()
    finished(calm.run("filesystem", options=BATCH))
    assert one.run("filesystem", act=cancel).status.name == "CANCELED"
    one.ledger = Ledger(one.step)
    before = sorted(entry.path for entry in one.memory.list(f"/checkpoints/{'5ad0' * 8}"))
    finished(one.reborn().run("filesystem", options=BATCH, resume=True))
    assert one.answer == calm.answer
    assert sorted(entry.path for entry in one.memory.list(f"/checkpoints/{'5ad0' * 8}")) == before
