"""Attempts and jobs of one process keep nothing of those before them."""

from __future__ import annotations

import gc
import logging
import sys
import weakref
from typing import ClassVar

import pytest

from millpond.common import Configuration, RestartStrategies, Types
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.state import ValueStateDescriptor
from millpond.runtime import garbage_collection

RESTARTS = 3


class Failing(KeyedProcessFunction):
    functions: ClassVar[weakref.WeakSet] = weakref.WeakSet()
    alive: ClassVar[tuple] = ()
    failed = 0

    def open(self, runtime_context):
        self.state = runtime_context.get_state(ValueStateDescriptor("state", Types.LONG()))
        Failing.functions.add(self)
        Failing.alive = (*Failing.alive, len(Failing.functions))

    def process_element(self, value, ctx):
        self.state.update(value)
        if value == 50 and Failing.failed < RESTARTS:
            Failing.failed += 1
            raise RuntimeError("on purpose")
        yield value


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
def test_state_of_failed_attempts_is_freed(backend, caplog):
    caplog.set_level(logging.CRITICAL, "millpond")  # it keeps what is logged: the failures
    Failing.functions = weakref.WeakSet()
    Failing.alive, Failing.failed = (), 0
    configuration = Configuration.from_dict({"state.backend.type": backend})
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_restart_strategy(RestartStrategies.fixed_delay_restart(RESTARTS, 1))
    numbers = env.from_collection(list(range(100)), Types.LONG())
    results = numbers.key_by(lambda value: value, Types.LONG()).process(Failing(), Types.LONG())
    with results.execute_and_collect() as collected:
        assert sorted(collected) == list(range(100))
    assert Failing.failed == RESTARTS
    assert Failing.alive == (1,) * (RESTARTS + 1)


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
def test_state_of_jobs_that_have_ended_does_not_pile_up(backend, monkeypatch):
    gc.collect()
    monkeypatch.setattr(garbage_collection, "_blocks_before", sys.getallocatedblocks() // 2)
    Failing.functions = weakref.WeakSet()
    Failing.alive, Failing.failed = (), RESTARTS
    for _ in range(2):
        configuration = Configuration.from_dict({"state.backend.type": backend})
        env = StreamExecutionEnvironment.get_execution_environment(configuration)
        numbers = env.from_collection(list(range(100)), Types.LONG())
        keyed = numbers.key_by(lambda value: value, Types.LONG())
        with keyed.process(Failing(), Types.LONG()).execute_and_collect() as collected:
            assert len(list(collected)) == 100
        del env, numbers, keyed, collected
        garbage_collection._blocks_before = sys.getallocatedblocks() // 2
    assert Failing.alive == (1, 1)


def test_nothing_is_collected_where_little_was_left_or_the_collector_is_off(monkeypatch):
    collected = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(1))
    monkeypatch.setattr(garbage_collection, "_blocks_before", 0)
    garbage_collection.collect_ended_jobs(restarted=True)
    assert not collected  # the first job of a process
    garbage_collection.collect_ended_jobs(restarted=False)
    assert not collected
    monkeypatch.setattr(gc, "isenabled", lambda: False)
    garbage_collection.collect_ended_jobs(restarted=True)
    assert not collected
    monkeypatch.setattr(gc, "isenabled", lambda: True)
    garbage_collection.collect_ended_jobs(restarted=True)
    assert collected
