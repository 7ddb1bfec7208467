from __future__ import annotations

import os
from pathlib import Path

import pytest

from millpond.checkpoint.garbage import delete_garbage, find_garbage
from millpond.checkpoint.verification import verify_checkpoint
from millpond.clock import ManualClock, SystemClock
from millpond.errors import CheckpointNotFoundError, ConfigurationError
from millpond.formats.metadata import write_metadata


@pytest.fixture
def completed(job):
    for number in (1, 2, 3):
        last = job.checkpoint(number)
    return last


def test_a_good_checkpoint(completed):
    steps = []
    report = verify_checkpoint(
        completed.external_path, progress=lambda done, total: steps.append((done, total))
    )
    assert report.errors == ()
    assert (report.checkpoint_id, report.files, report.has_checksums) == (3, 5, True)
    assert report.size_bytes == 50 + 300 + 120 + 3 * 200
    assert len(steps) == 5
    assert steps[-1] == (report.size_bytes, report.size_bytes)


def test_everything_that_is_wrong_is_said(completed, job):
    damaged = list(Path(job.root, job.job_id, "shared").iterdir())[:2]
    for path in damaged:
        path.write_bytes(path.read_bytes()[::-1])
    report = verify_checkpoint(completed.external_path)
    assert len(report.errors) == 2
    text = " ".join(str(error) for error in report.errors)
    assert all(path.name in text for path in damaged)


def test_unreadable_metadata_are_an_error_of_the_report(completed, job):
    path = Path(job.root, job.job_id, "chk-3", "_metadata")
    path.write_bytes(b"")
    report = verify_checkpoint(completed.external_path)
    assert report.checkpoint_id is None
    assert "empty" in str(report.errors[0])


def test_what_cannot_be_verified_at_all(completed):
    with pytest.raises(CheckpointNotFoundError):
        verify_checkpoint(completed.external_path + "0")
    with pytest.raises(ConfigurationError):
        verify_checkpoint(completed.external_path, threads=0)


def orphans_of(job):
    """Leave what crashes leave; return the paths."""
    root = Path(job.root, job.job_id)
    (root / "chk-4").mkdir()
    (root / "chk-5").mkdir()
    paths = [
        root / ".probe.1-2.inprogress",
        root / "chk-3" / "0d1b2f64-0000-4000-8000-000000000000",
        root / "chk-4" / "._metadata.1-2.inprogress",
        root / "chk-4" / "_checksums",
        root / "shared" / "0d1b2f64-1111-4000-8000-000000000000",
    ]
    for path in paths:
        path.write_bytes(b"orphan")
    return [*paths, root / "chk-5"]


def test_garbage_is_found_and_deleted_and_nothing_else(completed, job):
    before = sorted(Path(job.root).rglob("*"))
    orphans = orphans_of(job)
    (Path(job.root, job.job_id, "taskowned", "log")).write_bytes(b"not ours")
    for url in (job.root, f"{job.root}/{job.job_id}"):
        garbage = find_garbage(url, SystemClock(), older_than_ms=0)
        assert {one.path.removeprefix("file://") for one in garbage.files} == set(map(str, orphans))
        assert garbage.size_bytes == 30
        assert garbage.damaged == ()
    assert delete_garbage(garbage) == ()
    after = sorted(path for path in Path(job.root).rglob("*") if path.name != "log")
    assert after == before
    assert verify_checkpoint(completed.external_path).errors == ()


def test_young_files_are_spared(completed, job):
    orphans = orphans_of(job)
    assert find_garbage(job.root, SystemClock()).files == ()
    now_ms = SystemClock().now_ms()
    os.utime(orphans[0], (now_ms / 1000 - 7200, now_ms / 1000 - 7200))
    (old,) = find_garbage(job.root, ManualClock(now_ms)).files
    assert old.path.endswith(orphans[0].name)


def test_references_from_other_jobs_count(completed, job, make_job):
    other = make_job(job_id="f" * 32)
    path = Path(other.storage.location(1).directory.removeprefix("file://")) / "_metadata"
    path.write_bytes(write_metadata(completed.metadata))
    for name in ("chk-3",):
        for file in Path(job.root, job.job_id, name).iterdir():
            if file.name not in {"_metadata", "_checksums"}:
                (path.parent / file.name).write_bytes(file.read_bytes())
            file.unlink()
    garbage = find_garbage(f"{job.root}/{job.job_id}", SystemClock(), older_than_ms=0)
    assert [one.reason for one in garbage.files] == ["empty directory"]


def test_a_damaged_checkpoint_spares_shared_files(completed, job):
    orphans_of(job)
    path = Path(job.root, job.job_id, "chk-3", "_metadata")
    path.write_bytes(path.read_bytes()[:-1])
    garbage = find_garbage(job.root, SystemClock(), older_than_ms=0)
    assert len(garbage.damaged) == 1
    paths = [one.path for one in garbage.files]
    assert len(paths) == 4
    assert not any("/shared/" in path or "/chk-3/" in path for path in paths)


def test_no_directory(tmp_path):
    with pytest.raises(CheckpointNotFoundError):
        find_garbage(str(tmp_path / "nothing"), SystemClock())
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointNotFoundError):
        find_garbage(str(tmp_path / "file"), SystemClock())
