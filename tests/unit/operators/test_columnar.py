"""Columns give exactly what the same records give one by one, in results and in state."""

from __future__ import annotations

import random
from operator import itemgetter

import pytest

from millpond.common import Configuration, Time, Types, WatermarkStrategy
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.aggregations import Aggregations, count, max_of, min_of, sum_of
from millpond.datastream.connectors.columnar import ColumnarSource
from millpond.datastream.window import TimeWindow, TumblingEventTimeWindows
from millpond.errors import InvalidProgramError, MissingDependencyError
from millpond.operators import columnar_sums, columnar_windows
from millpond.operators.columnar_batch import ColumnarBatch

np = pytest.importorskip("numpy")

RECORD = Types.TUPLE([Types.LONG(), Types.LONG(), Types.LONG()])
PAIR = Types.TUPLE([Types.LONG(), Types.LONG()])
STORES = ("hashmap", "rocksdb")


class ThirdField(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[2]


def environment(store="hashmap", batch_size=7, **more):
    env = StreamExecutionEnvironment.get_execution_environment(
        Configuration.from_dict(
            {"state.backend.type": store, "millpond.batch-size": str(batch_size), **more}
        )
    )
    env.set_parallelism(1)
    return env


def records(count_of=400, keys=9, largest=10**12):
    dice = random.Random(count_of)
    return [
        (dice.randrange(-2, keys), dice.randrange(-largest, largest), index * 3)
        for index in range(count_of)
    ]


def columns(rows):
    return [np.array(column) for column in zip(*rows, strict=True)]


def both_ways(env_of, rows, build, timestamp_position=None):
    """Run a job on columns and on records; return both results."""
    strategy = WatermarkStrategy.no_watermarks()
    if timestamp_position is not None:
        strategy = WatermarkStrategy.for_monotonous_timestamps()
    env = env_of()
    source = ColumnarSource(columns(rows), timestamp_position=timestamp_position)
    stream = env.from_source(source, strategy, "columns", type_info=RECORD)
    with build(stream).execute_and_collect() as results:
        of_columns = list(results)
    env = env_of()
    stream = env.from_collection(rows, RECORD)
    if timestamp_position is not None:
        stream = stream.assign_timestamps_and_watermarks(
            strategy.with_timestamp_assigner(ThirdField())
        )
    with build(stream).execute_and_collect() as results:
        of_records = list(results)
    return of_columns, of_records


@pytest.mark.parametrize("store", STORES)
def test_sums_columns_as_records(store):
    def build(stream):
        return stream.key_by(itemgetter(0), key_type=Types.LONG()).sum(1)

    of_columns, of_records = both_ways(lambda: environment(store), records(), build)
    assert of_columns == of_records
    assert len(of_columns) == 400
    assert {type(field) for record in of_columns for field in record} == {int}


@pytest.mark.parametrize("store", STORES)
def test_checkpoints_between_batches_change_nothing(store, tmp_path):
    def often():
        settings = {
            "execution.checkpointing.interval": "10 ms",
            "execution.checkpointing.dir": tmp_path.as_uri(),
        }
        return environment(store, 2, **settings)

    def sums(stream):
        return stream.key_by(itemgetter(0), key_type=Types.LONG()).sum(1)

    def windows(stream):
        return (
            stream.key_by(itemgetter(0), key_type=Types.LONG())
            .window(TumblingEventTimeWindows.of(Time.milliseconds(600)))
            .aggregate(Aggregations(count(), sum_of(1)), output_type=PAIR, accumulator_type=PAIR)
        )

    of_columns, of_records = both_ways(often, records(), sums)
    assert of_columns == of_records
    of_columns, of_records = both_ways(often, records(), windows, timestamp_position=2)
    assert of_columns == of_records


def test_holds_the_sums_of_few_keys_and_reads_the_others_again(monkeypatch):
    monkeypatch.setattr(columnar_sums, "_HELD_KEYS", 4)
    state, expected, totals = {}, [], {}
    sums = columnar_sums.ColumnarSums(1, state.__setitem__)
    found = []
    for batch in range(20):
        rows = records(30 + batch, keys=12)
        for key, number, time in rows:
            first = totals.setdefault(key, [0, time])
            first[0] += number
            expected.append((key, first[0], first[1]))
        found += sums.add(ColumnarBatch(columns(rows), None, 0), state).values
        if batch % 3 == 0:
            sums.write_back(state)
    sums.write_back(state)
    assert found == expected
    assert state == {key: (key, total, time) for key, (total, time) in totals.items()}


def test_leaves_odd_state_alone():
    rows = [(1, 5, 0), (2, 6, 1)]
    for odd in ("text", (1, 2), (1, 2.5, 3), (1, 2**70, 3), (1, 2**62 - 1, 3)):
        state = {1: odd}
        sums = columnar_sums.ColumnarSums(1, state.__setitem__)
        assert sums.add(ColumnarBatch(columns(rows), None, 0), state) is None
        sums.write_back(state)
        assert state == {1: odd}


def test_windows_are_added_to_what_the_state_has(monkeypatch):
    monkeypatch.setattr(columnar_windows, "_GROUPED_ROWS", 16)
    held = columnar_windows.ColumnarWindows([count(), sum_of(1), min_of(1)], 1000, 0)
    state, timers = {}, []
    rows = [row for batch in range(12) for row in records(40 + batch, largest=2**40)]
    for start in range(0, len(rows), 50):
        part = columns(rows[start : start + 50])
        assert held.add(ColumnarBatch(part, part[2], 0))
        if start % 150 == 0:
            timers += [(key, window) for window, keys in held.write_back(state) for key in keys]
    list(held.write_back(state))
    for (key, window), figures in state.items():
        numbers = [n for k, n, time in rows if k == key and time in range(*window)]
        assert figures == (len(numbers), sum(numbers), min(numbers))
    assert set(timers) <= set(state)
    assert sum(figures[0] for figures in state.values()) == len(rows)


def test_windows_take_no_numbers_that_could_overflow():
    held = columnar_windows.ColumnarWindows([sum_of(1)], 1000, 0)
    part = columns([(1, 2**61, 0), (1, 2**61, 1)])
    assert not held.add(ColumnarBatch(part, part[2], 0))
    small = columns([(1, 2**60, 0)])
    state = {(1, TimeWindow(0, 1000)): (2**63,)}
    assert held.add(ColumnarBatch(small, small[2], 0))
    list(held.write_back(state))
    assert state == {(1, TimeWindow(0, 1000)): (2**63 + 2**60,)}


def test_sums_beyond_64_bits_go_the_ordinary_way():
    rows = [(1, 2**62, 0), (1, 2**61, 1), (1, -(2**62), 2), (1, 5, 3)]

    def build(stream):
        return stream.key_by(itemgetter(0), key_type=Types.LONG()).sum(1)

    of_columns, of_records = both_ways(environment, rows, build)
    assert of_columns == of_records
    assert of_columns[1][1] == 2**62 + 2**61


def test_sums_of_floats_add_in_order():
    rows = [(i % 3, 0.1 * i, float(i)) for i in range(50)]
    kind = Types.TUPLE([Types.LONG(), Types.DOUBLE(), Types.DOUBLE()])
    env = environment()
    stream = env.from_source(
        ColumnarSource(columns(rows)), WatermarkStrategy.no_watermarks(), "columns", type_info=kind
    )
    with stream.key_by(itemgetter(0), Types.LONG()).sum(1).execute_and_collect() as results:
        totals = {key: total for key, total, _ in results}
    expected = {0: 0.0, 1: 0.0, 2: 0.0}
    for key, number, _ in rows:
        expected[key] += number
    assert totals == expected


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("batch_size", [3, 100])
def test_aggregates_windows_of_columns_as_of_records(store, batch_size):
    figures = Types.TUPLE([Types.LONG()] * 4)

    def build(stream):
        return (
            stream.key_by(itemgetter(0), key_type=Types.LONG())
            .window(TumblingEventTimeWindows.of(Time.milliseconds(100)))
            .aggregate(
                Aggregations(count(), sum_of(1), min_of(1), max_of(2)),
                accumulator_type=figures,
                output_type=figures,
            )
        )

    of_columns, of_records = both_ways(
        lambda: environment(store, batch_size), records(), build, timestamp_position=2
    )
    assert sorted(of_columns) == sorted(of_records)
    assert sum(each[0] for each in of_columns) == 400
    assert {type(field) for record in of_columns for field in record} == {int}


def test_other_operators_get_ordinary_records():
    rows = records(50)

    def build(stream):
        return stream.map(lambda value: (value[1], value[0]))

    of_columns, of_records = both_ways(environment, rows, build)
    assert of_columns == of_records == [(b, a) for a, b, _ in rows]
    assert type(of_columns[0][0]) is int


def test_a_function_key_and_windows_with_lateness_work_too():
    def build(stream):
        return (
            stream.key_by(lambda value: value[0] % 2, key_type=Types.LONG())
            .window(TumblingEventTimeWindows.of(Time.milliseconds(50)))
            .allowed_lateness(10)
            .aggregate(Aggregations(count()), output_type=Types.TUPLE([Types.LONG()]))
        )

    of_columns, of_records = both_ways(environment, records(), build, timestamp_position=2)
    assert sorted(of_columns) == sorted(of_records)


def test_a_function_may_make_the_columns():
    source = ColumnarSource(lambda start, stop: [np.arange(start, stop)], length=100)
    stream = environment().from_source(
        source, WatermarkStrategy.no_watermarks(), "numbers", type_info=Types.TUPLE([Types.LONG()])
    )
    with stream.execute_and_collect() as results:
        assert list(results) == [(i,) for i in range(100)]


def test_an_empty_source_has_no_records():
    source = ColumnarSource([np.array([], dtype=int)])
    stream = environment().from_source(source, WatermarkStrategy.no_watermarks(), "nothing")
    with stream.execute_and_collect() as results:
        assert list(results) == []


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ColumnarSource([]), "at least one column"),
        (lambda: ColumnarSource([[1, 2], [1]]), "differ in length"),
        (lambda: ColumnarSource([[[1, 2]]]), "one dimension"),
        (lambda: ColumnarSource(lambda start, stop: []), "needs a length"),
        (Aggregations, "at least one of count"),
        (lambda: Aggregations(sum), "at least one of count"),
    ],
)
def test_says_what_is_wrong(make, text):
    with pytest.raises(InvalidProgramError, match=text):
        make()


def test_a_function_that_makes_too_little_is_named():
    source = ColumnarSource(lambda start, stop: [[1]], length=100)
    stream = environment().from_source(source, WatermarkStrategy.no_watermarks(), "short")
    with pytest.raises(InvalidProgramError, match="hold 1 records, not 2"):
        list(stream.execute_and_collect())


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "numpy", None)
    with pytest.raises(MissingDependencyError) as raised:
        ColumnarSource([[1]])
    assert raised.value.hint == "pip install 'millpond[columnar]'"


def test_a_batch_is_columns_until_it_is_read():
    batch = ColumnarBatch([np.array([1, 2]), np.array([5, 6])], times=np.array([5, 6]))
    assert len(batch) == 2
    assert batch.time_range() == (5, 6)
    assert batch.keys is None
    assert batch.values == [(1, 5), (2, 6)]
    assert batch.keyed_by(0).keys == [1, 2]
    assert batch.timestamps == [5, 6]
    with pytest.raises(AttributeError):
        batch.other  # noqa: B018
