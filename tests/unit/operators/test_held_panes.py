"""Accumulators that are held outside the state: written back in time, and never too many."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from millpond.common import Configuration, Duration, Time, Types, WatermarkStrategy
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import AggregateFunction, MapFunction, StreamExecutionEnvironment
from millpond.datastream.window import SlidingEventTimeWindows, TumblingEventTimeWindows
from millpond.state.heap.backend import HeapKeyedStateBackend
from millpond.state.rocksdb.backend import RocksDBKeyedStateBackend

RECORD = Types.TUPLE([Types.LONG(), Types.LONG()])


class Time1(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[1]


class CountOfKey(AggregateFunction):
    def create_accumulator(self):
        return -1, 0

    def add(self, value, accumulator):
        return value[0], accumulator[1] + 1

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        return acc_a[0], acc_a[1] + acc_b[1]


def records():
    dice = random.Random(3)
    return [(dice.randrange(20), max(0, i * 5 - dice.randrange(40))) for i in range(600)]


class FailOnce(MapFunction):
    """Fails at the 300th record, in the first attempt only, after checkpoints were taken."""

    failed = False

    def open(self, runtime_context):
        self.seen = 0

    def map(self, value):
        self.seen += 1
        if self.seen == 300 and not FailOnce.failed:
            FailOnce.failed = True
            raise ValueError("once")
        time.sleep(0.0001)
        return value


def counted(store, assigner, tmp_path, interval="1 h", function=None):
    env = StreamExecutionEnvironment.get_execution_environment(
        Configuration.from_dict(
            {
                "state.backend.type": store,
                "millpond.batch-size": "5",
                "execution.checkpointing.interval": interval,
                "execution.checkpointing.dir": tmp_path.as_uri(),
                "restart-strategy.type": "fixed-delay",
                "restart-strategy.fixed-delay.attempts": "1",
                "restart-strategy.fixed-delay.delay": "1 ms",
            }
        )
    )
    env.set_parallelism(1)
    strategy = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_millis(60))
    stream = env.from_collection(records(), RECORD)
    if function is not None:
        stream = stream.map(function, output_type=RECORD)
    stream = (
        stream.assign_timestamps_and_watermarks(strategy.with_timestamp_assigner(Time1()))
        .key_by(lambda value: value[0], key_type=Types.LONG())
        .window(assigner)
        .aggregate(CountOfKey(), accumulator_type=RECORD, output_type=RECORD)
    )
    with stream.execute_and_collect() as results:
        return list(results)


def limit_held(monkeypatch, most):
    for backend in (HeapKeyedStateBackend, RocksDBKeyedStateBackend):
        monkeypatch.setattr(backend, "held_entries", most)


def expected(size, slide):
    counts = Counter(
        (start, key)
        for key, at in records()
        for start in range(at - at % slide - size + slide, at + 1, slide)
        if start <= at < start + size
    )
    return sorted((key, count) for (_, key), count in counts.items())


@pytest.mark.parametrize("store", ["hashmap", "rocksdb"])
@pytest.mark.parametrize("interval", ["1 h", "10 ms"])
@pytest.mark.parametrize("most", [1 << 15, 10, 0])
def test_windows_are_complete_however_often_they_are_written_back(
    store, interval, most, tmp_path, monkeypatch
):
    limit_held(monkeypatch, most)
    tumbling = TumblingEventTimeWindows.of(Time.milliseconds(100))
    assert sorted(counted(store, tumbling, tmp_path, interval)) == expected(100, 100)


@pytest.mark.parametrize("store", ["hashmap", "rocksdb"])
def test_windows_are_complete_after_a_failure(store, tmp_path, monkeypatch):
    monkeypatch.setattr(FailOnce, "failed", False)
    tumbling = TumblingEventTimeWindows.of(Time.milliseconds(1000))
    results = counted(store, tumbling, tmp_path, "10 ms", FailOnce())
    assert FailOnce.failed
    assert sorted(results) == expected(1000, 1000)


def test_results_come_in_the_same_order_from_the_state_and_without_it(tmp_path, monkeypatch):
    sliding = SlidingEventTimeWindows.of(Time.milliseconds(100), Time.milliseconds(50))
    held = counted("hashmap", sliding, tmp_path)
    limit_held(monkeypatch, 0)
    assert counted("hashmap", sliding, tmp_path) == held
    assert sorted(held) == expected(100, 50)
