"""`millpond run` forgets no job of a program; a plain program says which it left."""

from __future__ import annotations

import logging
import re

import pytest
from click.testing import CliRunner

from millpond.cli import main
from millpond.datastream import StreamExecutionEnvironment

PROGRAM = """
import time
from millpond.datastream import StreamExecutionEnvironment

def slowly(value):
    time.sleep(0.001)
    return value{end}

env = StreamExecutionEnvironment.get_execution_environment()
env.from_collection(list(range(30))).map(slowly).print()
{call}
print("end of program")
"""


def run(tmp_path, call, end=""):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.format(call=call, end=end))
    return CliRunner().invoke(main, ["run", "--in-process", str(path)])


def test_a_job_that_was_left_is_waited_for(tmp_path):
    result = run(tmp_path, "env.execute_async()")
    assert result.exit_code == 0
    assert sorted(result.stdout.split()) == sorted(["end", "of", "program", *map(str, range(30))])


def test_its_failure_is_the_programs(tmp_path):
    result = run(tmp_path, "env.execute_async()", " // (value - 20)")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr


def test_a_job_that_the_program_ended_is_not_asked(tmp_path):
    result = run(tmp_path, "env.execute_async().cancel().result()")
    assert result.exit_code == 0


def test_a_forgotten_execute_is_an_error(tmp_path):
    result = run(tmp_path, "")
    assert result.exit_code == 1
    assert "The program started no job. Perhaps it does not call execute()" in result.stderr


@pytest.fixture
def at_exit(monkeypatch):
    called = []
    monkeypatch.setattr("atexit.register", called.append)
    return called


def test_a_program_that_ends_before_its_job_warns(at_exit, caplog):
    env = StreamExecutionEnvironment.get_execution_environment()
    env.from_collection(range(10**6)).map(str).print()
    client = env.execute_async("long")
    with caplog.at_level(logging.WARNING):
        at_exit[0]()
    assert "The program ends, and job 'long' with it." in caplog.text
    client.cancel().result()
    caplog.clear()
    at_exit[0]()
    assert caplog.text == ""


def test_a_failure_nobody_asked_for_is_told(at_exit, caplog):
    env = StreamExecutionEnvironment.get_execution_environment()
    env.from_collection([0]).map(lambda value: 1 // value).print()
    client = env.execute_async("wrong")
    client._done.result(120)
    at_exit[0]()
    assert "Job 'wrong' failed, and its result was not asked for." in caplog.text
    assert "ZeroDivisionError" in caplog.text
    with pytest.raises(ZeroDivisionError):
        client.get_job_execution_result().result()
    caplog.clear()
    at_exit[0]()
    assert re.search("failed", caplog.text) is None
