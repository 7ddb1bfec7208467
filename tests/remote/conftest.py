"""What every remote file system must carry: a job with its checkpoints, savepoints and results."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from millpond.cli import main
from millpond.common import Encoder, Types
from millpond.common.configuration import Configuration
from millpond.common.restart_strategy import RestartStrategies
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.file_system import (
    FileSink,
    OutputFileConfig,
    RollingPolicy,
)
from millpond.datastream.connectors.number_seq import NumberSequenceSource
from millpond.datastream.engine import Launch, LaunchWith
from millpond.engines.embedded import EmbeddedEngine
from millpond.errors import CheckpointStorageError
from millpond.filesystem import get_file_system
from millpond.filesystem.path import join
from millpond.runtime.job_listener import JobListener

JOB_ID = "5703" * 8
RECORDS = 400


class TroubleError(Exception):
    pass


class Cycle:
    """A job on a remote root: it fails, goes on, stops with a savepoint, and goes on again."""

    def __init__(self, root, marker):
        self.root = root
        self.marker = marker
        self.hurry = marker.with_name("hurry")
        self.checkpoints = join(root, "checkpoints")
        self.savepoints = join(root, "savepoints")
        self.out = join(root, "out")

    @property
    def trouble(self):
        return not self.marker.exists()

    def run(self, act=None, **settings):
        defined = {
            "state.backend.type": "rocksdb",
            "execution.checkpointing.incremental": "true",
            "execution.checkpointing.dir": self.checkpoints,
            "execution.checkpointing.savepoint-dir": self.savepoints,
            "execution.checkpointing.interval": "10 ms",
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            "execution.checkpointing.data-inline-threshold": "0",
            "millpond.batch-size": "20",
            **settings,
        }
        configuration = Configuration()
        for key, value in defined.items():
            configuration.set_string(key, value)

        # The function is copied for every attempt: it keeps to what can be pickled.
        marker, shared = self.marker, join(self.checkpoints, JOB_ID, "shared")
        hurry = self.hurry

        def fail_once(value):
            # Slow until what the run waits for has happened, however slow the file system is.
            time.sleep(0.001 if hurry.exists() else 0.02)
            if value % 5 == 0 and not marker.exists():
                file_system, path = get_file_system(shared)
                if file_system.list(path):
                    marker.touch()
                    raise TroubleError
            return value

        engine = EmbeddedEngine(job_id=JOB_ID, resume=True)
        with LaunchWith(Launch(engine)):
            env = StreamExecutionEnvironment.get_execution_environment(configuration)
            env.set_restart_strategy(RestartStrategies.fixed_delay_restart(3, 1))
            numbers = env.from_source(
                NumberSequenceSource(1, RECORDS),
                WatermarkStrategy.no_watermarks(),
                "numbers",
                Types.LONG(),
            ).uid("numbers")
            checked = numbers.map(fail_once, Types.LONG()).uid("fail once")
            keyed = checked.key_by(lambda value: value % 10, Types.LONG())
            sums = keyed.reduce(lambda a, b: a + b).uid("sums")
            builder = FileSink.for_row_format(self.out, Encoder.simple_string_encoder())
            builder.with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
            names = OutputFileConfig.builder().with_part_prefix("sums").with_part_suffix(".txt")
            sums.sink_to(builder.with_output_file_config(names.build()).build()).uid("sink")
            program = env._take_program("cycle")
        with engine._open(program, JobListener()) as run:
            for step, _ in enumerate(run.manager.steps()):
                if act is not None:
                    act(step, run.manager)
            return run.manager.outcome

    def results(self):
        file_system, path = get_file_system(self.out)
        names = [entry for entry in file_system.list(path) if not entry.name.startswith(".")]
        assert all(one.name.startswith("sums-") and one.name.endswith(".txt") for one in names)
        return sorted(
            int(line) for one in names for line in file_system.read_bytes(one.path).split()
        )

    def play(self):
        """Run the whole cycle and check every step of it."""
        stopped = []

        def stop(step, manager):
            complete = manager.coordinator.store.latest is not None
            if not stopped and not self.trouble and manager.status.name == "RUNNING" and complete:
                stopped.append(manager.stop(None, drain=False))
                self.hurry.touch()

        outcome = self.run(stop)
        assert outcome.error is None, outcome.error
        assert outcome.restarts == 1
        assert not self.trouble
        savepoint = stopped[0].result(0)
        assert savepoint.startswith(self.savepoints)
        before = self.results()
        assert before == expected()[: len(before)] or set(before) < set(expected())
        command(0, "checkpoint", "verify", savepoint, contains="good")
        listed = command(0, "checkpoint", "ls", self.savepoints)
        assert savepoint in listed

        # Cancelled in the middle, its checkpoints stay; the next process goes on from the newest.
        def cancel(step, manager):
            if any(one.external_path for one in manager.coordinator.statistics):
                manager.cancel()

        self.hurry.unlink()
        self.run(cancel, **{"execution.state-recovery.path": savepoint})
        listed = command(0, "checkpoint", "ls", self.checkpoints)
        assert "checkpoint" in listed
        command(0, "checkpoint", "verify", self.checkpoints, contains="good")
        collected = command(0, "checkpoint", "gc", self.checkpoints, "--older-than", "0ms")
        assert collected.startswith("0 files"), collected
        orphan = self.orphan()
        found = command(0, "checkpoint", "gc", self.checkpoints, "--delete", "--older-than", "0ms")
        assert orphan in found
        assert found.splitlines()[-1].startswith("1 files")
        self.hurry.touch()
        outcome = self.run()
        assert outcome.error is None, outcome.error
        assert self.results() == expected()
        # A finished job leaves nothing behind but what is the user's.
        file_system, path = get_file_system(self.checkpoints)
        if file_system.exists(path):
            collected = command(0, "checkpoint", "gc", self.checkpoints, "--older-than", "0ms")
            assert collected.startswith("0 files"), collected
        command(0, "checkpoint", "verify", savepoint, contains="good")

    def orphan(self):
        file_system, path = get_file_system(join(self.checkpoints, JOB_ID, "shared", "orphan"))
        file_system.write_bytes(path, b"orphan")
        return file_system.url(path)


def expected():
    sums, results = {}, []
    for value in range(1, RECORDS + 1):
        sums[value % 10] = sums.get(value % 10, 0) + value
        results.append(sums[value % 10])
    return sorted(results)


def command(code, *arguments, contains=""):
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == code, result.output
    assert contains in result.output
    return result.output


def check_files(url):
    """Check what the other modules expect of a file system."""
    file_system, root = get_file_system(url)
    file_system.make_directories(root)
    path = join(root, "data")
    output = file_system.create(path)
    output.write(b"one")
    assert not file_system.exists(path)
    output.write(b"two")
    output.publish()
    assert file_system.read_bytes(path) == b"onetwo"
    assert file_system.read_range(path, 2, 4) == b"et"
    assert file_system.read_range(path, 4, 40) == b"wo"
    assert [entry.name for entry in file_system.list(root)] == ["data"]
    assert file_system.entry(path).modified_ms > 0
    file_system.write_bytes(path, b"newer")
    assert file_system.read_bytes(path) == b"newer"
    with pytest.raises(FileExistsError):
        file_system.write_bytes(path, b"second", exclusive=True)
    assert file_system.read_bytes(path) == b"newer"
    file_system.write_bytes(join(root, "first"), b"first", exclusive=True)
    assert file_system.read_bytes(join(root, "first")) == b"first"
    dropped = file_system.create(join(root, "dropped"))
    dropped.write(b"x" * 100_000)
    dropped.discard()
    file_system.rename(path, join(root, "renamed"))
    assert sorted(entry.name for entry in file_system.list(root)) == ["first", "renamed"]
    with file_system.open_read(join(root, "renamed")) as reader:
        reader.seek(2)
        assert reader.read(2) == b"we"
    for name in ("first", "renamed", "missing"):
        file_system.delete(join(root, name))
    assert file_system.entry(path) is None
    with pytest.raises(FileNotFoundError):
        file_system.read_bytes(path)
    file_system.remove_directory(root)


def check_two_jobs(url):
    """Let two processes complete the same checkpoint: one of them must be told."""
    from millpond.checkpoint.directory import CheckpointDirectory
    from millpond.checkpoint.location import CheckpointLocation
    from millpond.formats.handles import CheckpointMetadata

    directory = CheckpointDirectory(url, JOB_ID, resolve=get_file_system, random=None)
    directory.initialize()
    location = CheckpointLocation(1, directory.create_checkpoint(1))
    directory.publish(location, CheckpointMetadata(1, ()), {})
    # The same once more, as after an answer that was lost.
    directory.publish(location, CheckpointMetadata(1, ()), {})
    other = CheckpointMetadata(2, ())
    with pytest.raises(CheckpointStorageError, match="already holds a complete one"):
        directory.publish(location, other, {})


@pytest.fixture
def cycle(tmp_path):
    return lambda root: Cycle(root, tmp_path / "failed")


@pytest.fixture(name="check_files")
def check_files_fixture():
    return check_files


@pytest.fixture(name="check_two_jobs")
def check_two_jobs_fixture():
    return check_two_jobs


# The system chooses the port when it is bound, so that nobody can take it in between.
S3_SERVER = """
import sys
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def s3_endpoint():
    """A moto server on loopback; the drivers find it by their usual environment variables."""
    pytest.importorskip("s3fs", reason="needs millpond[s3]")
    pytest.importorskip("moto", reason="needs moto[server]")
    server = subprocess.Popen(
        [sys.executable, "-c", S3_SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    with server, pytest.MonkeyPatch.context() as patch:
        port = server.stdout.readline().strip()
        assert port, "The moto server ended."
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield f"http://127.0.0.1:{port}"
        server.terminate()
