"""`millpond demo` on the command line: options, errors in one paragraph, a whole small run."""

from __future__ import annotations

import zipfile

import pytest
from click.testing import CliRunner

from millpond.cli import main
from millpond.demo import runner as runner_module
from millpond.demo.progress import Backend, JobReport

HEADER = b"minute,carrier,flight,tailnum,origin,dest,dep_delay,arr_delay,time_hour\n"


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "flights.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        rows = [b"%d,UA,1,N1,JFK,LAX,20,30,2013-01-02T13:00:00Z\n" % n for n in range(9)]
        archive.writestr("flights.csv", HEADER + b"".join(rows))
    return path


@pytest.fixture
def requests(monkeypatch):
    """What the command asks the runner for; nothing runs."""
    asked = []

    def run(self, request, watcher):
        asked.append(request)
        request.results.mkdir()
        (request.results / "part").write_text('{"kind":"late"}\n')
        return JobReport(9, 0)

    monkeypatch.setattr(runner_module.SupervisedRunner, "run_supervised", run)
    return asked


def demo(*arguments):
    return CliRunner().invoke(main, ["demo", *map(str, arguments)])


def test_the_defaults_are_those_of_the_help(tmp_path, monkeypatch, data, requests):
    monkeypatch.chdir(tmp_path)
    result = demo("--data", data)
    assert result.exit_code == 0, result.output
    (request,) = requests
    assert (request.backend, request.parallelism) == (Backend.ROCKSDB, 1)
    assert (request.lateness_hours, request.resume) == (24.0, False)
    assert request.results == tmp_path / "millpond-demo" / "rocksdb" / "results"
    assert "Digest of all 1 results" in result.output


def test_options_reach_the_job(tmp_path, data, requests):
    options = ["--backend", "memory", "--parallelism", 3, "--lateness", 1.5, "--no-crash"]
    result = demo(*options, "--directory", tmp_path / "here", "--data", data)
    assert result.exit_code == 0, result.output
    (request,) = requests
    assert (request.backend, request.parallelism) == (Backend.MEMORY, 3)
    assert request.lateness_hours == 1.5
    assert request.checkpoints == tmp_path / "here" / "checkpoints"


def test_the_same_command_again_says_that_it_has_finished(tmp_path, data, requests):
    options = ["--directory", tmp_path / "here", "--data", data]
    assert demo(*options).exit_code == 0
    result = demo(*options)
    assert result.exit_code == 0
    assert "This run has finished" in result.output
    assert len(requests) == 1
    assert demo(*options, "--fresh").exit_code == 0
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--backend", "rockdb"], "Did you mean rocksdb?"),
        (["--data", "nowhere.zip"], "no file of flights"),
        (["--parallelism", "0"], "0 is not in the range"),
        (["--lateness", "-1"], "-1.0 is not in the range"),
    ],
)
def test_bad_options_are_one_paragraph(tmp_path, monkeypatch, data, options, message):
    monkeypatch.chdir(tmp_path)
    given = options if "--data" in options else [*options, "--data", str(data)]
    result = demo(*given)
    assert result.exit_code != 0
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_foreign_directory_is_refused(tmp_path, data):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").write_text("")
    result = demo("--directory", tmp_path / "here", "--data", data)
    assert result.exit_code == 1
    assert "something else" in result.output
    assert "Traceback" not in result.output
