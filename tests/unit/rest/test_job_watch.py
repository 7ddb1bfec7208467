"""Jobs that come, answer, die while they are asked, and end."""

from __future__ import annotations

import contextlib
import json
import socket
import threading

import pytest

from millpond.clock import ManualClock
from millpond.engines.control_directory import control_directory
from millpond.errors import JobNotFoundError, JobRequestError
from millpond.rest import job_watch
from millpond.rest.job_watch import JobWatch

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")

# What takes longer has come to nothing.
PATIENCE_SECONDS = 120

JOB, OTHER = "0b5e" * 8, "1111" * 8


class FakeJob:
    """Answers at its socket; it may end in good order, or die without a word."""

    def __init__(self, report):
        self.report = report
        self.asked = []
        self.dies_when_asked = False
        self._over = threading.Event()
        self._dead = threading.Event()
        self.is_watched = threading.Event()
        self.is_slow = threading.Event()
        self._path = control_directory(create=True) / f"{report['job_id']}.sock"
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._path))
        self._listener.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rwb") as stream:
            request = json.loads(stream.readline())
            self.asked.append(request)
            if request.get("at") == "end":
                self.is_watched.set()
                self._over.wait(PATIENCE_SECONDS)
            elif self.dies_when_asked:
                self.die()
            elif self.is_slow.is_set():
                self._over.wait(PATIENCE_SECONDS)
            if self._dead.is_set():
                return
            if request["command"] == "report":
                stream.write(json.dumps(self.report).encode() + b"\n")
            else:
                stream.write(json.dumps({"error": "It does not want to."}).encode() + b"\n")

    def end(self, **changes):
        self.report = {**self.report, **changes}
        self._path.unlink()
        self._close()

    def die(self):
        """End as a killed process does: the socket's file stays."""
        self._dead.set()
        self._close()

    def _close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._over.set()


@pytest.fixture(autouse=True)
def jobs_directory(tmp_path_factory, monkeypatch):
    directory = tmp_path_factory.mktemp("j") / "d"
    monkeypatch.setenv("MILLPOND_JOBS_DIR", str(directory))
    # A loaded machine may be slower than what a user is asked to wait.
    for name in ("_ANSWER_SECONDS", "_END_SECONDS"):
        monkeypatch.setattr(job_watch, name, PATIENCE_SECONDS)
    return directory


@pytest.fixture
def clock():
    return ManualClock(50_000)


@pytest.fixture
def watch(clock):
    return JobWatch(clock, checkpoints=7)


@pytest.fixture
def start(report):
    jobs = []

    def begin(job_id=JOB, **changes):
        jobs.append(FakeJob({**report, "job_id": job_id, **changes}))
        return jobs[-1]

    yield begin
    for job in jobs:
        job.die()


def wait_for_end(watch, job_id):
    assert watch._jobs[job_id].ended.wait(PATIENCE_SECONDS)
    return watch.report(job_id)


def test_two_jobs_at_once(watch, start, clock):
    first = start()
    start(OTHER, started_ms=2_000, name="other")
    assert [each["job_id"] for each in watch.reports()] == [OTHER, JOB]
    assert watch.report(JOB)["name"] == first.report["name"]
    assert {"command": "report", "checkpoints": 7, "at": "now"} in first.asked
    first.report = {**first.report, "records": 5}
    # Many that look at the same time ask it once.
    assert watch.report(JOB)["records"] == 600
    clock.advance(200)
    assert watch.report(JOB)["records"] == 5
    with pytest.raises(JobNotFoundError, match=f"Job {'2' * 32} not found"):
        watch.report("2" * 32)


def test_a_job_that_ended_is_remembered(watch, start, jobs_directory):
    job = start()
    watch.discover()
    assert job.is_watched.wait(PATIENCE_SECONDS)
    job.end(status="FAILED", ended_ms=8_000)
    assert wait_for_end(watch, JOB)["status"] == "FAILED"
    assert list(jobs_directory.iterdir()) == []
    assert [each["status"] for each in watch.reports()] == ["FAILED"]
    # Another process goes on with it.
    start(restarts=0)
    assert watch.report(JOB)["status"] == "RUNNING"


def test_a_job_that_dies_while_it_is_asked(watch, start, report, clock):
    job = start()
    assert watch.report(JOB)["status"] == "RUNNING"
    assert job.is_watched.wait(PATIENCE_SECONDS)
    job.dies_when_asked = True
    clock.advance(200)
    lost = watch.report(JOB)
    assert (lost["status"], lost["ended_ms"]) == ("SUSPENDED", 50_200)
    assert lost["status_times"]["SUSPENDED"] == 50_200
    assert "ended without a word" in lost["failures"][-1]["text"]
    assert lost["failure_count"] == report["failure_count"] + 1
    # What had finished stays so.
    states = [each["status"] for vertex in lost["vertices"] for each in vertex["subtasks"]]
    assert states == ["FINISHED", "FAILED", "FAILED"]
    # Its socket is still there, and nobody answers; that tells nothing new.
    assert [each["status"] for each in watch.reports()] == ["SUSPENDED"]
    assert watch._jobs[JOB].ended.wait(PATIENCE_SECONDS)
    assert watch.report(JOB) == lost
    with pytest.raises(JobRequestError, match="does not answer"):
        watch.ask(JOB, {"command": "cancel"})


def test_a_job_that_was_dead_before_is_none(watch, start, jobs_directory):
    start().die()
    assert watch.reports() == []
    assert list(jobs_directory.iterdir()) == []
    with pytest.raises(JobNotFoundError):
        watch.report(JOB)


def test_what_a_job_refuses(watch, start):
    job = start()
    assert watch.report(JOB)["records"] == 600
    job.report = {**job.report, "records": 7}
    with pytest.raises(JobRequestError, match="does not want to"):
        watch.ask(JOB, {"command": "stop"})
    # Whatever came of it is seen at once.
    assert watch.report(JOB)["records"] == 7


def test_a_job_that_is_slow_is_shown_as_it_was(watch, start, clock, monkeypatch):
    job = start()
    monkeypatch.setattr("millpond.rest.job_watch._ANSWER_SECONDS", 0.02)
    job.is_slow.set()
    assert watch.reports() == []
    with pytest.raises(JobRequestError, match="in time"):
        watch.report(JOB)
    job.is_slow.clear()
    monkeypatch.setattr("millpond.rest.job_watch._ANSWER_SECONDS", PATIENCE_SECONDS)
    assert watch.report(JOB)["records"] == 600
    monkeypatch.setattr("millpond.rest.job_watch._ANSWER_SECONDS", 0.02)
    job.is_slow.set()
    clock.advance(200)
    assert [each["records"] for each in watch.reports()] == [600]


def test_only_so_many_are_remembered(watch, start):
    for number in range(55):
        job_id = f"{number:032x}"
        job = start(job_id, started_ms=number)
        watch.discover()
        assert watch.report(job_id)["started_ms"] == number
        assert job.is_watched.wait(PATIENCE_SECONDS)
        job.end(status="FINISHED", ended_ms=8_000)
        assert watch._jobs[job_id].ended.wait(PATIENCE_SECONDS)
    assert [each["started_ms"] for each in watch.reports()] == list(range(54, 4, -1))


def test_jobs_are_looked_for(watch, start):
    job = start()
    watch.start()
    assert job.is_watched.wait(PATIENCE_SECONDS)
    watch.stop()
    assert job.asked[0]["command"] == "report"
