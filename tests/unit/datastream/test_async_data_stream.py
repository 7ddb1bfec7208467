"""`AsyncDataStream`: what it refuses, and whole jobs with asynchronous calls."""

import asyncio
import threading

import pytest

from millpond.common import Duration, Time, Types
from millpond.datastream import (
    AsyncDataStream,
    AsyncFunction,
    OutputTag,
    StreamExecutionEnvironment,
)
from millpond.datastream.async_retry_strategies import AsyncRetryStrategy
from millpond.errors import InvalidProgramError

RETRY = AsyncRetryStrategy.fixed_delay(3, 1, None, lambda error: isinstance(error, OSError))


class Twice(AsyncFunction):
    async def async_invoke(self, value):
        await asyncio.sleep(0.001 * (value % 3))
        return [value, value]


class Blocking(AsyncFunction):
    def async_invoke(self, value):
        return [value]


@pytest.fixture
def env():
    return StreamExecutionEnvironment.get_execution_environment()


@pytest.fixture
def numbers(env):
    return env.from_collection(list(range(20)), Types.INT())


@pytest.mark.parametrize(
    ("function", "timeout", "settings", "message"),
    [
        (lambda value: [value], 10, {}, "needs an AsyncFunction"),
        (Blocking(), 10, {}, "Blocking.async_invoke is no coroutine function. Write `async def"),
        (Twice(), "soon", {}, "The timeout must be a time, not 'soon'"),
        (Twice(), -1, {}, "The timeout of Twice is -1 ms. It must be above 0 with retries"),
        (Twice(), 10, {"capacity": 0}, "The capacity of Twice must be 1 or more, not 0"),
        (Twice(), 10, {"capacity": None}, "The capacity of Twice must be 1 or more, not None"),
    ],
)
@pytest.mark.parametrize("wait", [AsyncDataStream.ordered_wait, AsyncDataStream.unordered_wait])
def test_what_cannot_run_is_refused_at_once(numbers, wait, function, timeout, settings, message):
    with pytest.raises(InvalidProgramError) as caught:
        wait(numbers, function, timeout, **settings)
    assert message in str(caught.value)


def test_retries_need_a_timeout_and_a_strategy(numbers):
    with pytest.raises(InvalidProgramError, match="must be above 0 with retries"):
        AsyncDataStream.ordered_wait_with_retry(numbers, Twice(), Time.seconds(0), RETRY)
    with pytest.raises(InvalidProgramError, match="'often' is no AsyncRetryStrategy"):
        AsyncDataStream.unordered_wait_with_retry(numbers, Twice(), Time.seconds(1), "often")
    with pytest.raises(InvalidProgramError, match=r"made of a DataStream, not \[1\]"):
        AsyncDataStream.unordered_wait([1], Twice(), 10)


@pytest.mark.parametrize("parallelism", [1, 2])
def test_ordered_and_unordered_results(env, numbers, parallelism):
    env.set_parallelism(parallelism)
    both = AsyncDataStream.ordered_wait(
        numbers.key_by(lambda value: value % 4), Twice(), Duration.of_seconds(9), 3, Types.INT()
    ).union(AsyncDataStream.unordered_wait(numbers, Twice(), Time.seconds(9), 3, Types.INT()))
    results = list(both.execute_and_collect())
    assert sorted(results) == sorted(list(range(20)) * 4)


def test_order_is_kept_and_a_retried_call_holds_up_those_behind_it(numbers):
    class Flaky(AsyncFunction):
        def open(self, runtime_context):
            self.failed = set()
            self.thread = threading.get_ident()

        async def async_invoke(self, value):
            assert threading.get_ident() == self.thread
            if value % 2 and value not in self.failed:
                self.failed.add(value)
                raise OSError(value)
            return [value]

    stream = AsyncDataStream.ordered_wait_with_retry(numbers, Flaky(), Time.seconds(9), RETRY)
    assert list(stream.execute_and_collect()) == list(range(20))


def test_results_may_go_to_a_side_output(numbers):
    odd = OutputTag("odd", Types.INT())

    class Sorting(AsyncFunction):
        async def async_invoke(self, value):
            return [(odd, value)] if value % 2 else [value]

    stream = AsyncDataStream.ordered_wait(numbers, Sorting(), Time.seconds(9))
    aside = stream.get_side_output(odd).map(lambda value: -value)
    assert sorted(stream.union(aside).execute_and_collect()) == [
        *range(-19, 0, 2),
        *range(0, 20, 2),
    ]


def test_the_users_exception_comes_out_with_operator_and_record(numbers):
    class Broken(AsyncFunction):
        async def async_invoke(self, value):
            raise KeyError(value)

    stream = AsyncDataStream.unordered_wait(numbers, Broken(), Time.seconds(9)).name("look up")
    with pytest.raises(KeyError) as caught:
        list(stream.execute_and_collect())
    assert caught.value.__notes__ == [
        "Raised in Broken.async_invoke [operator: look up, subtask: 1/1, record: 0]"
    ]
