from __future__ import annotations

import errno

import pytest

from millpond.checkpoint.result_marker import ResultMarker
from millpond.common.configuration import Configuration
from millpond.common.job_status import JobStatus
from millpond.datastream import FsStateBackend, StreamExecutionEnvironment
from millpond.datastream.engine import Launch, LaunchWith
from millpond.engines.embedded import EmbeddedEngine
from millpond.errors import SnapshotCorruptedError
from millpond.filesystem import MemoryFileSystem
from millpond.testing.faulty_filesystem import Fault, FaultyFileSystem

JOB = "ab" * 16


@pytest.fixture
def files():
    return FaultyFileSystem(MemoryFileSystem())


@pytest.fixture
def marker(files):
    return ResultMarker("memory:///checkpoints/job/_result", JOB, resolve=files.resolve)


def test_written_read_and_forgotten(marker):
    assert not marker.is_finished()
    marker.clear()
    assert marker.write(7)
    assert marker.is_finished()
    marker.clear()
    assert not marker.is_finished()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"job_id": "x"}'])
def test_a_damaged_file_is_an_error(marker, files, data):
    marker.write(7)
    files.write_bytes("/checkpoints/job/_result", data)
    with pytest.raises(SnapshotCorruptedError, match="damaged"):
        marker.is_finished()


def test_another_jobs_file_is_an_error(marker, files):
    marker.write(7)
    other = ResultMarker("memory:///checkpoints/job/_result", "cd" * 16, resolve=files.resolve)
    with pytest.raises(SnapshotCorruptedError):
        other.is_finished()


def test_a_failure_is_told(marker, files, caplog):
    files.inject(Fault("publish", error=errno.ENOSPC))
    assert not marker.write(7)
    assert "Cannot write" in caplog.text


def run(tmp_path, *, resume, job_id=JOB):
    configuration = Configuration()
    configuration.set_string("io.tmp.dirs", str(tmp_path / "temporary"))
    seen = tmp_path / "seen"
    with LaunchWith(Launch(EmbeddedEngine(job_id=job_id, resume=resume))):
        env = StreamExecutionEnvironment.get_execution_environment(configuration)
        env.set_state_backend(FsStateBackend((tmp_path / "checkpoints").as_uri()))
        env.enable_checkpointing(10)

        def note(value):
            with seen.open("a") as file:
                file.write(f"{value}\n")
            return value

        env.from_collection([1]).map(note)
        status = env.execute_async()
        result = status.get_job_execution_result().result(120)
        assert status.get_job_status().result() is JobStatus.FINISHED
    assert result.get_job_id() is not None
    return len(seen.read_text().splitlines())


def test_a_finished_job_is_not_run_again_unless_it_is_asked_to(tmp_path, caplog):
    assert run(tmp_path, resume=True) == 1
    assert [path.name for path in (tmp_path / "checkpoints" / JOB).iterdir()].count("_result") == 1
    assert run(tmp_path, resume=True) == 1
    assert "has finished before" in caplog.text
    assert run(tmp_path, resume=False) == 2
    (tmp_path / "checkpoints" / JOB / "_result").unlink()
    assert run(tmp_path, resume=True) == 3


def test_a_job_without_a_name_leaves_nothing(tmp_path):
    run(tmp_path, resume=False, job_id=None)
    assert not list((tmp_path / "checkpoints").rglob("_result"))
