"""`run_demo` with a runner that plays the job: start, crash, resume, finish, proof."""

from __future__ import annotations

import io
import json

import pytest

from millpond.clock import ManualClock
from millpond.demo.directory import DemoDirectory
from millpond.demo.plain_presentation import PlainPresentation
from millpond.demo.progress import Backend, CheckpointRow, JobProgress, JobReport
from millpond.demo.run import DemoSettings, run_demo
from millpond.errors import ConfigurationError, JobExecutionError

ANSWER = [json.dumps({"kind": "hour", "n": n, "cancelled": n, "origin": "JFK",
                      "hour": "2013-02-03T04:00Z", "flights": 1, "mean_delay": 1.0,
                      "worst_delay": 1}) for n in range(10)]  # fmt: skip


class Killed(BaseException):
    """The whole demo is killed here."""


class PlayedJob:
    """Writes a part file for each tenth of the answer, and leaves checkpoints as Millpond does."""

    def __init__(self, *, die_at=None, lose=False):
        self.die_at, self.lose = die_at, lose
        self.requests, self.calm = [], 0

    def run_supervised(self, request, watcher):
        self.requests.append(request)
        checkpoints = request.checkpoints / request.job_id
        done = 0
        if request.resume:
            done = max(int(path.name[4:]) for path in checkpoints.iterdir())
        restarts = 0
        while done < 10:
            if self.die_at == done:
                raise Killed
            if watcher.on_progress(JobProgress(done, 1000, done or None, 10)):
                restarts += 1
                watcher.on_restart(done)
                if self.lose:
                    done += 1
            self.write(request.results, done)
            done += 1
            (checkpoints / f"chk-{done}").mkdir(parents=True)
            (checkpoints / f"chk-{done}" / "_metadata").write_text("")
        return JobReport(10, restarts, [CheckpointRow(1, "full", 5, 10, 10)])

    def run_calm(self, request):
        self.calm += 1
        for number in range(10):
            self.write(request.results, number)

    def write(self, results, number):
        results.mkdir(exist_ok=True)
        with (results / f"part-{number}").open("x") as file:
            file.write(ANSWER[number] + "\n" if number < 10 else "")


@pytest.fixture
def settings(tmp_path, flights_file):
    data = flights_file(*[("8:00", 0, 0, "N1", "JFK", "LAX")] * 10)

    def make(**changes):
        return DemoSettings(data, tmp_path / "demo", **changes)

    return make


def run(settings, job):
    stream = io.StringIO()
    run_demo(settings, job, PlainPresentation(stream, ManualClock()), ManualClock())
    return stream.getvalue()


def test_a_crash_is_survived_and_proved(settings):
    job = PlayedJob()
    text = run(settings(), job)
    for part in ("Killing the worker", "goes on from checkpoint 6", "digests are equal", "full"):
        assert part in text
    assert job.calm == 1
    assert job.requests[0].lock is not None
    assert not job.requests[0].resume


def test_without_a_crash_there_is_nothing_to_prove(settings):
    job = PlayedJob()
    text = run(settings(crash=False), job)
    assert "Killing" not in text
    assert "Digest of all 10 results" in text
    assert job.calm == 0


def test_a_lost_result_is_noticed(settings):
    with pytest.raises(JobExecutionError, match="another answer"):
        run(settings(), PlayedJob(lose=True))


def test_the_same_command_goes_on_where_it_was_killed(settings):
    with pytest.raises(Killed):
        run(settings(crash=False), PlayedJob(die_at=4))
    job = PlayedJob()
    text = run(settings(crash=False), job)
    assert job.requests[0].resume
    assert "Going on from checkpoint 4" in text
    assert "digests are equal" in text


def test_a_run_killed_before_its_first_checkpoint_starts_over(settings):
    job = PlayedJob(die_at=0)
    with pytest.raises(Killed):
        run(settings(crash=False), job)
    (settings().directory / "results").mkdir()
    (settings().directory / "results" / "part-0").write_text("left over\n")
    text = run(settings(crash=False), PlayedJob())
    assert "starting over" in text
    assert "digests are equal" in text


def test_the_crash_happens_once_a_directory(settings):
    job = PlayedJob(die_at=8)
    with pytest.raises(Killed):
        run(settings(), job)
    text = run(settings(), PlayedJob())
    assert "Killing" not in text
    assert "digests are equal" in text


def test_a_finished_run_says_so_and_shows_its_results(settings):
    first = run(settings(), PlayedJob())
    job = PlayedJob()
    second = run(settings(), job)
    assert "has finished" in second
    assert "digests are equal" in second
    assert job.requests == []
    assert first[first.index("Days with") :] == second[second.index("Days with") :]


def test_a_run_killed_before_its_proof_gets_it_later(settings):
    class Interrupted(PlayedJob):
        def run_calm(self, request):
            raise Killed

    with pytest.raises(Killed):
        run(settings(), Interrupted())
    job = PlayedJob()
    text = run(settings(), job)
    assert "has finished" in text
    assert "digests are equal" in text
    assert (job.requests, job.calm) == ([], 1)


def test_fresh_starts_over(settings):
    run(settings(), PlayedJob())
    job = PlayedJob()
    text = run(settings(fresh=True), job)
    assert "has finished" not in text
    assert len(job.requests) == 1


def test_changed_results_of_a_finished_run_are_noticed(settings):
    run(settings(), PlayedJob())
    (settings().directory / "results" / "part-3").write_text("")
    with pytest.raises(JobExecutionError, match="were changed"):
        run(settings(), PlayedJob())


@pytest.mark.parametrize(
    ("change", "name"), [({"backend": Backend.MEMORY}, "backend"), ({"lateness_hours": 2}, "late")]
)
def test_other_settings_need_another_directory(settings, change, name):
    run(settings(), PlayedJob())
    with pytest.raises(ConfigurationError, match=f"--{name}"):
        run(settings(**change), PlayedJob())
    assert "has finished" in run(settings(), PlayedJob())


def test_the_directory_is_free_after_a_failure(settings):
    with pytest.raises(Killed):
        run(settings(), PlayedJob(die_at=2))
    with DemoDirectory(settings().directory, ManualClock()):
        pass


@pytest.mark.parametrize(
    ("name", "hint"), [("rocks", "Did you mean rocksdb"), ("heap-ish", "Use one of")]
)
def test_an_unknown_backend_gets_the_nearest_one(name, hint):
    with pytest.raises(ConfigurationError, match=hint):
        Backend.parse(name)
    assert Backend.parse("RocksDB") is Backend.ROCKSDB
