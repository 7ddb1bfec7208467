"""Every public operation gives the same results at parallelism 1 and 3, on each store."""

from __future__ import annotations

import os

import pytest

from millpond.common import Duration, Row, Time, Types
from millpond.common.configuration import Configuration
from millpond.common.watermark_strategy import TimestampAssigner, WatermarkStrategy
from millpond.datastream import (
    FsStateBackend,
    MemoryStateBackend,
    OutputTag,
    RocksDBStateBackend,
    StreamExecutionEnvironment,
)
from millpond.datastream.connectors.number_seq import NumberSequenceSource
from millpond.datastream.functions import (
    AggregateFunction,
    BroadcastProcessFunction,
    CoFlatMapFunction,
    CoMapFunction,
    CoProcessFunction,
    FilterFunction,
    FlatMapFunction,
    KeyedBroadcastProcessFunction,
    KeyedCoProcessFunction,
    KeyedProcessFunction,
    MapFunction,
    ProcessFunction,
    ProcessWindowFunction,
    ReduceFunction,
    SinkFunction,
    SourceFunction,
)
from millpond.datastream.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    ValueStateDescriptor,
)
from millpond.datastream.window import TumblingEventTimeWindows
from millpond.errors import InvalidProgramError, MillpondError, UnsupportedOperationError

FLIGHTS = [("JFK", 3, 1000), ("EWR", 5, 1100), ("JFK", 1, 2100), ("LGA", 9, 1900), ("EWR", 2, 3500)]


@pytest.fixture(params=[1, 3])
def env(request):
    one = StreamExecutionEnvironment.get_execution_environment()
    one.set_parallelism(request.param)
    return one


@pytest.fixture(params=["memory", "filesystem", "rocksdb"])
def keyed_env(request, env, tmp_path):
    backends = {
        "memory": MemoryStateBackend,
        "filesystem": lambda: FsStateBackend(tmp_path.as_uri()),
        "rocksdb": lambda: RocksDBStateBackend(tmp_path.as_uri(), True),
    }
    env.set_state_backend(backends[request.param]())
    if os.access("/dev/shm", os.W_OK):
        configuration = Configuration()
        configuration.set_string("io.tmp.dirs", "/dev/shm")
        env.configure(configuration)
    return env


class Third(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[2]


def collect(stream):
    with stream.execute_and_collect() as results:
        return sorted(results)


def flights(env):
    return env.from_collection(FLIGHTS)


def timed(env, delay_ms=0):
    strategy = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_millis(delay_ms))
    strategy = strategy.with_timestamp_assigner(Third())
    return flights(env).assign_timestamps_and_watermarks(strategy)


# -- one record at a time


class Double(MapFunction):
    def open(self, runtime_context):
        self.factor = 2

    def map(self, value):
        return value * self.factor


class Repeat(FlatMapFunction):
    def flat_map(self, value):
        for _ in range(value):
            yield value


class Odd(FilterFunction):
    def filter(self, value):
        return value % 2 == 1


@pytest.mark.parametrize("function", [Double(), lambda value: value * 2])
def test_map(env, function):
    assert collect(env.from_collection([1, 2, 3]).map(function)) == [2, 4, 6]


@pytest.mark.parametrize("function", [Repeat(), lambda value: [value] * value])
def test_flat_map(env, function):
    assert collect(env.from_collection([1, 2, 0]).flat_map(function)) == [1, 2, 2]


@pytest.mark.parametrize("function", [Odd(), lambda value: value % 2])
def test_filter(env, function):
    assert collect(env.from_collection(range(6)).filter(function)) == [1, 3, 5]


def test_a_flat_map_may_return_nothing(env):
    assert collect(env.from_collection([1]).flat_map(lambda value: None)) == []


def test_sources(env):
    source = NumberSequenceSource(1, 500)
    stream = env.from_source(source, WatermarkStrategy.no_watermarks(), "numbers", Types.LONG())
    assert collect(stream) == list(range(1, 501))


def test_rows_of_a_collection(env):
    row_type = Types.ROW_NAMED(["name", "age"], [Types.STRING(), Types.INT()])
    stream = env.from_collection([("Ada", 36)], row_type)
    assert collect(stream.map(lambda row: (row.name, row["age"]))) == [("Ada", 36)]


class NameOf(KeyedProcessFunction):
    def process_element(self, value, ctx):
        yield f"{value.name} {value.age}"


@pytest.mark.parametrize("record", [lambda v: Row(v[0], v[1]), lambda v: v], ids=["row", "tuple"])
def test_records_behind_key_by_have_the_names_of_their_row_type(env, record):
    row_type = Types.ROW_NAMED(["name", "age"], [Types.STRING(), Types.INT()])
    rows = env.from_collection([("Ada", 36), ("Ada", 1)]).map(record, row_type)
    keyed = rows.key_by(lambda row: row[0], Types.STRING())
    assert collect(keyed.process(NameOf(), Types.STRING())) == ["Ada 1", "Ada 36"]
    assert collect(keyed.sum("age").map(lambda row: row.age)) == [36, 37]


def test_rows_inside_of_other_types_have_their_names(env):
    inner = Types.ROW_NAMED(["city"], [Types.STRING()])
    row_type = Types.ROW_NAMED(
        ["one", "many", "by_name", "pair"],
        [inner, Types.LIST(inner), Types.MAP(Types.STRING(), inner), Types.TUPLE([inner])],
    )
    place = ("Ghent",)
    stream = env.from_collection([(place, [place], {"a": place}, (place,))], row_type)
    cities = stream.map(
        lambda row: [row.one.city, row.many[0].city, row.by_name["a"].city, row.pair[0].city]
    )
    assert collect(cities) == [["Ghent"] * 4]


@pytest.mark.parametrize(
    ("elements", "type_info", "named"),
    [
        ([1, "a"], Types.INT(), "Element 1 of the collection, of type str"),
        ([2**31], Types.INT(), "declared type Integer"),
        ([("a", 1), ("b",)], Types.TUPLE([Types.STRING(), Types.INT()]), "Element 1"),
        ([("a", "b")], Types.ROW([Types.STRING(), Types.INT()]), "Element 0"),
    ],
)
def test_a_collection_fits_its_declared_type(env, elements, type_info, named):
    with pytest.raises(InvalidProgramError, match=named):
        env.from_collection(elements, type_info)


class Counting(SourceFunction):
    def __init__(self):
        self.running = True

    def run(self, ctx):
        first, step = ctx.get_index_of_this_subtask(), ctx.get_number_of_parallel_subtasks()
        for number in range(first, 10, step):
            if not self.running:
                return
            yield number

    def cancel(self):
        self.running = False


def test_a_source_function(env):
    assert collect(env.add_source(Counting())) == list(range(10))


def test_a_source_function_goes_on_after_a_failure(env, tmp_path):
    # cancel() belongs to the attempt that failed, not to the next one.
    marker = tmp_path / "failed"

    def fail_once(value):
        if value == 7 and not marker.exists():
            marker.touch()
            raise OSError("once")
        return value

    configuration = Configuration()
    for key, value in {
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.delay": "1 ms",
        "millpond.batch-size": "2",
    }.items():
        configuration.set_string(key, value)
    env.configure(configuration)
    assert collect(env.add_source(Counting()).map(fail_once)) == list(range(10))
    assert marker.exists()


def test_a_sink_function(env, tmp_path):
    path = tmp_path / "lines"

    class Append(SinkFunction):
        def invoke(self, value, context):
            assert context.timestamp() is None
            with path.open("a") as file:
                file.write(f"{value}\n")

    env.from_collection(range(5)).add_sink(Append())
    env.execute()
    assert sorted(path.read_text().split()) == list("01234")


def test_print_writes_as_pyflink_does(capsys):
    env = StreamExecutionEnvironment.get_execution_environment()
    env.from_collection([7, "a"]).print()
    env.execute()
    assert capsys.readouterr().out == "7\na\n"
    stream = env.from_collection([1, 2, 3]).rebalance().map(lambda value: value)
    stream.set_parallelism(3).print("numbers").set_parallelism(3)
    env.execute()
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == ["numbers:1> 1", "numbers:2> 2", "numbers:3> 3"]


# -- keys


def test_reduce(keyed_env):
    class Join(ReduceFunction):
        def reduce(self, value1, value2):
            return (value1[0], value1[1] + value2[1], value2[2])

    for function in (Join(), lambda a, b: (a[0], a[1] + b[1], b[2])):
        keyed = flights(keyed_env).key_by(lambda value: value[0])
        assert collect(keyed.reduce(function)) == [
            ("EWR", 5, 1100),
            ("EWR", 7, 3500),
            ("JFK", 3, 1000),
            ("JFK", 4, 2100),
            ("LGA", 9, 1900),
        ]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("sum", {("JFK", 4, 1000), ("EWR", 7, 1100)}),
        ("min", {("JFK", 1, 1000), ("EWR", 2, 1100)}),
        ("max", {("JFK", 3, 1000), ("EWR", 5, 1100)}),
        ("min_by", {("JFK", 1, 2100), ("EWR", 2, 3500)}),
        ("max_by", {("JFK", 3, 1000), ("EWR", 5, 1100)}),
    ],
)
def test_rolling_aggregations(keyed_env, operation, expected):
    keyed = flights(keyed_env).key_by(lambda value: value[0], Types.STRING())
    results = collect(getattr(keyed, operation)(1))
    assert len(results) == 5
    assert set(results) == expected | {("JFK", 3, 1000), ("EWR", 5, 1100), ("LGA", 9, 1900)}


def test_rolling_aggregations_of_rows_by_name(env):
    row_type = Types.ROW_NAMED(["k", "v"], [Types.STRING(), Types.INT()])
    stream = env.from_collection([Row("a", 1), Row("a", 2)], row_type)
    stream = stream.map(lambda row: Row(k=row[0], v=row[1]), row_type)
    results = stream.key_by(lambda row: row["k"]).sum("v").map(lambda row: row["v"])
    assert collect(results) == [1, 3]


class EveryState(KeyedProcessFunction):
    def open(self, runtime_context):
        get = runtime_context
        self.value = get.get_state(ValueStateDescriptor("value", Types.INT()))
        self.list = get.get_list_state(ListStateDescriptor("list", Types.INT()))
        self.map = get.get_map_state(MapStateDescriptor("map", Types.STRING(), Types.INT()))
        self.reducing = get.get_reducing_state(
            ReducingStateDescriptor("reducing", lambda a, b: a + b, Types.INT())
        )
        self.aggregating = get.get_aggregating_state(
            AggregatingStateDescriptor("mean", Mean(), Types.TUPLE([Types.INT(), Types.INT()]))
        )

    def process_element(self, value, ctx):
        assert ctx.get_current_key() == value[0]
        assert ctx.timestamp() == value[2]
        self.value.update((self.value.value() or 0) + 1)
        self.list.add(value[1])
        self.map.put(str(value[1]), value[2])
        self.reducing.add(value[1])
        self.aggregating.add(value[1])
        ctx.timer_service().register_event_time_timer(5000)
        ctx.timer_service().register_event_time_timer(6000)
        ctx.timer_service().delete_event_time_timer(6000)

    def on_timer(self, timestamp, ctx):
        yield (
            ctx.get_current_key(),
            timestamp,
            self.value.value(),
            tuple(self.list.get()),
            tuple(sorted(self.map.items())),
            self.reducing.get(),
            self.aggregating.get(),
        )


class Mean(AggregateFunction):
    def create_accumulator(self):
        return (0, 0)

    def add(self, value, accumulator):
        number = value if isinstance(value, int) else value[1]
        return (accumulator[0] + number, accumulator[1] + 1)

    def get_result(self, accumulator):
        return accumulator[0] / accumulator[1]

    def merge(self, a, b):
        return (a[0] + b[0], a[1] + b[1])


def test_keyed_process_with_every_kind_of_state_and_timers(keyed_env):
    stream = timed(keyed_env).key_by(lambda value: value[0], Types.STRING()).process(EveryState())
    assert collect(stream) == [
        ("EWR", 5000, 2, (5, 2), (("2", 3500), ("5", 1100)), 7, 3.5),
        ("JFK", 5000, 2, (3, 1), (("1", 2100), ("3", 1000)), 4, 2.0),
        ("LGA", 5000, 1, (9,), (("9", 1900),), 9, 9.0),
    ]


def test_processing_time_timers_fire_while_the_input_lasts(env):
    class Soon(KeyedProcessFunction):
        def process_element(self, value, ctx):
            now = ctx.timer_service().current_processing_time()
            ctx.timer_service().register_processing_time_timer(now - 1)

        def on_timer(self, timestamp, ctx):
            yield ctx.get_current_key()

    class Slow(SourceFunction):
        def run(self, ctx):
            import time

            yield ctx.get_index_of_this_subtask()
            for _ in range(3000):
                time.sleep(0.00001)
                yield -1

    stream = env.add_source(Slow()).key_by(lambda value: value).process(Soon())
    assert -1 in collect(stream)


# -- windows and side outputs


def windows(env):
    keyed = timed(env).key_by(lambda value: value[0], Types.STRING())
    return keyed.window(TumblingEventTimeWindows.of(Time.seconds(2)))


WINDOWED = [("EWR", 0, 5), ("EWR", 2000, 2), ("JFK", 0, 3), ("JFK", 2000, 1), ("LGA", 0, 9)]


class Bounds(ProcessWindowFunction):
    def process(self, key, context, elements):
        total = sum(value if isinstance(value, int) else value[1] for value in elements)
        yield (key, context.window().start, total)


class Sum(Mean):
    def get_result(self, accumulator):
        return accumulator[0]


def test_window_process(keyed_env):
    assert collect(windows(keyed_env).process(Bounds())) == WINDOWED


def test_window_reduce(keyed_env):
    stream = windows(keyed_env).reduce(lambda a, b: (a[0], a[1] + b[1], b[2]), Bounds())
    assert collect(stream) == WINDOWED


def test_window_aggregate(keyed_env):
    pair = Types.TUPLE([Types.INT(), Types.INT()])
    assert collect(windows(keyed_env).aggregate(Sum(), Bounds(), pair)) == WINDOWED


def test_late_data_and_side_outputs(keyed_env):
    late, small = OutputTag("late"), OutputTag("small", Types.INT())
    configuration = Configuration()
    configuration.set_string("millpond.batch-size", "1")
    keyed_env.configure(configuration)

    class Split(ProcessFunction):
        def process_element(self, value, ctx):
            if value[1] < 3:
                yield small, value[1]
            yield value

    # One subtask assigns the watermarks, so that all records are judged by the same.
    stream = timed(keyed_env).set_parallelism(1).process(Split())
    keyed = stream.key_by(lambda value: value[0], Types.STRING())
    counted = (
        keyed.window(TumblingEventTimeWindows.of(Time.seconds(2)))
        .side_output_late_data(late)
        .process(Bounds())
    )
    everything = counted.union(
        counted.get_side_output(late), stream.get_side_output(small).map(lambda n: ("small", n, 0))
    )
    expected = [("EWR", 0, 5), ("EWR", 2000, 2), ("JFK", 0, 3), ("JFK", 2000, 1)]
    assert collect(everything) == sorted(
        [*expected, ("LGA", 9, 1900), ("small", 1, 0), ("small", 2, 0)]
    )


# -- several streams


def test_union(env):
    a, b = env.from_collection([1, 2]), env.from_collection([3])
    assert collect(a.union(b, b.map(lambda value: value * 10))) == [1, 2, 3, 30]
    other = StreamExecutionEnvironment.get_execution_environment().from_collection([4])
    with pytest.raises(InvalidProgramError, match="not one of another environment"):
        a.union(other)


class Both(CoMapFunction, CoFlatMapFunction):
    def map1(self, value):
        return ("one", value)

    def map2(self, value):
        return None if value == 4 else ("two", value)

    def flat_map1(self, value):
        yield from [("one", value)] * 2

    def flat_map2(self, value):
        return [("two", value)]


def test_co_map_and_co_flat_map(env):
    for keyed in (False, True):
        pair = env.from_collection([1]).connect(env.from_collection([3, 4]))
        if keyed:
            pair = pair.key_by(lambda value: value, lambda value: value)
        assert collect(pair.map(Both())) == [("one", 1), ("two", 3)]
        pair = env.from_collection([1]).connect(env.from_collection([3, 4]))
        assert collect(pair.flat_map(Both())) == [
            ("one", 1), ("one", 1), ("two", 3), ("two", 4)
        ]  # fmt: skip


def test_co_process(env):
    class Tell(CoProcessFunction):
        def process_element1(self, value, ctx):
            yield ("one", value, ctx.timestamp())

        def process_element2(self, value, ctx):
            yield ("two", value, ctx.timer_service().current_watermark() < 0)

    pair = env.from_collection([1]).connect(env.from_collection(["a"]))
    assert collect(pair.process(Tell())) == [("one", 1, None), ("two", "a", True)]


def test_keyed_co_process_shares_state_and_timers(keyed_env):
    class Join(KeyedCoProcessFunction):
        def open(self, runtime_context):
            self.seen = runtime_context.get_list_state(ListStateDescriptor("seen", Types.STRING()))

        def process_element1(self, value, ctx):
            self.seen.add(f"left {value[1]}")
            ctx.timer_service().register_event_time_timer(value[2] + 10)

        def process_element2(self, value, ctx):
            self.seen.add(f"right {value[1]}")

        def on_timer(self, timestamp, ctx):
            yield (ctx.get_current_key(), timestamp, tuple(sorted(self.seen.get())))

    pair = timed(keyed_env).connect(timed(keyed_env).filter(lambda value: value[0] != "LGA"))
    keyed = pair.key_by(lambda value: value[0], lambda value: value[0], Types.STRING())
    results = collect(keyed.process(Join()))
    assert [result[:2] for result in results] == [
        ("EWR", 1110), ("EWR", 3510), ("JFK", 1010), ("JFK", 2110), ("LGA", 1910)
    ]  # fmt: skip
    assert results[1][2] == ("left 2", "left 5", "right 2", "right 5")
    assert results[4][2] == ("left 9",)


RULES = MapStateDescriptor("rules", Types.STRING(), Types.INT())


def test_broadcast_state(env):
    class Rules(BroadcastProcessFunction):
        def process_element(self, value, ctx):
            yield (value, dict(ctx.get_broadcast_state(RULES).items()))

        def process_broadcast_element(self, value, ctx):
            ctx.get_broadcast_state(RULES).put(*value)
            yield ("rule", {value[0]: ctx.get_broadcast_state(RULES).get(value[0])})

    rules = env.from_collection([("a", 1), ("b", 2)])
    stream = env.from_collection([5]).connect(rules.broadcast(RULES)).process(Rules())
    with stream.execute_and_collect() as results:
        got = list(results)
    copies = env.get_parallelism()
    assert got.count(("rule", {"a": 1})) == got.count(("rule", {"b": 2})) == copies
    assert next(value for value in got if value[0] == 5)[1] in ({}, {"a": 1, "b": 2})


def test_keyed_broadcast_state(keyed_env):
    class Rules(KeyedBroadcastProcessFunction):
        def open(self, runtime_context):
            self.count = runtime_context.get_state(count)

        def process_element(self, value, ctx):
            self.count.update((self.count.value() or 0) + value[1])
            ctx.timer_service().register_event_time_timer(9000)

        def process_broadcast_element(self, value, ctx):
            ctx.get_broadcast_state(RULES).put(value, 1)

        def on_timer(self, timestamp, ctx):
            rules = ctx.get_broadcast_state(RULES)
            yield (ctx.get_current_key(), self.count.value(), rules.contains("go"))

    count = ValueStateDescriptor("count", Types.INT())
    keyed = timed(keyed_env).key_by(lambda value: value[0], Types.STRING())
    rules = keyed_env.from_collection(["go"]).broadcast(RULES)
    assert collect(keyed.connect(rules).process(Rules())) == [
        ("EWR", 7, True), ("JFK", 4, True), ("LGA", 9, True)
    ]  # fmt: skip


# -- partitioning


@pytest.mark.parametrize("how", ["rebalance", "rescale", "shuffle", "broadcast"])
def test_partitionings_deliver_every_record(env, how):
    stream = getattr(env.from_collection(range(9)), how)().map(lambda value: value)
    copies = env.get_parallelism() if how == "broadcast" else 1
    assert collect(stream) == sorted(list(range(9)) * copies)


def test_forward_needs_equal_parallelism(env):
    stream = env.from_collection([1]).map(lambda value: value)
    assert collect(stream.forward().map(lambda value: value + 1)) == [2]
    other = env.from_collection([1]).map(lambda value: value).forward()
    with pytest.raises(InvalidProgramError, match=r"forward\(\) needs equal parallelism"):
        collect(other.map(lambda value: value).set_parallelism(2 + env.get_parallelism()))


class Where(MapFunction):
    def open(self, runtime_context):
        self.index = runtime_context.get_index_of_this_subtask()

    def map(self, value):
        return (self.index, value)


def test_custom_partitioning(env):
    stream = env.from_collection(range(6)).partition_custom(
        lambda key, count: key % count, lambda value: value + 1
    )
    count = env.get_parallelism()
    assert collect(stream.map(Where())) == sorted(
        ((value + 1) % count, value) for value in range(6)
    )


def test_a_custom_partitioner_out_of_range_is_refused(env):
    stream = env.from_collection([1]).partition_custom(lambda key, count: count, lambda v: v)
    with pytest.raises(InvalidProgramError, match="custom partitioner returned"):
        collect(stream.map(lambda value: value))


# -- checks while the program is described


def test_wrong_functions_are_refused_at_once(env):
    stream = flights(env)
    keyed = stream.key_by(lambda value: value[0])
    for describe in (
        lambda: stream.map(7),
        lambda: stream.map(Double),
        lambda: keyed.process(Double()),
        lambda: keyed.sum(1.5),
        lambda: keyed.window(TumblingEventTimeWindows.of(Time.seconds(1))).aggregate(len),
        lambda: stream.connect(keyed).process(None),
        lambda: keyed.connect(stream).map(Both()),
        lambda: env.from_source("file", WatermarkStrategy.no_watermarks(), "x"),
    ):
        with pytest.raises(InvalidProgramError):
            describe()


def test_timers_without_keys_are_refused(env):
    class Timer(ProcessFunction):
        def process_element(self, value, ctx):
            ctx.timer_service().register_event_time_timer(1)

    with pytest.raises(UnsupportedOperationError, match="only supported on a keyed stream"):
        collect(flights(env).process(Timer()))


def test_keyed_state_without_keys_is_refused(env):
    class State(MapFunction):
        def open(self, runtime_context):
            runtime_context.get_state(ValueStateDescriptor("v", Types.INT()))

        def map(self, value):
            return value

    with pytest.raises(MillpondError, match="only there behind key_by"):
        collect(flights(env).map(State()))


def test_a_keyed_side_output_keeps_its_type(env):
    tag = OutputTag("texts", Types.STRING())

    class Split(ProcessFunction):
        def process_element(self, value, ctx):
            yield value
            yield tag, f"x{value}"

    texts = env.from_collection([1, 2], Types.LONG()).process(Split(), Types.LONG())
    keyed = texts.get_side_output(tag).key_by(lambda text: text[0], Types.STRING())
    assert keyed.get_type() == Types.STRING()
    assert list(keyed.reduce(lambda a, b: a + b).execute_and_collect()) == ["x1", "x1x2"]


def test_a_stream_may_be_read_again_by_another_job(env):
    numbers = env.from_collection([1, 2, 3]).map(lambda number: number * 2)
    assert list(numbers.execute_and_collect()) == [2, 4, 6]
    assert list(numbers.map(lambda number: -number).execute_and_collect()) == [-2, -4, -6]
