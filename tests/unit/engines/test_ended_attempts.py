"""A job that starts again in the same process keeps nothing of the attempts before."""

from __future__ import annotations

import weakref
from typing import ClassVar

import pytest

from millpond.common import Configuration, RestartStrategies, Types
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.state import ValueStateDescriptor

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
def test_state_of_failed_attempts_is_freed(backend):
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
