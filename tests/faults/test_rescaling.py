"""The reference job goes on with another parallelism or backend, and still gives its answer."""

from __future__ import annotations

import pytest

from millpond.state.contract.snapshot import SnapshotKind, SnapshotOptions


class Stop:
    """Stops the job with a savepoint after some steps."""

    def __init__(self, after, *, drain=False):
        self.after, self.drain, self.path = after, drain, None

    def __call__(self, step, manager):
        if step == self.after:
            self.path = manager.stop(None, drain=self.drain)


def run_in_legs(one, finished, legs, **options):
    """Run legs of (backend, parallelism), each from the savepoint of the one before."""
    path = None
    for backend, parallelism in legs[:-1]:
        stop = Stop(10)
        finished(one.run(backend, parallelism=parallelism, savepoint=path, act=stop, **options))
        path = stop.path.result(0)
    backend, parallelism = legs[-1]
    finished(one.run(backend, parallelism=parallelism, savepoint=path, **options))


@pytest.mark.parametrize("backend", ["memory", "filesystem", "rocksdb full", "rocksdb incremental"])
@pytest.mark.parametrize("seed", [None, 4])
def test_the_parallelism_changes_by_savepoints(world, calm, finished, backend, seed):
    one = world()
    run_in_legs(one, finished, [(backend, 1), (backend, 3), (backend, 2)], seed=seed)
    assert one.answer == calm


@pytest.mark.parametrize("parallelism", [1, 2])
def test_the_backend_changes_by_savepoints(world, calm, finished, parallelism):
    one = world()
    legs = ["filesystem", "rocksdb incremental", "memory", "rocksdb full"]
    run_in_legs(one, finished, [(backend, parallelism) for backend in legs], seed=parallelism)
    assert one.answer == calm


@pytest.mark.parametrize("backend", ["filesystem", "rocksdb full", "rocksdb incremental"])
@pytest.mark.parametrize("number", [60, 95])
def test_the_parallelism_changes_after_a_crash(world, calm, crash, finished, backend, number):
    one = world()
    one.files.crash_at(number)
    with pytest.raises(crash):
        one.run(backend, parallelism=1, seed=1)
    one.reborn().files.crash_at(50)
    with pytest.raises(crash):
        one.run(backend, parallelism=3, seed=1, resume=True)
    finished(one.reborn().run(backend, parallelism=2, seed=1, resume=True))
    assert one.answer == calm


def test_a_savepoint_in_passing_changes_nothing_and_stays(world, calm, finished):
    one = world()
    taken = []

    def act(step, manager):
        if step in {5, 9, 14}:
            options = SnapshotOptions(kind=SnapshotKind.SAVEPOINT)
            taken.append(manager.savepoint(None, options))

    finished(one.run("rocksdb incremental", seed=3, act=act))
    assert one.answer == calm
    paths = [each.result(0).location.directory for each in taken]
    assert len(set(paths)) == 3
    ids = [each.result(0).checkpoint_id for each in taken]
    assert ids == sorted(ids)
    for path in paths:
        # A fork of the job: what it commits again is the same transactions.
        finished(one.run("filesystem", seed=3, savepoint=path, parallelism=2))
    assert set(one.answer) == set(calm)


@pytest.mark.parametrize("backend", ["filesystem", "rocksdb incremental"])
def test_a_full_checkpoint_on_request(world, calm, finished, backend):
    one = world()
    taken = []

    def act(step, manager):
        if step in {5, 9, 14}:
            taken.append(manager.savepoint(None, SnapshotOptions(incremental=False)))

    finished(one.run(backend, seed=3, act=act))
    assert one.answer == calm
    assert [each.result(0).is_savepoint for each in taken] == [False] * 3


def test_a_drained_job_has_fired_every_timer_and_window(world, calm, finished):
    one = world()
    stop = Stop(12, drain=True)
    outcome = finished(one.run("filesystem", act=stop))
    assert outcome.savepoint_path == stop.path.result(0)
    partial = one.answer
    assert any(line.startswith("window") for line in partial)
    assert any(line.startswith("timer") for line in partial)
    records = sum(line.startswith("record") for line in partial)
    assert 0 < records < 360
    rest = one.run("filesystem", savepoint=stop.path.result(0))
    finished(rest)
    assert sum(line.startswith("record") for line in one.answer.elements()) == 360
