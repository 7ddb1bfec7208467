"""SIGINT and SIGTERM, as a terminal, a service manager or a container sends them to real jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

JOB_ID = "51a1" * 8
LAST = 100_000

PROGRAM = """
import os, sys, time
from pathlib import Path
from millpond.common import Encoder, Types
from millpond.common.configuration import Configuration
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.file_system import FileSink, RollingPolicy
from millpond.datastream.connectors.source import Records, Source, Split, SplitReader

directory, last, how = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
configuration = Configuration()
for definition in sys.argv[4:]:
    configuration.set_string(*definition.split("=", 1))
env = StreamExecutionEnvironment.get_execution_environment(configuration)

def checkpointed():
    return bool(list(directory.glob("checkpoints/*/chk-*/_metadata")))

class Reader(SplitReader):
    def __init__(self, number):
        self.number = number

    def read(self, limit):
        # The last numbers wait for leave, so that no job is over before its signal has come.
        free = (directory / "go").exists() or (how == "stuck" and checkpointed())
        after = last + 1 if free else last - 63
        first, self.number = self.number, min(self.number + limit, after)
        return Records(list(range(first, self.number))) if first < self.number else None

    @property
    def finished(self):
        return self.number > last

    def position(self):
        return {"next": self.number}

class Numbers(Source):
    def splits(self, parallelism):
        return [Split("all")]

    def open_split(self, split, position, clock):
        return Reader(position["next"] if position else 1)

def slow(value):
    if value % 64 == 0:
        if value > 1000:
            (directory / "busy").touch()
        if how == "stuck" and value > 1000 and checkpointed():
            (directory / "stuck").touch()
            for _ in range(6000):
                # Not in one: a signal may come just before a call that sleeps.
                time.sleep(0.1)
        time.sleep(0.001)
    return value

numbers = env.from_source(
    Numbers(), WatermarkStrategy.no_watermarks(), "numbers", Types.LONG()
).uid("numbers")
slowed = numbers.map(slow, Types.LONG()).uid("slow")
summed = slowed.key_by(lambda value: value % 5, Types.LONG()).reduce(max).uid("most")
if how == "collect":
    with summed.execute_and_collect() as results:
        for result in results:
            pass
else:
    builder = FileSink.for_row_format(str(directory / "out"), Encoder.simple_string_encoder())
    sink = builder.with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy()).build()
    summed.sink_to(sink).uid("sink")
    if how == "async":
        env.execute_async().get_job_execution_result().result()
    else:
        env.execute()
print("went on after the job")
"""

# What takes longer has come to nothing; less than a stuck function sleeps.
PATIENCE_SECONDS = 300


class Job:
    def __init__(self, directory):
        self.directory = directory
        self.processes = []
        self.program = directory / "job.py"
        self.program.write_text(PROGRAM)
        self.temporary = directory / "temporary"
        self.temporary.mkdir()
        self.settings = {
            "state.backend.type": "rocksdb",
            "execution.checkpointing.incremental": "true",
            "execution.checkpointing.dir": str(directory / "checkpoints"),
            "execution.checkpointing.interval": "20 ms",
            "millpond.batch-size": "64",
            "io.tmp.dirs": str(self.temporary),
        }

    def start(self, form, how="sync", last=LAST, options=(), **settings):
        defined = [f"{key}={value}" for key, value in (self.settings | settings).items()]
        if form == "program":
            command = [str(self.program), str(self.directory), str(last), how, *defined]
        else:
            given = [part for one in defined for part in ("-D", one)]
            main = "from millpond.cli import main; main()"
            arguments = [str(self.program), str(self.directory), str(last), how]
            command = ["-c", main, "run", *given, *options, *arguments]
        process = subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def signalled(self, process, number):
        """Send a signal once records flow and a checkpoint is there; return code and output."""
        self.wait_until_busy(process)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, out, err

    def wait_until_busy(self, process, sign="busy"):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not ((self.directory / sign).exists() and self.checkpoints()):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline, "The job has not begun."
            time.sleep(0.01)

    def goes_on_to_its_end(self, process):
        """Let it, and return its output."""
        (self.directory / "go").touch()
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, err
        return out

    def checkpoints(self):
        return sorted(self.directory.glob("checkpoints/*/chk-*/_metadata"))

    def results(self):
        parts = (path for path in (self.directory / "out").rglob("*") if path.is_file())
        shown = [path for path in parts if not path.name.startswith(".")]
        return sorted(int(line) for path in shown for line in path.read_text().split())


@pytest.fixture(autouse=True)
def interruptible():
    """A shell's background jobs ignore SIGINT, and so would the processes that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def job(tmp_path):
    one = Job(tmp_path)
    yield one
    for process in one.processes:
        process.kill()
        process.communicate()


CODES = {signal.SIGINT: {-signal.SIGINT, 130}, signal.SIGTERM: {143}}


@pytest.mark.parametrize(
    ("form", "how", "number"),
    [
        ("program", "sync", signal.SIGINT),
        ("program", "sync", signal.SIGTERM),
        ("program", "async", signal.SIGTERM),
        ("program", "collect", signal.SIGTERM),
        ("command", "sync", signal.SIGINT),
    ],
    ids=str,
)
def test_a_signal_stops_the_job_and_its_checkpoint_stays(job, form, how, number):
    process = job.start(form, how)
    code, out, err = job.signalled(process, number)
    assert code in CODES[number], err
    assert "went on" not in out
    assert list(job.temporary.iterdir()) == []
    if how != "collect":
        # There, a program that stops asking for results has cancelled the job.
        checkpoints = job.checkpoints()
        assert len(checkpoints) == 1
        told = re.search(r"its latest checkpoint: (?:file://)?(\S+)", err)
        assert told is not None, err
        assert told[1] == str(checkpoints[0].parent)


def test_the_job_goes_on_after_sigterm_as_if_nothing_had_been(job):
    process = job.start("command", last=3000, options=("--job-id", JOB_ID))
    job.signalled(process, signal.SIGTERM)
    process = job.start("command", last=3000, options=("--job-id", JOB_ID))
    assert "went on" in job.goes_on_to_its_end(process)
    assert job.results() == list(range(1, 3001))


@pytest.mark.parametrize("form", ["program", "command"])
def test_sigterm_takes_a_savepoint_where_one_is_configured(job, form):
    savepoints = job.directory / "savepoints"
    process = job.start(form, last=6000, **{"state.savepoints.dir": str(savepoints)})
    code, _, err = job.signalled(process, signal.SIGTERM)
    assert code == 143, err
    (savepoint,) = savepoints.iterdir()
    assert str(savepoint) in err
    assert list(job.temporary.iterdir()) == []
    # The savepoint committed what it covers, so that nothing waits for a checkpoint.
    visible = job.results()
    assert visible == list(range(1, len(visible) + 1))
    assert len(visible) > 1000
    process = job.start("command", last=6000, options=("--from-savepoint", str(savepoint)))
    job.goes_on_to_its_end(process)
    assert job.results() == list(range(1, 6001))


def test_sigterm_takes_no_savepoint_where_that_is_switched_off(job):
    savepoints = job.directory / "savepoints"
    settings = {
        "state.savepoints.dir": str(savepoints),
        "millpond.savepoint-on-sigterm": "false",
    }
    code, _, err = job.signalled(job.start("program", **settings), signal.SIGTERM)
    assert code == 143, err
    assert not savepoints.exists()


def test_a_savepoint_that_fails_does_not_keep_the_job_alive(job):
    (job.directory / "file").touch()
    settings = {"state.savepoints.dir": str(job.directory / "file" / "below")}
    code, _, err = job.signalled(job.start("program", **settings), signal.SIGTERM)
    assert code == 143, err
    assert "its latest checkpoint" in err
    assert list(job.temporary.iterdir()) == []


@pytest.mark.parametrize("form", ["program", "command"])
def test_a_second_signal_ends_at_once(job, form):
    process = job.start(form, "stuck")
    job.wait_until_busy(process, "stuck")
    process.send_signal(signal.SIGTERM)
    told = ""
    while "stopping" not in told:
        told = process.stderr.readline()
        assert told, "The job has ended."
    second = signal.SIGTERM if form == "program" else signal.SIGINT
    process.send_signal(second)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == -second


def test_a_signal_to_the_whole_group_is_left_to_the_job_manager(job):
    process = job.start("command")
    job.wait_until_busy(process)
    os.killpg(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 143, err
    assert "WorkerLost" not in err
    assert "restarting" not in err
    assert list(job.temporary.iterdir()) == []


def test_a_program_that_handles_signals_itself_keeps_them(job):
    text = job.program.read_text()
    own = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: os._exit(7))\n"
    job.program.write_text(text.replace("directory, last", own + "directory, last", 1))
    code, _, err = job.signalled(job.start("program"), signal.SIGTERM)
    assert code == 7, err
