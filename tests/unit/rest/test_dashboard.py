"""The dashboard as a process of its own, over jobs of `millpond run`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest
from click.testing import CliRunner

from millpond.cli import main
from millpond.errors import CheckpointNotFoundError
from millpond.state_processor.savepoint import Savepoint

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")

HOSTILE = "<img src=x onerror=alert(1)>"
PROGRAM = '''
import sys
import time
from pathlib import Path

from millpond.common import Types
from millpond.datastream import RocksDBStateBackend, StreamExecutionEnvironment
from millpond.datastream.functions import KeyedProcessFunction, SourceFunction
from millpond.datastream.state import ValueStateDescriptor

name, checkpoints, signal = sys.argv[1:]


class Numbers(SourceFunction):
    """Many keys at first, afterwards a few of them again and again."""

    def run(self, ctx):
        number = 0
        while True:
            yield number if number < 5000 else number % 10
            number += 1
            if number >= 5000 and number % 20 == 0:
                time.sleep(0.01)


class Count(KeyedProcessFunction):
    def open(self, runtime_context):
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))
        self.text = runtime_context.get_state(ValueStateDescriptor("text", Types.STRING()))

    def process_element(self, value, ctx):
        count = (self.count.value() or 0) + 1
        self.count.update(count)
        self.text.update(f"{value * 2654435761 % 2**64:0100x}")
        if count % 10 == 0 and Path(signal).exists():
            raise ValueError("the water is <b>too high</b>")
        yield count


env = StreamExecutionEnvironment.get_execution_environment()
env.set_state_backend(RocksDBStateBackend(Path(checkpoints).as_uri(), True))
env.enable_checkpointing(150)
counted = env.add_source(Numbers()).uid("numbers").key_by(lambda value: value, Types.LONG())
counted.process(Count(), Types.LONG()).name("count").uid("count").filter(lambda _: False).print()
env.execute(name)
'''


class Machine:
    """Runs commands of Millpond as a user does, and asks the dashboard."""

    def __init__(self, directory):
        self._directory = directory
        self._processes = []
        self.program = directory / "job.py"
        self.program.write_text(PROGRAM)
        self._environment = {**os.environ, "MILLPOND_JOBS_DIR": str(directory / "j")}
        self._environment.pop("MILLPOND_DASHBOARD_TOKEN", None)

    def command(self, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", "from millpond.cli import main; main()", *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def job(self, name, *options):
        files = self._directory / "checkpoints", self._directory / f"fail-{len(self._processes)}"
        process = self.command("run", *options, str(self.program), name, *map(str, files))
        return process, files[1]

    def dashboard(self):
        process = self.command("dashboard", "--port", "0")
        line = process.stdout.readline()
        assert line.startswith("Dashboard: "), process.stderr.read()
        self.base, _, self.token = line.split()[1].partition("/#token=")
        return process

    def ask(self, path, method="GET", body=None, *, token=False):
        request = urllib.request.Request(
            self.base + path, None if body is None else json.dumps(body).encode(), method=method
        )
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def jobs(self):
        return {each["name"]: each for each in self.ask("/jobs/overview")[1]["jobs"]}

    def wait(self, found):
        for _ in range(3000):
            with contextlib.suppress(KeyError):
                if value := found():
                    return value
            threading.Event().wait(0.03)
        raise AssertionError(f"It does not come: {self.ask('/jobs/overview')}")

    def close(self):
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def machine(tmp_path_factory):
    # The path of a socket is short by nature.
    found = Machine(tmp_path_factory.mktemp("d"))
    yield found
    found.close()


def test_two_jobs_to_their_ends(machine, tmp_path):
    dashboard = machine.dashboard()
    levels, _ = machine.job("levels")
    _, fail = machine.job(HOSTILE, "-D", "restart-strategy.type=none")
    jobs = machine.wait(lambda: len(machine.jobs()) == 2 and machine.jobs())
    base = f"/jobs/{jobs['levels']['jid']}"

    def small_ones():
        """Of an incremental checkpoint the full size is not the size of what was written."""
        found = machine.ask(f"{base}/checkpoints")[1]
        sizes = [
            (each["checkpointed_size"], each["state_size"])
            for each in found["history"]
            if each["status"] == "COMPLETED"
        ]
        assert all(0 < written <= full for written, full in sizes)
        enough = found["counts"]["completed"] >= 4
        return enough and any(written * 2 < full for written, full in sizes) and found

    def many_records():
        found = machine.ask(base)[1]
        return found["vertices"][0]["metrics"]["write-records"] >= 5000 and found

    checkpoints = machine.wait(small_ones)
    job = machine.wait(many_records)
    assert job["state"] == "RUNNING"
    source, count = job["vertices"]
    assert 0 < count["metrics"]["read-records"] <= source["metrics"]["write-records"]
    newest = checkpoints["latest"]["completed"]["id"]
    status, details = machine.ask(f"{base}/checkpoints/details/{newest}/subtasks/{count['id']}")
    # It may have left the ten that are shown by now.
    assert status == 404 or details["subtasks"][0]["status"] == "completed"

    body = {"target-directory": (tmp_path / "savepoints").as_uri()}
    assert machine.ask(f"{base}/savepoints", "POST", body)[0] == 401
    _, begun = machine.ask(f"{base}/savepoints", "POST", body, token=True)
    location = finish(machine, f"{base}/savepoints/{begun['request-id']}")["location"]
    assert Savepoint.open(location).kind == "canonical"
    assert machine.ask(f"{base}/checkpoints")[1]["latest"]["savepoint"]["external_path"] == location
    _, begun = machine.ask(f"{base}/checkpoints", "POST", {}, token=True)
    assert finish(machine, f"{base}/checkpoints/{begun['request-id']}")["checkpointId"] > newest

    fail.touch()
    failed = machine.wait(
        lambda: machine.jobs()[HOSTILE]["state"] == "FAILED" and machine.jobs()[HOSTILE]
    )
    _, exceptions = machine.ask(f"/jobs/{failed['jid']}/exceptions")
    (entry,) = exceptions["exceptionHistory"]["entries"]
    assert (entry["exceptionName"], entry["taskName"]) == ("ValueError", "count (1/1)")
    assert "the water is <b>too high</b>" in entry["stacktrace"]

    body = {"targetDirectory": (tmp_path / "savepoints").as_uri()}
    _, begun = machine.ask(f"{base}/stop", "POST", body, token=True)
    Savepoint.open(finish(machine, f"{base}/savepoints/{begun['request-id']}")["location"])
    assert levels.wait(120) == 0
    machine.wait(lambda: machine.jobs()["levels"]["state"] == "FINISHED")
    assert machine.ask(f"{base}?mode=cancel", "PATCH", token=True)[0] == 409
    assert machine.ask("/overview")[1]["jobs-failed"] == 1

    _, begun = machine.ask("/savepoint-disposal", "POST", {"savepoint-path": location}, token=True)
    done = finish(machine, f"/savepoint-disposal/{begun['request-id']}")
    assert done == {"failure-cause": None}
    with pytest.raises(CheckpointNotFoundError):
        Savepoint.open(location)
    dashboard.send_signal(signal.SIGINT)
    assert dashboard.wait(60) == 0


def finish(machine, path):
    done = machine.wait(
        lambda: machine.ask(path)[1]["status"]["id"] == "COMPLETED" and machine.ask(path)[1]
    )
    return done["operation"]


def test_cancelled_and_killed(machine):
    machine.dashboard()
    cancelled, _ = machine.job("cancelled")
    killed, _ = machine.job("killed")
    machine.wait(
        lambda: (
            {each["state"] for each in machine.jobs().values()} == {"RUNNING"}
            and len(machine.jobs()) == 2
        )
    )
    job_id = machine.jobs()["cancelled"]["jid"]
    assert machine.ask(f"/jobs/{job_id}?mode=cancel", "PATCH")[0] == 401
    assert machine.ask(f"/jobs/{job_id}?mode=cancel", "PATCH", token=True) == (202, {})
    killed.kill()
    machine.wait(lambda: machine.jobs()["cancelled"]["state"] == "CANCELED")
    machine.wait(lambda: machine.jobs()["killed"]["state"] == "SUSPENDED")
    assert cancelled.wait(120) != 0
    job_id = machine.jobs()["killed"]["jid"]
    _, exceptions = machine.ask(f"/jobs/{job_id}/exceptions")
    assert "ended without a word" in exceptions["root-exception"]


def test_missing_packages_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("MILLPOND_JOBS_DIR", str(tmp_path / "j"))
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    refused = CliRunner().invoke(main, ["dashboard", "--port", "0"])
    assert refused.exit_code == 1
    assert "The dashboard needs packages that are not installed." in refused.stderr
    assert "pip install 'millpond[dashboard]'" in refused.stderr


def test_bad_options_are_named():
    refused = CliRunner().invoke(main, ["dashboard", "-D", "rest.bind-port=mill"])
    assert refused.exit_code == 1
    assert "'mill' in 'rest.bind-port' is no port" in refused.stderr
