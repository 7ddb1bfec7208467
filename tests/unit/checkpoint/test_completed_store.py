"""Which checkpoints and files are kept, and which are deleted."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from millpond.checkpoint.completed_store import SETTLED_FILE_NAME, CompletedCheckpointStore
from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.retention import CheckpointRetention, JobEnd
from millpond.checkpoint.savepoint_pointer import SavepointPointer
from millpond.checkpoint.shared_registry import RestoreMode
from millpond.checkpoint.storage import JobManagerCheckpointStorage
from millpond.errors import CheckpointStorageError, ConfigurationError, SnapshotCorruptedError
from millpond.filesystem import LocalFileSystem
from millpond.formats.handles import CheckpointMetadata
from millpond.formats.metadata import write_metadata
from millpond.testing.faulty_filesystem import Fault, FaultyFileSystem


def names(job, *parts):
    return sorted(path.name for path in Path(job.root, job.job_id, *parts).iterdir())


def test_older_checkpoints_go_and_shared_files_stay_as_long_as_they_are_used(
    job, read_all, expected_contents
):
    for number in range(1, 8):
        checkpoint = job.checkpoint(number)
        assert names(job) == [f"chk-{number}", "shared", "taskowned"]
        assert len(names(job, "shared")) == min(number, 3)
        assert job.store.latest is checkpoint
        loaded = load_checkpoint(checkpoint.external_path)
        assert read_all(loaded.reader, loaded.metadata) == expected_contents(number, 1)


def test_several_are_retained(make_job, read_all, expected_contents):
    job = make_job(retained=3)
    for number in range(1, 8):
        job.checkpoint(number)
    assert names(job) == ["chk-5", "chk-6", "chk-7", "shared", "taskowned"]
    assert len(names(job, "shared")) == 5
    for checkpoint in job.store.checkpoints:
        loaded = load_checkpoint(checkpoint.external_path)
        expected = expected_contents(checkpoint.checkpoint_id, 1)
        assert read_all(loaded.reader, loaded.metadata) == expected


def test_at_least_one_is_retained(job):
    with pytest.raises(ConfigurationError):
        CompletedCheckpointStore(job.storage, retained=0)


def test_savepoints_stay(job, tmp_path, read_all):
    job.checkpoint(1)
    location = job.storage.savepoint_location(2, str(tmp_path / "savepoints"))
    streams = job.streams(location)
    savepoint = job.store.complete(location, CheckpointMetadata(2, ()), streams.checksums)
    assert job.store.latest.checkpoint_id == 1
    for number in (3, 4, 5):
        job.checkpoint(number)
    job.store.close(JobEnd.FINISHED, CheckpointRetention.NO_EXTERNALIZED_CHECKPOINTS)
    assert load_checkpoint(savepoint.external_path).metadata.checkpoint_id == 2


def test_another_process_takes_over(make_job, read_all, expected_contents):
    job = make_job(retained=2)
    for number in (1, 2, 3):
        job.checkpoint(number)
    unfinished = Path(job.storage.location(4).directory.removeprefix("file://"))
    (unfinished / "part").write_bytes(b"x")
    successor = make_job(retained=2)
    assert successor.store.recover() == ()
    assert [one.checkpoint_id for one in successor.store.checkpoints] == [2, 3]
    assert successor.store.latest.metadata == job.store.latest.metadata
    assert successor.store.next_checkpoint_id == 5
    assert not unfinished.exists()
    successor.shared = job.shared
    for number in (5, 6):
        checkpoint = successor.checkpoint(number)
    assert names(job) == ["chk-5", "chk-6", "shared", "taskowned"]
    # Checkpoint 5 reused the file of 3, and its checksum came from the registry.
    assert len(names(job, "shared")) == 3
    loaded = load_checkpoint(checkpoint.external_path)
    assert len(read_all(loaded.reader, loaded.metadata)) == 5


def test_a_damaged_newest_checkpoint_is_said_loudly_and_the_older_one_used(make_job, caplog):
    job = make_job(retained=2)
    for number in (1, 2, 3):
        job.checkpoint(number)
    damaged = Path(job.root, job.job_id, "chk-3", "_metadata")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    successor = make_job(retained=2)
    with caplog.at_level(logging.WARNING):
        (error,) = successor.store.recover()
    assert isinstance(error, SnapshotCorruptedError)
    assert "Checkpoint 3 cannot be used" in caplog.text
    assert successor.store.latest.checkpoint_id == 2
    assert successor.store.next_checkpoint_id == 4
    assert damaged.exists()


def test_a_checkpoint_in_the_directory_of_another_is_not_taken(make_job):
    job = make_job()
    job.checkpoint(1)
    Path(job.root, job.job_id, "chk-1").rename(Path(job.root, job.job_id, "chk-5"))
    successor = make_job()
    assert len(successor.store.recover()) == 1
    assert successor.store.latest is None


def test_falling_back_when_damage_shows_up_later(make_job):
    job = make_job(retained=2)
    for number in (1, 2):
        job.checkpoint(number)
    assert job.store.reject(job.store.latest).checkpoint_id == 1
    assert names(job) == ["chk-1", "chk-2", "shared", "taskowned"]
    assert job.store.reject(job.store.latest) is None


@pytest.mark.parametrize("mode", RestoreMode)
def test_who_deletes_the_snapshot_that_a_job_started_from(make_job, mode, tmp_path):
    first = make_job()
    for number in (1, 2, 3):
        first.checkpoint(number)
    origin = Path(first.root, first.job_id)
    before = sorted(path for path in origin.rglob("*") if path.is_file())
    job = make_job(job_id="f" * 32)
    restored = job.store.restore(load_checkpoint(first.store.latest.external_path), mode)
    assert job.store.latest is restored
    assert job.store.next_checkpoint_id == 4
    if mode is RestoreMode.CLAIM:
        job.shared = first.shared
    for number in range(4, 8):
        job.checkpoint(number)
    after = sorted(path for path in origin.rglob("*") if path.is_file())
    if mode is RestoreMode.CLAIM:
        assert after == []
    else:
        assert after == before
        assert load_checkpoint(first.store.latest.external_path)


def test_restoring_one_that_was_taken_over_counts_once(make_job):
    job = make_job()
    job.checkpoint(1)
    successor = make_job()
    successor.store.recover()
    successor.store.restore(load_checkpoint(job.store.latest.external_path), RestoreMode.CLAIM)
    assert len(successor.store.checkpoints) == 1


def test_an_aborted_checkpoint_leaves_nothing(job, read_all):
    job.checkpoint(1)
    before = sorted(path for path in Path(job.root).rglob("*"))
    location = job.storage.location(2)
    _, checksums = job.write(location, [1])
    job.store.abort(location, checksums)
    assert sorted(path for path in Path(job.root).rglob("*")) == before
    latest = load_checkpoint(job.store.latest.external_path)
    assert read_all(latest.reader, latest.metadata)


def test_late_acknowledgements_do_not_delete_files_in_use(job, read_all):
    checkpoint = job.checkpoint(1)
    location = job.storage.location(2)
    job.store.abort(location, checkpoint.checksums)
    loaded = load_checkpoint(checkpoint.external_path)
    assert read_all(loaded.reader, loaded.metadata)


_KEPT = {
    CheckpointRetention.NO_EXTERNALIZED_CHECKPOINTS: {"SUSPENDED"},
    CheckpointRetention.DELETE_ON_CANCELLATION: {"SUSPENDED", "FAILED"},
    CheckpointRetention.RETAIN_ON_CANCELLATION: {"SUSPENDED", "FAILED", "CANCELED"},
}


@pytest.mark.parametrize("end", JobEnd)
@pytest.mark.parametrize("retention", CheckpointRetention)
def test_what_stays_when_the_job_ends(make_job, retention, end):
    job = make_job(retained=2)
    for number in (1, 2, 3):
        job.checkpoint(number)
    job.store.close(end, retention)
    if end in _KEPT[retention]:
        assert names(job) == ["chk-2", "chk-3", "shared", "taskowned"]
    else:
        assert list(Path(job.root).iterdir()) == []


def test_foreign_files_keep_the_directory(make_job):
    job = make_job()
    job.checkpoint(1)
    Path(job.root, job.job_id, "taskowned", "log").write_bytes(b"x")
    job.store.close(JobEnd.FINISHED, CheckpointRetention.RETAIN_ON_CANCELLATION)
    assert names(job) == ["taskowned"]


def test_metadata_that_cannot_be_written_leave_the_older_checkpoint(make_job, read_all):
    files = FaultyFileSystem(LocalFileSystem(sync=False))
    job = make_job(resolve=files.resolve)
    job.checkpoint(1)
    for operation in ("create", "write", "publish", "sync_directory"):
        for name in ("_checksums", "_metadata"):
            pattern = "*/chk-2" if operation == "sync_directory" else f"*/chk-2/{name}"
            files.inject(Fault(operation, pattern, error=errno.ENOSPC))
            location = job.storage.location(2)
            metadata, checksums = job.write(location, [1])
            with pytest.raises(CheckpointStorageError, match=r"No space left.*Free space"):
                job.store.complete(location, metadata, checksums)
            files.heal()
            assert names(job) == ["chk-1", "shared", "taskowned"]
            assert len(names(job, "shared")) == 1
    job.checkpoint(2)
    assert names(job) == ["chk-2", "shared", "taskowned"]


def test_what_cannot_be_made_invisible_keeps_its_shared_files(make_job, read_all):
    files = FaultyFileSystem(LocalFileSystem(sync=False))
    job = make_job(resolve=files.resolve)
    job.checkpoint(1)
    files.inject(Fault("delete", "*/chk-1/_metadata", error=errno.EACCES, times=2))
    for number in (4, 5):
        job.checkpoint(number)
    assert "chk-1" in names(job)
    stuck = load_checkpoint(str(Path(job.root, job.job_id, "chk-1")), resolve=files.resolve)
    assert read_all(stuck.source.reader(resolve=files.resolve), stuck.metadata)
    job.checkpoint(8)
    assert names(job) == ["chk-8", "shared", "taskowned"]
    assert len(names(job, "shared")) == 1


def test_data_files_that_cannot_be_deleted_do_not_stop_the_job(make_job, caplog):
    files = FaultyFileSystem(LocalFileSystem(sync=False))
    job = make_job(resolve=files.resolve)
    job.checkpoint(1)
    files.inject(Fault("delete", "*/chk-1/*-*", error=errno.EIO, times=None))
    job.checkpoint(2)
    assert job.store.latest.checkpoint_id == 2
    assert not Path(job.root, job.job_id, "chk-1", "_metadata").exists()
    assert "Cannot delete" in caplog.text


def test_checkpoints_in_memory():
    storage = JobManagerCheckpointStorage("a" * 32)
    store = CompletedCheckpointStore(storage, retained=2)
    assert store.recover() == ()
    for number in (1, 2, 3):
        store.complete(storage.location(number), CheckpointMetadata(number, ()), {})
    assert [one.checkpoint_id for one in store.checkpoints] == [2, 3]
    store.close(JobEnd.FINISHED, CheckpointRetention.NO_EXTERNALIZED_CHECKPOINTS)
    assert store.latest is None


def test_the_pointer_names_the_savepoint_that_ended_the_job(job):
    job.checkpoint(1)
    savepoint = job.checkpoint(2)
    job.store.settle(savepoint)
    path = Path(job.root, job.job_id, SETTLED_FILE_NAME)
    pointer = SavepointPointer(str(path))
    assert pointer.read() == savepoint.external_path
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], b"3" + whole[1:]):
        path.write_bytes(damaged)
        with pytest.raises(SnapshotCorruptedError, match="pointer to the savepoint"):
            pointer.read()
    pointer.clear()
    assert pointer.read() is None


def test_files_that_flink_wrote_may_be_reused_without_a_checksum(make_job, read_all):
    flink = make_job()
    checkpoint = flink.checkpoint(1)
    directory = Path(checkpoint.external_path.removeprefix("file://"))
    (directory / "_checksums").unlink()
    (directory / "_metadata").write_bytes(write_metadata(checkpoint.metadata))
    job = make_job(job_id="f" * 32)
    loaded = load_checkpoint(checkpoint.external_path)
    assert loaded.is_from_flink
    job.store.restore(loaded, RestoreMode.CLAIM)
    job.shared = flink.shared
    reusing = load_checkpoint(job.checkpoint(2).external_path)
    assert not reusing.is_from_flink
    assert [one.crc32c is None for one in reusing.source.checksums.values()].count(True) == 1
    assert len(read_all(reusing.reader, reusing.metadata)) == 5
