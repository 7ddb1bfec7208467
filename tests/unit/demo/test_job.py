"""The whole job on the engines, against the independent model."""

from __future__ import annotations

import json

import pytest

from millpond.clock import SystemClock
from millpond.demo.progress import Backend, JobRequest
from millpond.demo.results import digest, read_lines
from millpond.demo.runner import SupervisedRunner


@pytest.fixture
def request_for(some_flights, tmp_path):
    def make(name="run", **options):
        directory = tmp_path / name
        options.setdefault("job_id", "ab" * 16)
        return JobRequest(some_flights, directory / "results", directory / "checkpoints", **options)

    return make


@pytest.fixture(scope="module")
def expected(flights_model, some_flights):
    return [line.encode() for line in flights_model.expected_lines(some_flights)]


@pytest.mark.parametrize("parallelism", [1, 3])
def test_the_job_gives_the_models_answer(request_for, expected, parallelism):
    request = request_for(parallelism=parallelism)
    SupervisedRunner(SystemClock()).run_calm(request)
    assert read_lines(request.results) == expected


def test_late_flights_are_the_same_at_any_parallelism(request_for, expected):
    answers = []
    for parallelism in (1, 2):
        request = request_for(
            str(parallelism), parallelism=parallelism, lateness_hours=2, batch_size=4
        )
        SupervisedRunner(SystemClock()).run_calm(request)
        answers.append(read_lines(request.results))
    assert digest(answers[0]) == digest(answers[1])
    kinds = [json.loads(line)["kind"] for line in answers[0]]
    assert kinds.count("late") > 50
    assert answers[0] != expected


class KillOnce:
    """Kills the worker at the first progress after a checkpoint."""

    def __init__(self):
        self.killed, self.restarts = False, []

    def on_progress(self, progress):
        kill = not self.killed and progress.checkpoint_id is not None
        self.killed = self.killed or kill
        return kill

    def on_restart(self, from_checkpoint):
        self.restarts.append(from_checkpoint)


@pytest.mark.parametrize("backend", list(Backend))
def test_a_killed_worker_changes_nothing(request_for, expected, backend):
    request = request_for(backend=backend, parallelism=2, checkpoint_interval_ms=50)
    watcher = KillOnce()
    report = SupervisedRunner(SystemClock()).run_supervised(request, watcher)
    assert read_lines(request.results) == expected
    assert watcher.killed
    assert len(watcher.restarts) == report.restarts == 1
    assert watcher.restarts[0] is not None
    assert [row.number for row in report.checkpoints] == sorted(
        {row.number for row in report.checkpoints}
    )
    kinds = {row.kind for row in report.checkpoints}
    assert kinds == ({"incremental"} if backend is Backend.ROCKSDB else {"full"})
