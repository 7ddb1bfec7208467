"""Window joins and co-groups against a model in lists, as whole jobs."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.common import Configuration, Time, Types, WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.functions import CoGroupFunction, JoinFunction
from millpond.datastream.window import (
    EventTimeSessionWindows,
    SlidingEventTimeWindows,
    TumblingEventTimeWindows,
)

# Even times and an odd gap: whether sessions that touch are one depends on the watermark.
times = st.integers(-10, 40).map(lambda half: 2 * half)
records = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9), times),
    max_size=25,
).map(lambda rows: sorted(rows, key=lambda row: row[2]))


class Both(JoinFunction):
    def join(self, first, second):
        return f"{first} {second}"


class Sides(CoGroupFunction):
    def co_group(self, first, second):
        yield f"{sorted(first)} {sorted(second)}"


def stream(env, rows, name, type_info=None):
    source = CollectionSource(rows, [row[2] for row in rows])
    strategy = WatermarkStrategy.for_monotonous_timestamps()
    return env.from_source(source, strategy, name, type_info)


def run(first, second, assigner, function, parallelism, batch_size):
    configuration = Configuration()
    configuration.set_string("millpond.batch-size", str(batch_size))
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(parallelism)
    typed = Types.TUPLE([Types.STRING(), Types.INT(), Types.LONG()])
    left, right = stream(env, first, "first", typed), stream(env, second, "second")
    pairing = left.join(right) if isinstance(function, Both) else left.co_group(right)
    joined = (
        pairing.where(lambda row: row[0], Types.STRING())
        .equal_to(lambda row: row[0])
        .window(assigner)
        .apply(function, Types.STRING())
    )
    return Counter(joined.execute_and_collect())


def fixed_windows(first, second, size, slide):
    """Return both sides by (key, start)."""
    windows = {}
    for side, rows in enumerate((first, second)):
        for row in rows:
            last = row[2] - row[2] % slide
            for start in range(last, row[2] - size, -slide):
                windows.setdefault((row[0], start), ([], []))[side].append(row)
    return list(windows.values())


def sessions(first, second, gap):
    windows = []
    for key in "abc":
        rows = sorted(
            (
                (row[2], side, row)
                for side, rows in enumerate((first, second))
                for row in rows
                if row[0] == key
            ),
            key=lambda each: each[0],
        )
        end = None
        for time, side, row in rows:
            if end is None or time >= end:
                windows.append(([], []))
            windows[-1][side].append(row)
            end = time + gap
    return windows


def pairs(windows):
    return Counter(f"{a} {b}" for first, second in windows for a in first for b in second)


def groups(windows):
    return Counter(f"{sorted(first)} {sorted(second)}" for first, second in windows)


@settings(max_examples=15, deadline=None)
@given(records, records, st.sampled_from([1, 2]), st.sampled_from([1, 3, 2048]))
def test_joins_and_co_groups_of_fixed_windows(first, second, parallelism, batch_size):
    for assigner, size, slide in (
        (TumblingEventTimeWindows.of(Time.milliseconds(20)), 20, 20),
        (SlidingEventTimeWindows.of(Time.milliseconds(30), Time.milliseconds(10)), 30, 10),
    ):
        windows = fixed_windows(first, second, size, slide)
        assert run(first, second, assigner, Both(), parallelism, batch_size) == pairs(windows)
        assert run(first, second, assigner, Sides(), parallelism, batch_size) == groups(windows)


@settings(max_examples=15, deadline=None)
@given(records, records, st.sampled_from([1, 3, 2048]))
def test_joins_and_co_groups_of_sessions(first, second, batch_size):
    assigner = EventTimeSessionWindows.with_gap(Time.milliseconds(9))
    windows = sessions(first, second, 9)
    assert run(first, second, assigner, Both(), 1, batch_size) == pairs(windows)
    assert run(first, second, assigner, Sides(), 1, batch_size) == groups(windows)
