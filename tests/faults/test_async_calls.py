"""Asynchronous calls lose and repeat nothing, whatever happens while they are in flight."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from random import Random

import pytest

from millpond.common import Duration, Time, Types, WatermarkStrategy
from millpond.datastream import AsyncDataStream, AsyncFunction
from millpond.datastream.async_retry_strategies import AsyncRetryStrategy
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.window import TumblingEventTimeWindows
from millpond.testing.ledger_sink import LedgerSink

RECORDS = 120

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _dead_loops():
    """Collect here what simulated deaths leave: event loops that nobody closed."""
    yield
    gc.collect()


class Lookup(AsyncFunction):
    """Takes some ms of the job's clock; fails at first, and is asked again.

    Not for the last records: after the end of the input nothing is tried again.
    """

    def open(self, runtime_context):
        self.random = Random(3)
        self.failed = set()

    async def async_invoke(self, value):
        await asyncio.sleep(self.random.randrange(40) / 1000)
        if value < 20 and value not in self.failed:
            self.failed.add(value)
            raise ConnectionError("try again")
        return [f"answer {value}"] * (1 + value % 2)


def timestamp_of(value):
    return value * 5 - value % 7 * 3


def describe(env, ledger):
    values = list(range(RECORDS))
    source = CollectionSource(values, [timestamp_of(value) for value in values])
    strategy = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_millis(20))
    stream = env.from_source(source, strategy, "numbers").uid("numbers")
    retry = AsyncRetryStrategy.fixed_delay(
        50, 5, None, lambda error: isinstance(error, ConnectionError)
    )
    unordered = AsyncDataStream.unordered_wait_with_retry(
        stream, Lookup(), Time.seconds(3600), retry, 7, Types.STRING()
    ).uid("unordered")
    ordered = AsyncDataStream.ordered_wait_with_retry(
        stream.rebalance(), Lookup(), Time.seconds(3600), retry, 100, Types.STRING()
    ).uid("ordered")
    # Which window a result falls into tells whether it kept its place among the watermarks.
    windows = (
        ordered.key_by(lambda value: value[-1], Types.STRING())
        .window(TumblingEventTimeWindows.of(Time.milliseconds(50)))
        .reduce(lambda a, b: "+".join(sorted([*a.split("+"), b])))
        .uid("windows")
    )
    everything = unordered.union(ordered.map(lambda value: f"ordered {value}").uid("m"), windows)
    everything.sink_to(LedgerSink(ledger)).uid("ledger")


def expected_answer():
    answers = Counter({f"answer {value}": 1 + value % 2 for value in range(RECORDS)})
    windows = {}
    for value in range(RECORDS):
        window = windows.setdefault((value % 10, timestamp_of(value) // 50), [])
        window.extend([f"answer {value}"] * (1 + value % 2))
    ordered = Counter({f"ordered {answer}": count for answer, count in answers.items()})
    return answers + ordered + Counter("+".join(sorted(each)) for each in windows.values())


EXPECTED = expected_answer()


@pytest.mark.parametrize(
    ("parallelism", "seed"),
    [
        pytest.param(parallelism, seed, marks=pytest.mark.nightly if seed else ())
        for parallelism in (1, 3)
        for seed in range(3)
    ],
)
def test_calls_in_flight_survive_the_death_of_the_process(
    world, crash, finished, parallelism, seed
):
    options = {"describe": describe, "seed": seed, "parallelism": parallelism}
    calm = world()
    finished(calm.run("rocksdb incremental", **options))
    assert calm.answer == EXPECTED
    names = [operation.name for operation in calm.files.operations]
    total = len(names) - names[::-1].index("committed")
    for number in range(10 + seed * 3, total, max(1, total // (16 if seed else 5))):
        one = world()
        one.files.crash_at(number)
        with pytest.raises(crash):
            one.run("rocksdb incremental", **options)
        finished(one.reborn().run("rocksdb incremental", resume=True, **options))
        assert one.answer == EXPECTED, number


def test_a_stopped_job_goes_on_with_its_calls_at_another_parallelism(world, finished):
    one = world()
    stopped = []

    def stop(step, manager):
        if step == 8:
            stopped.append(manager.stop(None, drain=False))

    finished(one.run("filesystem", describe=describe, act=stop))
    path = stopped[0].result()
    assert one.answer != EXPECTED
    finished(one.reborn().run("filesystem", describe=describe, savepoint=path, parallelism=2))
    assert one.answer == EXPECTED
