"""Asynchronous calls of one subtask: order, watermarks, capacity, time-outs, retries, restore."""

import asyncio

import pytest

from millpond.clock import ManualClock
from millpond.common.typeinfo import Types
from millpond.datastream.async_retry_strategies import AsyncRetryStrategy, NoRetryStrategy
from millpond.datastream.functions import AsyncFunction, AsyncFunctionDescriptor
from millpond.datastream.operator_spec import AsyncWaitSpec
from millpond.errors import UserCodeError
from millpond.metrics.registry import MetricRegistry
from millpond.operators.async_wait import AsyncWaitOperator
from millpond.operators.batch import Batch
from millpond.operators.operator import Ending, OperatorContext
from millpond.state.operator_state.backend import OperatorStateBackend

MODES = AsyncFunctionDescriptor.OutputMode


class Steered(AsyncFunction):
    """Answers when the test says so."""

    def __init__(self):
        self.started = []
        self.waiting = {}
        self.timed_out = []

    async def async_invoke(self, value):
        self.started.append(value)
        self.waiting[value] = asyncio.get_running_loop().create_future()
        return await self.waiting[value]

    def timeout(self, value):
        self.timed_out.append(value)
        return [f"too late {value}"]

    def answer(self, *values):
        for value in values:
            self.waiting[value].set_result([value])


class Scripted(AsyncFunction):
    """Takes as many ms as the record says, or raises."""

    def __init__(self, outcomes=None):
        self.calls = []
        self.outcomes = outcomes or {}

    async def async_invoke(self, value):
        self.calls.append(value)
        outcomes = self.outcomes.get(value)
        if outcomes:
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        await asyncio.sleep(value / 1000)
        return [value]


class Log:
    """What the operator emits, watermarks among the results."""

    def __init__(self):
        self.seen = []

    def emit(self, batch):
        times = batch.timestamps or [None] * len(batch.values)
        self.seen.extend(zip(batch.values, times, strict=True))

    def emit_watermark(self, timestamp):
        self.seen.append(f"watermark {timestamp}")

    def emit_idle(self, *, idle):
        self.seen.append(f"idle {idle}")

    def emit_side(self, tag_id, batch):
        self.seen.extend((tag_id, value) for value in batch.values)

    def take(self):
        taken, self.seen = self.seen, []
        return taken


class Harness:
    def __init__(self, function, mode=MODES.ORDERED, *, state=None, **settings):
        self.clock = ManualClock()
        self.output = Log()
        self.function = function
        self.state = state or OperatorStateBackend("async")
        strategy = settings.pop("strategy", NoRetryStrategy())
        timeout_ms = settings.pop("timeout_ms", 1000)
        descriptor = AsyncFunctionDescriptor(
            function, timeout_ms, settings.pop("capacity", 100), strategy, mode
        )
        self.operator = AsyncWaitOperator(AsyncWaitSpec(descriptor, timeout_ms, Types.INT()))
        self.operator.setup(
            OperatorContext(
                job_id="0" * 32,
                job_name="job",
                operator_id=b"o" * 16,
                name="async",
                subtask_index=0,
                parallelism=settings.pop("parallelism", 1),
                max_parallelism=128,
                attempt=0,
                clock=self.clock,
                output=self.output,
                metric_group=MetricRegistry().group({}),
                operator_state=self.state,
            )
        )
        assert not settings
        self.operator.initialize_state()
        self.operator.open()

    def send(self, *values, time=None):
        self.operator.process_batch(
            Batch(list(values), None if time is None else [time] * len(values))
        )
        return self.output.take()

    def watermark(self, timestamp):
        self.operator.process_watermark(timestamp)
        return self.output.take()

    def turn(self, milliseconds=0):
        """Let the worker come by once."""
        self.clock.advance(milliseconds)
        due = self.operator.next_processing_time()
        if due is not None and due <= self.clock.now_ms():
            self.operator.process_processing_time(self.clock.now_ms())
        return self.output.take()

    def answer(self, *values):
        self.function.answer(*values)
        return self.turn()

    def restored(self, function, **settings):
        """Snapshot, and open another operator from it."""
        self.operator.prepare_snapshot(1)
        self.operator.snapshot_state(1, 0)
        state = OperatorStateBackend("async")
        for name, listed in self.state._lists.items():
            state._lists[name] = type(listed)(
                listed.name, listed.mode, listed.coder, listed.get(), "async"
            )
        self.operator.close()
        return Harness(function, state=state, **settings)


@pytest.fixture
def run():
    opened = []

    def start(function, *arguments, **settings):
        harness = Harness(function, *arguments, **settings)
        opened.append(harness)
        return harness

    yield start
    for harness in opened:
        harness.operator.close()


def test_ordered_results_wait_for_those_before_them(run):
    one = run(Steered())
    assert one.send(1, 2, 3, time=5) == []
    assert one.function.started == [1, 2, 3]
    assert one.answer(3, 2) == []
    assert one.answer(1) == [(1, 5), (2, 5), (3, 5)]


def test_unordered_results_come_as_they_are_ready(run):
    one = run(Steered(), MODES.UNORDERED)
    one.send(1, 2, 3, time=5)
    assert one.answer(3, 1) == [(3, 5), (1, 5)]
    assert one.answer(2) == [(2, 5)]


@pytest.mark.parametrize("mode", list(MODES))
def test_watermarks_are_not_overtaken_and_overtake_nothing(run, mode):
    one = run(Steered(), mode)
    assert one.watermark(1) == ["watermark 1"]
    one.send(1, 2, time=5)
    assert one.watermark(4) == []
    one.send(3, time=6)
    assert one.watermark(5) == []
    assert one.answer(3) == []
    assert one.answer(1) == [(1, 5)]
    assert one.answer(2) == [(2, 5), "watermark 4", (3, 6), "watermark 5"]
    one.operator.process_idle(idle=True)
    assert one.output.take() == ["idle True"]


def test_a_full_operator_waits_for_a_free_place(run):
    one = run(Scripted(), MODES.UNORDERED, capacity=2)
    # The clock is moved by the waiting itself: each wait ends with the next answer.
    assert one.send(30, 10, 25, 5) == [(10, None), (30, None)]
    assert one.clock.now_ms() == 30
    assert one.function.calls == [30, 10, 25, 5]
    assert {*one.turn(5), *one.turn()} == {(25, None), (5, None)}


@pytest.mark.parametrize("mode", list(MODES))
def test_a_call_that_takes_too_long_gives_what_timeout_returns(run, mode):
    one = run(Steered(), mode, timeout_ms=100)
    one.send(1, 2)
    assert one.turn(60) == []
    one.send(3)
    assert one.answer(2) == ([] if mode is MODES.ORDERED else [(2, None)])
    late = [("too late 1", None)]
    assert one.turn(50) == ([*late, (2, None)] if mode is MODES.ORDERED else late)
    assert one.function.timed_out == [1]
    assert one.turn(60) == [("too late 3", None)]
    assert one.function.waiting[3].cancelled()
    assert one.turn(1000) == []


def test_without_a_timeout_calls_may_take_for_ever(run):
    one = run(Scripted(), timeout_ms=0)
    one.send(1_000_000)
    assert one.turn(999_999) == []
    assert one.turn(1) == [(1_000_000, None)]


def test_a_call_that_takes_too_long_fails_the_task_by_default(run):
    one = run(Scripted(), timeout_ms=10)
    one.send(50)
    with pytest.raises(UserCodeError, match=r"Scripted.timeout raised TimeoutError.*record: 50"):
        one.turn(11)


@pytest.mark.parametrize("mode", list(MODES))
def test_an_exception_fails_the_task_at_once(run, mode):
    one = run(Scripted({2: [ValueError("no")]}), mode)
    with pytest.raises(UserCodeError) as caught:
        one.send(10, 2, 30)
    assert str(caught.value) == (
        "Scripted.async_invoke raised ValueError: no. [operator: async, subtask: 1/1, record: 2]"
    )
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("result", [None, 5, "text", {"a": 1}])
def test_results_must_be_a_list(run, result):
    one = run(Scripted({1: [result]}))
    with pytest.raises(UserCodeError, match="must return a list of results"):
        one.send(1)


def test_exceptions_and_results_are_tried_again_with_a_fixed_delay(run):
    strategy = AsyncRetryStrategy.fixed_delay(
        3, 100, lambda results: results == [], lambda error: isinstance(error, OSError)
    )
    outcomes = {1: [OSError(), [], OSError(), [7]]}
    one = run(Scripted(outcomes), strategy=strategy, timeout_ms=10_000)
    assert one.send(1) == []
    assert [one.turn(99), len(one.function.calls)] == [[], 1]
    assert [one.turn(1), len(one.function.calls)] == [[], 2]
    assert [one.turn(100), len(one.function.calls)] == [[], 3]
    assert one.turn(100) == [(7, None)]


def test_the_last_outcome_counts_when_tries_are_used_up(run):
    strategy = AsyncRetryStrategy.fixed_delay(2, 1, lambda results: not results, lambda _: True)
    one = run(Scripted({1: [[], [], []]}), strategy=strategy)
    one.send(1)
    one.turn(1)
    assert one.turn(1) == []
    assert len(one.function.calls) == 3
    assert not one.operator._queue.calls
    failing = run(Scripted({1: [OSError("a"), OSError("b"), OSError("c")]}), strategy=strategy)
    failing.send(1)
    failing.turn(1)
    with pytest.raises(UserCodeError, match="OSError: c"):
        failing.turn(1)


def test_delays_grow_up_to_a_limit(run):
    strategy = AsyncRetryStrategy.exponential_backoff(9, 10, 35, 2.0, None, lambda _: True)
    one = run(Scripted({1: [OSError()] * 4 + [[1]]}), strategy=strategy)
    one.send(1)
    for delay in (10, 20, 35):
        assert one.turn(delay - 1) == []
        calls = len(one.function.calls)
        assert one.turn(1) == []
        assert len(one.function.calls) == calls + 1
    assert one.turn(35) == [(1, None)]


def test_the_timeout_covers_all_tries(run):
    strategy = AsyncRetryStrategy.fixed_delay(100, 40, None, lambda _: True)
    one = run(Scripted({1: [OSError()] * 100}), strategy=strategy, timeout_ms=100)
    one.send(1)
    one.turn(40)
    one.turn(40)
    with pytest.raises(UserCodeError, match="TimeoutError"):
        one.turn(40)
    assert len(one.function.calls) == 3


def test_a_predicate_that_raises_fails_the_task(run):
    strategy = AsyncRetryStrategy.fixed_delay(3, 1, lambda results: results.x, None)
    one = run(Scripted({1: [[1]]}), strategy=strategy)
    with pytest.raises(UserCodeError, match="AttributeError"):
        one.send(1)


def test_the_end_of_input_waits_for_all_calls(run):
    one = run(Scripted())
    one.send(30, 10)
    assert one.operator.end_input() is Ending.WAITING
    one.turn(20)
    assert one.operator.end_input() is Ending.WAITING
    assert one.turn(10) == [(30, None), (10, None)]
    assert one.operator.end_input() is Ending.DONE


def test_at_the_end_of_input_what_waits_is_tried_once_more_at_once(run):
    strategy = AsyncRetryStrategy.fixed_delay(9, 60_000, lambda results: not results, None)
    one = run(Scripted({1: [[], []], 2: [[], [2]]}), strategy=strategy, timeout_ms=0)
    one.send(1, 2)
    assert one.operator.end_input() is Ending.DONE
    assert one.function.calls == [1, 2, 1, 2]
    assert one.output.take() == [(2, None)]


def test_after_the_end_of_input_the_outcome_of_a_running_call_counts(run):
    strategy = AsyncRetryStrategy.fixed_delay(9, 10, None, lambda _: True)

    class Slow(AsyncFunction):
        async def async_invoke(self, value):
            await asyncio.sleep(value / 1000)
            raise OSError("not there")

    one = run(Slow(), strategy=strategy, timeout_ms=0)
    one.send(30)
    assert one.operator.end_input() is Ending.WAITING
    with pytest.raises(UserCodeError, match="OSError: not there"):
        one.turn(30)


@pytest.mark.parametrize("mode", list(MODES))
def test_records_in_flight_are_asked_about_again_after_a_restore(run, mode):
    one = run(Steered(), mode)
    one.watermark(2)
    one.send(1, 2, time=5)
    one.watermark(4)
    one.send(3)
    one.watermark(5)
    one.answer(1)
    other = one.restored(Steered(), mode=mode)
    # Where event time had come is said again before the first result.
    assert other.turn() == ["watermark 2"]
    assert other.function.started == [2, 3]
    assert other.answer(3) == []
    assert other.answer(2) == [(2, 5), "watermark 4", (3, None), "watermark 5"]
    other.operator.close()


def test_with_another_parallelism_watermarks_are_left_to_the_sources(run):
    one = run(Steered())
    one.watermark(2)
    one.send(1, time=5)
    one.watermark(4)
    other = one.restored(Steered(), parallelism=2)
    assert other.turn() == []
    assert other.answer(1) == [(1, 5)]
    other.operator.close()


def test_more_records_than_the_capacity_may_be_restored(run):
    one = run(Steered(), capacity=3)
    one.send(1, 2, 3)
    other = one.restored(Steered(), capacity=1)
    other.turn()
    assert other.answer(1, 2, 3) == [(1, None), (2, None), (3, None)]
    other.operator.close()


def test_closing_cancels_what_is_in_flight_and_closes_the_function(run):
    ends = []

    class Waiting(AsyncFunction):
        async def async_invoke(self, value):
            try:
                await asyncio.Event().wait()
            finally:
                ends.append(value)

        def close(self):
            ends.append("closed")

    one = run(Waiting())
    one.send(1, 2)
    one.operator.close()
    one.operator.close()
    assert ends == [1, 2, "closed"]


def test_the_loop_of_a_notebook_is_not_in_the_way(run):
    async def cell():
        one = run(Scripted(), capacity=1)
        results = one.send(1, 2, 3)
        one.operator.close()
        return results

    assert asyncio.run(cell()) == [(1, None), (2, None)]
