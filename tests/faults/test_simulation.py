"""Calm and troubled runs of the reference job give the same answer, each exactly once."""

from __future__ import annotations

import errno

import pytest

from millpond.checkpoint.listing import list_checkpoints
from millpond.testing.faulty_filesystem import Fault

BACKENDS = (
    "memory",
    "filesystem",
    "filesystem incremental",
    "rocksdb full",
    "rocksdb incremental",
)


@pytest.mark.parametrize("parallelism", [1, 3])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_calm_run_gives_the_answer(world, calm, finished, backend, parallelism):
    one = world()
    outcome = finished(one.run(backend, parallelism=parallelism, seed=parallelism))
    assert one.answer == calm
    assert sum(each.status == "COMPLETED" for each in outcome.checkpoints) > 2


PLACES = [
    {"element": 77},
    {"element": 359},
    {"timer": 15},
    {"window": 9},
    {"snapshot": 2},
    {"element": 120, "timer": 60, "window": 30, "snapshot": 4},
]


@pytest.mark.parametrize(
    ("backend", "places"),
    [(backend, places) for backend in ("filesystem", "rocksdb incremental") for places in PLACES]
    + [("memory", PLACES[-1]), ("rocksdb full", PLACES[-1])],
    ids=str,
)
def test_user_code_raises_and_the_job_recovers(world, calm, finished, trouble, backend, places):
    trouble.arm(**places)
    one = world()
    seed = None if len(places) > 1 else sum(places.values())
    outcome = finished(one.run(backend, seed=seed, parallelism=2))
    assert trouble.raised == outcome.restarts == len(places)
    assert one.answer == calm


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("operation", ["create", "write", "publish", "make_directories"])
def test_storage_fails_and_the_job_goes_on(world, calm, finished, backend, operation):
    one = world()
    # A full disk: not tried again.
    for skip in (3, 8, 20):
        one.files.inject(Fault(operation, skip=skip, error=errno.ENOSPC))
    options = {"execution.checkpointing.tolerable-failed-checkpoints": "9"}
    outcome = finished(one.run(backend, seed=5, options=options))
    assert one.answer == calm
    assert outcome.restarts == 0
    assert any(each.status == "FAILED" for each in outcome.checkpoints)


@pytest.mark.parametrize("backend", BACKENDS)
def test_storage_failures_beyond_what_is_tolerated_restart_the_job(world, calm, finished, backend):
    one = world()
    one.files.inject(Fault("publish", "*_metadata*", skip=2, error=errno.ENOSPC))
    outcome = finished(one.run(backend, seed=5))
    assert one.answer == calm
    assert outcome.restarts == 1


@pytest.mark.parametrize("backend", ["filesystem", "filesystem incremental", "rocksdb incremental"])
def test_several_checkpoints_are_under_way_at_once(world, calm, finished, trouble, backend):
    options = {
        "execution.checkpointing.max-concurrent-checkpoints": "3",
        "execution.checkpointing.tolerable-failed-checkpoints": "100",
    }
    failures = []
    for seed in range(3):
        one = world()
        trouble.arm(element=130 + 20 * seed)
        outcome = finished(one.run(backend, seed=seed, options=options))
        assert trouble.raised == 1
        assert one.answer == calm, seed
        failures += [each.failure for each in outcome.checkpoints if each.failure]
    assert any("newer" in failure for failure in failures)


def crash_and_resume(world, crash, finished, backend, number, luck=None, **options):
    """Die before operation `number`, lose what was not synced, and start again; return the world.

    None when the run ended before.
    """
    one = world()
    one.files.crash_at(number)
    try:
        one.run(backend, **options)
    except crash:
        pass
    else:
        return None
    if luck is not None:
        one.files.power_loss(luck)
    finished(one.reborn().run(backend, resume=True, **options))
    return one


def operations(world, finished, backend, **options):
    one = world()
    finished(one.run(backend, **options))
    names = [operation.name for operation in one.files.operations]
    # Nothing is committed any more after the last commit: a crash there needs no recovery, and
    # the checkpoints may be gone already.
    return len(names) - names[::-1].index("committed")


def check_crash_points(world, calm, crash, finished, backend, numbers, **options):
    for number in numbers:
        one = crash_and_resume(world, crash, finished, backend, number, **options)
        assert one is not None, number
        assert one.answer == calm, number


# One point in so many in each run; every backend starts elsewhere.
SAMPLE = {
    "memory": 4,
    "filesystem": 11,
    "filesystem incremental": 17,
    "rocksdb full": 41,
    "rocksdb incremental": 59,
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_process_dies_before_any_durable_step(world, calm, crash, finished, backend):
    total = operations(world, finished, backend, seed=2)
    assert total > 60
    numbers = range(SAMPLE[backend] % 5, total, SAMPLE[backend])
    check_crash_points(world, calm, crash, finished, backend, numbers, seed=2)


class Stop:
    """Stops the job with a savepoint, half way."""

    def __call__(self, step, manager):
        if step == 10:
            manager.stop(None, drain=False)


def test_a_job_that_dies_while_it_stops_goes_on_from_its_savepoint(world, calm, crash, finished):
    backend = "filesystem"
    # From the savepoint's metadata on, results are committed that no older checkpoint covers.
    one = world()
    finished(one.run(backend, seed=2, act=Stop()))
    operations = one.files.operations
    complete = [
        each.number
        for each in operations
        if each.name == "publish" and each.path.startswith("/savepoints/")
    ]
    assert len(operations) - complete[-1] > 15
    for number in range(complete[-1], len(operations)):
        one = world()
        one.files.crash_at(number)
        with pytest.raises(crash):
            one.run(backend, seed=2, act=Stop())
        clean = one.reborn().files.resolve
        found = list_checkpoints("memory:///savepoints", resolve=clean)
        path = found[0].path if found else None
        finished(one.run(backend, seed=2, resume=True, savepoint=path))
        assert one.answer == calm, number


@pytest.mark.nightly
@pytest.mark.parametrize("parallelism", [1, 3])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_process_dies_before_every_durable_step(
    world, calm, crash, finished, backend, parallelism
):
    options = {"seed": parallelism, "parallelism": parallelism}
    total = operations(world, finished, backend, **options)
    check_crash_points(world, calm, crash, finished, backend, range(total), **options)
