"""The supervised engine: a worker process that fails, dies, and is replaced."""

from __future__ import annotations

import os
import signal
import time

import pytest

from millpond.common import RestartStrategies
from millpond.datastream import FsStateBackend, StreamExecutionEnvironment
from millpond.datastream.engine import Launch, LaunchWith
from millpond.engines.supervised import SupervisedEngine
from millpond.errors import ConfigurationError, WorkerLostError


@pytest.fixture
def env(tmp_path):
    with LaunchWith(Launch(SupervisedEngine())):
        one = StreamExecutionEnvironment.get_execution_environment()
    one.set_state_backend(FsStateBackend((tmp_path / "checkpoints").as_uri()))
    return one


def test_the_users_exception_keeps_its_type_text_and_traceback(env):
    class BrokenError(Exception):
        def __init__(self, what, why):
            super().__init__(f"{what} because of {why}")
            self.what = what

    def fail(value):
        raise BrokenError("it broke", value)

    env.from_collection([7]).map(fail).name("breaker")
    with pytest.raises(BrokenError, match="it broke because of 7") as caught:
        env.execute()
    assert caught.value.what == "it broke"
    notes = "\n".join(caught.value.__notes__)
    assert "Traceback in the worker process" in notes
    assert 'raise BrokenError("it broke", value)' in notes
    assert "operator: breaker" in notes


def test_files_in_the_memory_of_another_process_are_refused(env):
    env.set_state_backend(FsStateBackend("memory:///checkpoints"))
    env.from_collection([7]).print()
    with pytest.raises(ConfigurationError, match=r"memory of one process.*MemoryStateBackend"):
        env.execute()


def test_an_exception_that_cannot_be_pickled_still_says_what_happened(env):
    def fail(value):
        error = ValueError("holds a generator")
        error.generator = (number for number in ())
        raise error

    env.from_collection([7]).map(fail)
    with pytest.raises(Exception, match="holds a generator"):
        env.execute()


def test_a_killed_worker_without_restarts_is_a_named_error(env):
    env.from_collection([7]).map(lambda value: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(WorkerLostError, match="killed by SIGKILL"):
        env.execute()


def test_a_killed_worker_is_replaced_and_results_come_once(env, tmp_path):
    def die_twice(value):
        marker = tmp_path / f"died at {value}"
        if value in {500, 900} and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if value % 16 == 0:
            time.sleep(0.001)
        return value

    env.enable_checkpointing(10)
    env.set_restart_strategy(RestartStrategies.fixed_delay_restart(3, 1))
    stream = env.from_collection(range(1000)).map(die_twice)
    with stream.execute_and_collect() as results:
        assert list(results) == list(range(1000))
    assert len(list(tmp_path.glob("died*"))) == 2
