"""`millpond run` as a user meets it: crashes of the worker, bad input, errors as one paragraph."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from millpond.filesystem.owner import OWNER_FILE_NAME

JOB_ID = "c0de" * 8

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from millpond.common import Encoder, Types
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.file_system import FileSink
from millpond.datastream.connectors.source import Records, Source, Split, SplitReader

directory = Path(sys.argv[1])
action = sys.argv[2] if len(sys.argv) > 2 else ""

class Broken(Exception):
    def __init__(self, what, why):
        super().__init__(f"{what} because of {why}")
        self.what = what

def held(number):
    # Waiting for a file, and not for a time: no machine is too slow or too fast for that.
    if action == "die" and number == 801:
        # Not before there are two checkpoints to choose from.
        return len(list(directory.glob("checkpoints/*/chk-*/_metadata"))) < 2
    return action == "dawdle" and number == 1985

class Reader(SplitReader):
    def __init__(self, number):
        self.number = number

    def read(self, limit):
        if held(self.number):
            return None
        first, self.number = self.number, min(self.number + limit, 2001)
        return Records(list(range(first, self.number)))

    @property
    def finished(self):
        return self.number > 2000

    def position(self):
        return {"next": self.number}

class Numbers(Source):
    def splits(self, parallelism):
        return [Split("all")]

    def open_split(self, split, position, clock):
        return Reader(position["next"] if position else 1)

def look(value):
    if action == "raise" and value == 600:
        raise Broken("it broke", value)
    once = directory / f"once-{value}"
    if action == "kill" and value in (700, 1500) and not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "die" and value == 900:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    if action == "dawdle" and value >= 1000:
        (directory / "dawdling").touch()
        time.sleep(0.02)
    if value % 16 == 0:
        time.sleep(0.001)
    return value

env = StreamExecutionEnvironment.get_execution_environment()
source = env.from_source(
    Numbers(), WatermarkStrategy.no_watermarks(), "numbers", Types.LONG()
).uid("numbers")
checked = source.map(look, Types.LONG()).name("look").uid("look")
keyed = checked.key_by(lambda value: value % 10, Types.LONG())
summed = keyed.reduce(lambda a, b: a + b).uid(os.environ.get("SUM_UID", "sum"))
if "PRINT" in os.environ:
    summed.print()
else:
    sink = FileSink.for_row_format(str(directory / "out"), Encoder.simple_string_encoder()).build()
    summed.sink_to(sink).uid("sink")
env.execute()
print("finished")
"""

# What takes longer has come to nothing.
PATIENCE_SECONDS = 300


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path)


class Job:
    def __init__(self, directory):
        self.directory = directory
        self.checkpoints = directory / "checkpoints"
        self.program = directory / "job.py"
        self.program.write_text(PROGRAM)
        self.settings = {}
        (directory / "temporary").mkdir()

    def command(self, *arguments, options=(), action="", **settings):
        defined = (
            {
                "state.backend.type": "rocksdb",
                "execution.checkpointing.incremental": "true",
                "execution.checkpointing.dir": str(self.checkpoints),
                "execution.checkpointing.interval": "20 ms",
                "execution.checkpointing.num-retained": "3",
                "millpond.batch-size": "32",
                "restart-strategy.type": "fixed-delay",
                "restart-strategy.fixed-delay.attempts": "5",
                "restart-strategy.fixed-delay.delay": "1 ms",
                "io.tmp.dirs": str(self.directory / "temporary"),
            }
            | self.settings
            | settings
        )
        return [
            sys.executable, "-c", "from millpond.cli import main; main()", "run",
            *(part for key, value in defined.items() for part in ("-D", f"{key}={value}")),
            *options, str(self.program), str(self.directory), action,
        ]  # fmt: skip

    def run(self, **options):
        return subprocess.run(
            self.command(**options),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def results(self):
        parts = [path for path in (self.directory / "out").rglob("*") if path.is_file()]
        lines = [
            line
            for path in parts
            if not path.name.startswith(".") and "inprogress" not in path.name
            for line in path.read_text().split()
        ]
        return sorted(map(int, lines))

    def listing(self):
        """Every file, but those of incomplete checkpoints, and what a killed process held."""
        return {
            str(path.relative_to(self.checkpoints)): path.read_bytes()
            for path in sorted(self.checkpoints.rglob("*"))
            if path.is_file()
            and path.name != OWNER_FILE_NAME
            and (not path.parent.name.startswith("chk-") or (path.parent / "_metadata").exists())
        }


def expected():
    sums = {}
    results = []
    for value in range(1, 2001):
        sums[value % 10] = sums.get(value % 10, 0) + value
        results.append(sums[value % 10])
    return sorted(results)


def assert_one_paragraph(run, *words):
    assert run.returncode != 0
    assert "Traceback" not in run.stderr, run.stderr
    paragraphs = [line for line in run.stderr.splitlines() if line.startswith("Error: ")]
    assert len(paragraphs) == 1, run.stderr
    assert run.stderr.splitlines()[-1] == paragraphs[0]
    for word in words:
        assert word in paragraphs[0], run.stderr


def test_the_worker_is_killed_twice_and_the_results_are_exact(job):
    run = job.run(action="kill")
    assert run.returncode == 0, run.stderr
    assert run.stdout == "finished\n"
    assert "SIGKILL" in run.stderr
    assert job.results() == expected()
    assert list((job.directory / "temporary").iterdir()) == []


def test_the_whole_process_is_killed_and_resumed(job):
    run = job.run(action="die", options=("--job-id", JOB_ID))
    assert run.returncode == -signal.SIGKILL
    assert list(job.checkpoints.rglob("_metadata")) != []
    wait_until(lambda: not list((job.directory / "temporary").iterdir()))
    run = job.run(options=("--job-id", JOB_ID))
    assert run.returncode == 0, run.stderr
    assert job.results() == expected()


@pytest.fixture
def jobs_directory(monkeypatch):
    """A directory of sockets: the name of one must be short, and those of pytest are not."""
    with tempfile.TemporaryDirectory(prefix="jobs-") as directory:
        monkeypatch.setenv("MILLPOND_JOBS_DIR", directory)
        yield directory


def test_cancel_with_savepoint_from_a_second_shell(job, jobs_directory):
    settings = {"execution.checkpointing.interval": "1 h"}
    command = job.command(action="dawdle", options=("--job-id", JOB_ID), **settings)
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        wait_until((job.directory / "dawdling").exists)
        shell = [sys.executable, "-c", "from millpond.cli import main; main()"]
        cancel = subprocess.run(
            [*shell, "cancel", JOB_ID[:8], "-s", "-p", str(job.directory / "savepoints")],
            capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
        assert cancel.returncode == 0, cancel.stderr
        _, error = first.communicate(timeout=PATIENCE_SECONDS)
    finally:
        first.kill()
        first.communicate()
    assert first.returncode == 1
    assert error.splitlines()[-1].startswith("Error: The job was cancelled."), error
    assert job.results() == []
    run = job.run(options=("--from-savepoint", cancel.stdout.strip(), "--claim-mode", "legacy"))
    assert run.returncode == 0, run.stderr
    assert job.results() == expected()
    assert list((job.directory / "savepoints").rglob("_metadata")) != []


def test_the_users_exception_crosses_the_process_boundary(job):
    run = job.run(action="raise", **{"restart-strategy.type": "none"})
    assert run.returncode != 0
    assert "Broken: it broke because of 600" in run.stderr
    assert "operator: look" in run.stderr
    assert "raise Broken" in run.stderr
    assert "millpond/runtime" not in run.stderr.replace("\\", "/"), run.stderr


def crashed(job):
    run = job.run(action="die", options=("--job-id", JOB_ID))
    assert run.returncode == -signal.SIGKILL
    # Until the worker is gone as well, it may write.
    wait_until(lambda: not list((job.directory / "temporary").iterdir()))
    return sorted(
        (int(re.search(r"chk-(\d+)", str(path)).group(1)), path.parent)
        for path in job.checkpoints.rglob("_metadata")
    )


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(bytes(data))


def test_a_damaged_checkpoint_under_a_sink_that_commits_is_an_error_and_stays(job):
    checkpoints = crashed(job)
    assert len(checkpoints) >= 2
    damage(checkpoints[-1][1] / "_metadata")
    before = job.listing()
    run = job.run(options=("--job-id", JOB_ID))
    assert_one_paragraph(run, str(checkpoints[-1][1]), "--from-savepoint")
    assert job.listing() == before
    older = str(checkpoints[-2][1])
    run = job.run(options=("--job-id", "ab" * 16, "--from-savepoint", older))
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("what", ["_metadata", "state file"])
def test_a_damaged_checkpoint_falls_back_to_an_older_one_loudly(job, monkeypatch, what):
    monkeypatch.setenv("PRINT", "1")
    # Old-style full snapshots in files: what is damaged is found when the worker reads it.
    job.settings = {
        "state.backend.type": "hashmap",
        "execution.checkpointing.incremental": "false",
        "execution.checkpointing.data-inline-threshold": "0",
    }
    checkpoints = crashed(job)
    assert len(checkpoints) >= 2
    number, newest = checkpoints[-1]
    if what == "_metadata":
        damage(newest / what)
    else:
        for path in newest.iterdir():
            if len(path.name) == 36:
                damage(path)
    run = job.run(options=("--job-id", JOB_ID))
    assert run.returncode == 0, run.stderr
    assert re.search(rf"heckpoint {number} (cannot be used|is damaged)", run.stderr), run.stderr
    assert "finished" in run.stdout


def test_only_damaged_checkpoints_are_an_error_and_stay(job):
    for _, path in crashed(job):
        for file in path.iterdir():
            file.write_bytes(file.read_bytes()[:-7] + b"garbage")
    before = job.listing()
    run = job.run(options=("--job-id", JOB_ID))
    assert_one_paragraph(run, "_metadata")
    assert set(job.listing()) == set(before)
    assert job.listing() == before


def test_a_checkpoint_directory_that_cannot_be_written(job):
    job.checkpoints.write_text("a file")
    assert_one_paragraph(job.run(), str(job.checkpoints))


def test_no_metadata(job):
    empty = job.directory / "empty"
    empty.mkdir()
    assert_one_paragraph(job.run(options=("--from-savepoint", str(empty))), "_metadata", str(empty))


def test_an_unknown_backend(job):
    assert_one_paragraph(job.run(**{"state.backend.type": "rockdb"}), "rockdb", "rocksdb")


def test_no_such_program(job):
    job.program.unlink()
    assert_one_paragraph(job.run(), "job.py")


def test_state_that_no_operator_claims(job, monkeypatch):
    checkpoints = crashed(job)
    before = job.listing()
    monkeypatch.setenv("SUM_UID", "another")
    run = job.run(options=("--job-id", JOB_ID))
    assert_one_paragraph(run, "does not have")
    assert set(job.listing()) == set(before)
    assert job.listing() == before
    run = job.run(options=("--from-savepoint", str(checkpoints[-1][1])))
    assert_one_paragraph(run, "does not have")
    assert set(job.listing()) == set(before)
    assert job.listing() == before


def test_another_max_parallelism_is_refused(job):
    crashed(job)
    before = job.listing()
    run = job.run(options=("--job-id", JOB_ID), **{"pipeline.max-parallelism": "77"})
    assert_one_paragraph(run, "max parallelism")
    assert set(job.listing()) == set(before)
    assert job.listing() == before
