"""Steering a running job from another process: sockets, requests, commands."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from millpond.cli import main
from millpond.common.configuration import Configuration
from millpond.common.typeinfo import Types
from millpond.datastream import FsStateBackend, StreamExecutionEnvironment
from millpond.datastream.engine import Launch, LaunchWith
from millpond.datastream.functions import KeyedProcessFunction, SourceFunction
from millpond.datastream.state import ValueStateDescriptor
from millpond.engines import control_client, control_directory
from millpond.engines.control_client import ask_job, running_jobs
from millpond.engines.control_server import ControlServer
from millpond.engines.embedded import EmbeddedEngine
from millpond.errors import ConfigurationError, JobNotFoundError, JobRequestError
from millpond.state_processor.savepoint import Savepoint

# What takes longer has come to nothing.
PATIENCE_SECONDS = 120

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")


class Endless(SourceFunction):
    def run(self, ctx):
        number = 0
        while True:
            yield number
            number += 1


class Count(KeyedProcessFunction):
    def open(self, runtime_context):
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))

    def process_element(self, value, ctx):
        self.count.update((self.count.value() or 0) + 1)


@pytest.fixture
def jobs_directory(tmp_path_factory, monkeypatch):
    # The path of a socket is short by nature.
    directory = tmp_path_factory.mktemp("j") / "d"
    monkeypatch.setenv("MILLPOND_JOBS_DIR", str(directory))
    # A loaded machine may be slower than what a user is asked to wait.
    monkeypatch.setattr(control_client, "_STATUS_SECONDS", PATIENCE_SECONDS)
    return directory


@pytest.fixture
def job(tmp_path, jobs_directory):
    configuration = Configuration()
    configuration.set_string("io.tmp.dirs", str(tmp_path / "temporary"))
    engine = EmbeddedEngine(controlled=True)
    with LaunchWith(Launch(engine)):
        env = StreamExecutionEnvironment.get_execution_environment(configuration)
        env.set_state_backend(FsStateBackend((tmp_path / "checkpoints").as_uri()))
        env.add_source(Endless()).uid("numbers").key_by(lambda value: value % 3).process(
            Count()
        ).uid("count")
        client = env.execute_async("the job")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(one["status"] == "RUNNING" for one in running_jobs().answering):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield client
    client.cancel().result(PATIENCE_SECONDS)


def test_a_job_is_listed_while_it_runs(job, jobs_directory):
    (found,) = running_jobs().answering
    assert found["job_id"] == str(job.get_job_id())
    assert (found["name"], found["status"], found["process_id"]) == (
        "the job",
        "RUNNING",
        os.getpid(),
    )
    socket_file = jobs_directory / f"{found['job_id']}.sock"
    assert stat.S_IMODE(socket_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(jobs_directory.stat().st_mode) == 0o700
    shown = CliRunner().invoke(main, ["list"])
    assert found["job_id"] in shown.stdout
    assert "the job" in shown.stdout
    job.cancel().result(PATIENCE_SECONDS)
    assert not any(running_jobs())
    assert CliRunner().invoke(main, ["list"]).stdout == "No job of `millpond run` is running.\n"


def test_savepoints_and_stop_by_command(job, tmp_path):
    target = (tmp_path / "savepoints").as_uri()
    job_id = str(job.get_job_id())
    taken = CliRunner().invoke(main, ["savepoint", "trigger", "the job", target])
    assert taken.exit_code == 0
    assert Savepoint.open(taken.stdout.strip()).kind == "canonical"
    # A SourceFunction without state of its own leaves nothing behind but the watermark.
    assert taken.stderr.startswith("Apache Flink cannot use: ")
    taken = CliRunner().invoke(main, ["checkpoint", "trigger", "the job"])
    assert taken.stdout.strip().endswith("/chk-2"), taken.stderr
    assert job.trigger_checkpoint().result(PATIENCE_SECONDS).endswith("/chk-3")
    stopped = CliRunner().invoke(main, ["stop", job_id[:8], "-p", target, "--drain"])
    assert stopped.exit_code == 0, stopped.stderr
    Savepoint.open(stopped.stdout.strip())
    job.get_job_execution_result().result(PATIENCE_SECONDS)


@pytest.mark.parametrize("drain", [[], ["--drain"]])
def test_a_job_goes_on_where_its_savepoint_cannot_be(job, tmp_path, drain):
    (tmp_path / "file").touch()
    target = (tmp_path / "file" / "savepoints").as_uri()
    refused = CliRunner().invoke(main, ["stop", "the job", "-p", target, *drain])
    assert refused.exit_code == 1
    assert "A part of the path is a file; choose another directory." in refused.stderr
    refused = CliRunner().invoke(main, ["stop", "the job", *drain])
    assert refused.exit_code == 1
    assert "No directory for the savepoint is given." in refused.stderr
    assert [each["status"] for each in running_jobs().answering] == ["RUNNING"]
    target = tmp_path / "savepoints"
    stopped = CliRunner().invoke(main, ["stop", "the job", target.as_uri(), *drain])
    assert stopped.exit_code == 0, stopped.stderr
    # The place was tried, and what was made for it is gone.
    (path,) = target.iterdir()
    assert stopped.stdout.strip() == path.as_uri()


def test_cancel_with_savepoint_by_command(job, tmp_path):
    target = (tmp_path / "savepoints").as_uri()
    done = CliRunner().invoke(main, ["cancel", "the job", "-s", target, "-p", target])
    assert (done.exit_code, "DIRECTORY or -p" in done.stderr) == (2, True)
    done = CliRunner().invoke(main, ["cancel", "the job", "-s", target])
    assert done.exit_code == 0, done.stderr
    Savepoint.open(done.stdout.strip())
    assert job.get_job_status().result(PATIENCE_SECONDS).name == "CANCELED"


def test_cancel_with_savepoint_by_the_client(job, tmp_path):
    target = (tmp_path / "savepoints").as_uri()
    path = job.cancel_with_savepoint(target).result(PATIENCE_SECONDS)
    assert Savepoint.open(path).kind == "canonical"
    assert job.get_job_status().result(PATIENCE_SECONDS).name == "CANCELED"


def test_what_the_job_refuses_is_the_commands_error(job):
    refused = CliRunner().invoke(main, ["savepoint", "trigger", "the job"])
    assert refused.exit_code == 1
    assert "savepoint" in refused.stderr
    with pytest.raises(JobRequestError, match="no command 'dance'"):
        ask_job("the job", {"command": "dance"})
    with pytest.raises(JobRequestError, match="KeyError"):
        ask_job("the job", {"command": "stop"})


def test_unknown_jobs_are_named(jobs_directory):
    with pytest.raises(JobNotFoundError, match="No running job is called 'x'") as caught:
        ask_job("x", {"command": "cancel"})
    assert "none" in caught.value.hint


def test_a_job_that_does_not_answer_is_said(jobs_directory, monkeypatch):
    monkeypatch.setattr(control_client, "_STATUS_SECONDS", 0.02)
    control_directory.control_directory(create=True)
    job_id = "ab" * 16
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as busy:
        busy.bind(str(jobs_directory / f"{job_id}.sock"))
        busy.listen()
        assert running_jobs() == ([], {job_id: "it did not answer within 0.02 s"})
        shown = CliRunner().invoke(main, ["list"])
        assert shown.exit_code == 0
        assert f"{job_id}  it did not answer within 0.02 s; ask again" in shown.stdout
        (line,) = CliRunner().invoke(main, ["list", "--json"]).stdout.splitlines()
        assert json.loads(line) == {
            "job_id": job_id,
            "status": "UNKNOWN",
            "problem": "it did not answer within 0.02 s",
        }
        with pytest.raises(JobNotFoundError, match="No running job") as caught:
            ask_job("by its name", {"command": "cancel"})
        assert f"{job_id} (it did not answer within 0.02 s)" in caught.value.hint


def test_a_job_that_is_busy_is_waited_for(jobs_directory, monkeypatch):
    monkeypatch.setattr(control_client, "_STATUS_SECONDS", 0.02)
    control_directory.control_directory(create=True)
    job_id = "ab" * 16
    asked = []

    def answer_the_second(busy):
        waiting, _ = busy.accept()
        with waiting:
            connection, _ = busy.accept()
            with connection, connection.makefile("rwb") as stream:
                asked.append(json.loads(stream.readline()))
                stream.write(b'{"path": "x"}\n')

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as busy:
        busy.bind(str(jobs_directory / f"{job_id}.sock"))
        busy.listen()
        server = threading.Thread(target=answer_the_second, args=(busy,))
        server.start()
        assert ask_job("abab", {"command": "checkpoint"}) == {"path": "x"}
        server.join()
    assert asked == [{"command": "checkpoint"}]


def test_a_socket_left_over_is_removed(jobs_directory):
    control_directory.control_directory(create=True)
    left = jobs_directory / f"{'0' * 32}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.bind(str(left))
    assert not any(running_jobs())
    assert not left.exists()


def test_a_second_job_of_the_same_id_leaves_the_socket_to_the_first(job, caplog):
    job_id = str(job.get_job_id())
    with ControlServer(None, job_id, 0):
        assert "a job with this id runs already" in caplog.text
    assert [one["job_id"] for one in running_jobs().answering] == [job_id]


def test_a_directory_that_others_can_use_is_refused(jobs_directory, caplog):
    jobs_directory.mkdir(mode=0o755)
    jobs_directory.chmod(0o755)
    with pytest.raises(ConfigurationError, match="alone"):
        running_jobs()
    # The job runs all the same.
    with ControlServer(None, "0" * 32, 0):
        pass
    assert "cannot be steered" in caplog.text


def test_the_job_does_not_end_before_it_has_answered(jobs_directory):
    asked, release = threading.Event(), threading.Event()

    class Stopped:
        def result(self):
            asked.set()
            assert release.wait(PATIENCE_SECONDS)
            return "file:///savepoint"

    class Manager:
        coordinator = SimpleNamespace(
            graph=SimpleNamespace(name="the job"), store=SimpleNamespace(latest=None)
        )
        status = SimpleNamespace(name="RUNNING")

        def stop(self, directory, **options):
            return Stopped()

    server = ControlServer(Manager(), "0" * 32, 0)
    answers = []
    request = {"command": "stop", "directory": None, "drain": False, "format": "canonical"}
    server.__enter__()
    asking = threading.Thread(target=lambda: answers.append(ask_job("the job", request)))
    asking.start()
    assert asked.wait(PATIENCE_SECONDS)
    leaving = threading.Thread(target=server.__exit__, args=(None, None, None))
    leaving.start()
    leaving.join(0.05)
    assert leaving.is_alive()
    release.set()
    leaving.join(PATIENCE_SECONDS)
    asking.join(PATIENCE_SECONDS)
    assert answers == [{"path": "file:///savepoint"}]


def test_a_report_now_and_at_the_end(job):
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(ask_job("the job", {"command": "report", "at": "end"}))
    )
    asking.start()
    now = ask_job("the job", {"command": "report", "checkpoints": 3})
    assert (now["status"], now["name"], now["process_id"]) == ("RUNNING", "the job", os.getpid())
    job.cancel().result(PATIENCE_SECONDS)
    asking.join(PATIENCE_SECONDS)
    (end,) = answers
    assert (end["status"], end["job_id"]) == ("CANCELED", now["job_id"])
    assert end["ended_ms"] == end["status_times"]["CANCELED"]
