"""A new process finds the latest completed checkpoint without being told, whatever breaks."""

from __future__ import annotations

import errno

import pytest

from millpond.common.configuration import Configuration
from millpond.engines.high_availability import HighAvailability, JobIdentity
from millpond.errors import ConfigurationError, SnapshotCorruptedError
from millpond.testing.faulty_filesystem import Fault

BACKENDS = (
    "memory",
    "filesystem",
    "filesystem incremental",
    "rocksdb full",
    "rocksdb incremental",
)
OPTIONS = {
    "high-availability.type": "zookeeper",
    "high-availability.storageDir": "memory:///available",
    "high-availability.cluster-id": "/fleet",
}
JOB_ID = HighAvailability("/fleet", "").job_id
POINTERS = f"/available/fleet/latest/{JOB_ID}"
OTHER = "memory:///elsewhere"


def run(one, backend, **options):
    return one.run(backend, job_id=None, options=OPTIONS, **options)


def pointed(one):
    """Return the number of the latest checkpoint; there is one pointer, or none."""
    names = [entry.name for entry in one.memory.list(POINTERS)]
    assert len(names) <= 1
    return int(names[0].rpartition("-")[2]) if names else None


class Cancel:
    """Cancels the job when so many checkpoints are complete."""

    def __init__(self, complete):
        self.complete = complete

    def __call__(self, step, manager):
        latest = manager.coordinator.store.latest
        if latest is not None and latest.checkpoint_id >= self.complete:
            manager.cancel()


@pytest.mark.option("high-availability.type")
@pytest.mark.option("high-availability.cluster-id")
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_next_process_goes_on_without_an_id(world, calm, finished, backend):
    # The job manager's storage has no directory of its own here.
    root = None if backend == "memory" else "memory:///checkpoints"
    one = world()
    first = run(one, backend, act=Cancel(3), root=root)
    assert first.status.name == "CANCELED"
    assert first.job_id == JOB_ID
    number = pointed(one)
    before = one.answer.total()
    assert 0 < before < calm.total()
    second = finished(run(one.reborn(), backend, root=root))
    assert next(iter(second.checkpoints)).checkpoint_id == number + 1
    assert one.answer == calm
    # Nothing is left of a job that has finished but the mark of it: it does not run again.
    assert pointed(one) is None
    finished(run(one.reborn(), backend, root=root))
    assert one.answer == calm


@pytest.mark.option("high-availability.storageDir")
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_next_process_goes_on_in_another_directory(world, calm, finished, backend):
    one = world()
    run(one, backend, act=Cancel(3))
    run(one.reborn(), backend, root=OTHER, act=Cancel(8))
    assert pointed(one) >= 8
    # Back again, where an older checkpoint may still stand.
    finished(run(one.reborn(), backend))
    assert one.answer == calm


@pytest.mark.parametrize("other", [False, True])
@pytest.mark.parametrize("backend", ["filesystem", "filesystem incremental"])
def test_the_process_dies_before_any_durable_step(world, calm, crash, finished, backend, other):
    one = world()
    finished(run(one, backend, seed=2))
    names = [operation.name for operation in one.files.operations]
    total = len(names) - names[::-1].index("committed")
    for number in range(3, total, 7):
        one = world()
        one.files.crash_at(number)
        with pytest.raises(crash):
            run(one, backend, seed=2)
        finished(run(one.reborn(), backend, seed=2, **({"root": OTHER} if other else {})))
        assert one.answer == calm, number


def test_a_stale_pointer_loses_against_the_listing(world, calm, finished):
    one = world()
    run(one, "filesystem", act=Cancel(3))
    path = f"{POINTERS}/checkpoint-{pointed(one)}"
    stale = one.memory.read_bytes(path)
    run(one.reborn(), "filesystem", act=Cancel(8))
    one.memory.delete(f"{POINTERS}/checkpoint-{pointed(one)}")
    one.memory.store(path, stale)
    finished(run(one.reborn(), "filesystem"))
    assert one.answer == calm


@pytest.mark.parametrize("damage", ["pointer", "checkpoint"])
def test_damage_is_found_and_nothing_is_repeated(world, damage):
    one = world()
    run(one, "filesystem", act=Cancel(3))
    shown = one.answer
    path = f"{POINTERS}/checkpoint-{pointed(one)}"
    if damage == "checkpoint":
        path = f"/checkpoints/{JOB_ID}/chk-{pointed(one)}/_metadata"
    data = bytearray(one.memory.read_bytes(path))
    data[len(data) // 2] ^= 4
    one.memory.store(path, bytes(data))
    with pytest.raises(SnapshotCorruptedError) as caught:
        run(one.reborn(), "filesystem", root=OTHER)
    assert path.rpartition("/")[2] in str(caught.value)
    assert one.answer == shown


def test_a_damaged_pointer_matters_only_where_the_listing_does_not_help(world, calm, finished):
    one = world()
    run(one, "filesystem", act=Cancel(3))
    one.memory.store(f"{POINTERS}/checkpoint-{pointed(one)}", b"damaged")
    finished(run(one.reborn(), "filesystem"))
    assert one.answer == calm


def test_a_pointer_to_what_is_gone_is_stale(world, finished, caplog):
    one = world()
    run(one, "filesystem", act=Cancel(3))
    number = pointed(one)
    one.memory.delete(f"/checkpoints/{JOB_ID}/chk-{number}/_metadata")
    outcome = finished(run(one.reborn(), "filesystem", root=OTHER))
    assert f"Checkpoint {number} was the latest, and is gone" in caplog.text
    assert next(iter(outcome.checkpoints)).checkpoint_id == number + 1


def test_of_two_processes_that_run_one_job_one_fails(world):
    one = world()
    one.memory.make_directories(POINTERS)
    one.memory.store(f"{POINTERS}/checkpoint-2", b"another's")

    class Late:
        """The other process completes its checkpoint 4 while this one is at work."""

        def __call__(self, step, manager):
            one.memory.store(f"{POINTERS}/checkpoint-4", b"another's")

    with pytest.raises(SnapshotCorruptedError):
        run(one, "filesystem")
    one.memory.delete(f"{POINTERS}/checkpoint-2")
    outcome = run(one.reborn(), "filesystem", act=Late())
    assert any("Another process runs this job" in (c.failure or "") for c in outcome.checkpoints)


def test_a_pointer_that_cannot_be_written_fails_the_checkpoint(world, calm, finished):
    one = world()
    # The first passes, and is tried again; the second does not.
    one.files.inject(Fault("publish", "*/latest/*"))
    one.files.inject(Fault("publish", "*/latest/*", skip=2, error=errno.ENOSPC))
    outcome = finished(run(one, "filesystem"))
    assert outcome.restarts == 1
    assert one.answer == calm


def configuration(**options):
    made = Configuration()
    for key, value in options.items():
        made.set_string(f"high-availability.{key.replace('_', '-')}", value)
    return made


@pytest.mark.parametrize(
    ("cluster_id", "job_id"),
    [
        # new JobID("...".hashCode(), 0) of Java.
        ("/default", "000000006e6b13320000000000000000"),
        ("my-cluster", "ffffffff8e2d96d90000000000000000"),
        ("flink-é", "ffffffffd2023bbc0000000000000000"),
    ],
)
def test_the_id_is_that_of_flinks_application_mode(cluster_id, job_id):
    made = configuration(type="kubernetes", storageDir="/data", cluster_id=cluster_id)
    assert JobIdentity.of(made, None, resume=False) == JobIdentity(job_id, True, True)
    named = JobIdentity.of(made, "ab" * 16, resume=False)
    assert named == JobIdentity("ab" * 16, False, True)


def test_without_high_availability_every_job_has_its_own_id():
    for made in (configuration(), configuration(type="NONE"), configuration(type="standalone")):
        first, second = (JobIdentity.of(made, None, resume=False) for _ in range(2))
        assert first.job_id != second.job_id
        assert not first.is_named
        assert not first.resume


def test_high_availability_needs_a_directory():
    with pytest.raises(ConfigurationError, match="needs a storage directory"):
        HighAvailability.of(configuration(type="zookeeper"))
    with pytest.raises(ConfigurationError, match="root directory"):
        HighAvailability.of(configuration(type="zookeeper", storageDir="file:///"))
    old = Configuration()
    old.set_string("high-availability", "zookeeper")
    old.set_string("high-availability.storageDir", "file:///data/")
    assert HighAvailability.of(old).directory == "file:///data/default"
