"""BATCH and AUTOMATIC: what is refused, what is emitted, and that one key is kept at a time."""

import pytest

from millpond.clock import ManualClock
from millpond.common import Configuration, Types, WatermarkStrategy
from millpond.common.time import Time
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import (
    OutputTag,
    RocksDBStateBackend,
    RuntimeExecutionMode,
    StreamExecutionEnvironment,
)
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.connectors.datagen import DataGeneratorSource
from millpond.datastream.engine import Launch, LaunchWith
from millpond.datastream.functions import (
    BroadcastProcessFunction,
    KeyedBroadcastProcessFunction,
    KeyedProcessFunction,
    ProcessFunction,
    SourceFunction,
)
from millpond.datastream.state import MapStateDescriptor, ValueStateDescriptor
from millpond.datastream.window import (
    EventTimeSessionWindows,
    SlidingEventTimeWindows,
    TumblingEventTimeWindows,
)
from millpond.engines.embedded import EmbeddedEngine
from millpond.errors import CheckpointError, ConfigurationError, InvalidProgramError
from millpond.state.heap.backend import HeapKeyedStateBackend

PAIR = Types.TUPLE([Types.STRING(), Types.INT()])
PAIRS = [("b", 1), ("a", 2), ("b", 3), ("a", 4), ("c", 5)]
RULES = MapStateDescriptor("rules", Types.STRING(), Types.INT())


@pytest.fixture
def env():
    env = StreamExecutionEnvironment.get_execution_environment()
    return env.set_runtime_mode(RuntimeExecutionMode.BATCH)


def keyed(env, pairs=PAIRS):
    return env.from_collection(pairs, PAIR).key_by(lambda pair: pair[0], Types.STRING())


class Watching(ProcessFunction):
    def process_element(self, value, ctx):
        yield ctx.timer_service().current_watermark(), ctx.timestamp()


class Itself(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value


class Endless(SourceFunction):
    def run(self, ctx):
        yield from range(3)


class Ending(Endless):
    bounded = True


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        (lambda stream: stream.sum(1), [("a", 6), ("b", 4), ("c", 5)]),
        (lambda stream: stream.min(1), [("a", 2), ("b", 1), ("c", 5)]),
        (lambda stream: stream.max_by(1), [("a", 4), ("b", 3), ("c", 5)]),
        (
            lambda stream: stream.reduce(lambda a, b: (a[0], a[1] * 10 + b[1])),
            [("a", 24), ("b", 13), ("c", 5)],
        ),
    ],
)
def test_rolling_aggregates_give_their_last_result_only(env, aggregate, expected):
    assert list(aggregate(keyed(env)).execute_and_collect()) == expected


@pytest.mark.parametrize(
    "assigner",
    [
        EventTimeSessionWindows.with_gap(Time.milliseconds(10)),
        TumblingEventTimeWindows.of(Time.milliseconds(10)),
        SlidingEventTimeWindows.of(Time.milliseconds(10), Time.milliseconds(10)),
    ],
    ids=["sessions", "tumbling", "sliding"],
)
def test_windows_of_every_kind_fire_at_the_end_of_each_key(env, assigner):
    """Whether an operator keeps them in the state, with timers, or outside of it."""
    source = CollectionSource(PAIRS, [0, 0, 1, 100, 2])
    stream = env.from_source(source, WatermarkStrategy.for_monotonous_timestamps(), "pairs", PAIR)
    windows = stream.key_by(lambda pair: pair[0], Types.STRING()).window(assigner)
    sums = windows.reduce(lambda a, b: (a[0], a[1] + b[1]))
    assert list(sums.execute_and_collect()) == [("a", 2), ("a", 4), ("b", 4), ("c", 5)]


def test_automatic_is_batch_only_when_every_source_ends(env):
    env.set_runtime_mode(RuntimeExecutionMode.AUTOMATIC)
    assert len(list(keyed(env).sum(1).execute_and_collect())) == 3
    endless = env.add_source(Endless(), type_info=Types.INT()).map(lambda n: ("z", n), PAIR)
    both = keyed(env).union(endless).key_by(lambda pair: pair[0], Types.STRING()).sum(1)
    with both.execute_and_collect() as results:
        assert len([next(results) for _ in range(8)]) == 8


def test_an_unbounded_source_is_refused(env):
    env.add_source(Endless(), "clicks").print()
    with pytest.raises(InvalidProgramError) as caught:
        env.execute()
    assert str(caught.value) == (
        "The source is unbounded, but execution.runtime-mode is BATCH. [operator: clicks] "
        "Use STREAMING or AUTOMATIC, or a source that ends; a SourceFunction says so by its "
        "attribute `bounded`."
    )
    assert list(env.add_source(Ending()).execute_and_collect()) == [0, 1, 2]


def test_there_are_no_watermarks_before_the_end(env):
    strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(Itself())
    configuration = Configuration()
    configuration.set_string("millpond.batch-size", "1")
    env.configure(configuration)
    source = env.from_source(CollectionSource([1, 5, 9]), strategy, "numbers", Types.INT())
    again = source.assign_timestamps_and_watermarks(strategy)
    lowest = -(1 << 63)
    expected = [(lowest, 1), (lowest, 5), (lowest, 9)]
    assert list(source.process(Watching()).execute_and_collect()) == expected
    assert list(again.process(Watching()).execute_and_collect()) == expected


class Timers(KeyedProcessFunction):
    def open(self, runtime_context):
        self.sum = runtime_context.get_state(ValueStateDescriptor("sum", Types.INT()))

    def process_element(self, value, ctx):
        service = ctx.timer_service()
        self.sum.update((self.sum.value() or 0) + value[1])
        service.register_event_time_timer(10 + value[1])
        service.register_processing_time_timer(service.current_processing_time() + 3_600_000)
        yield f"{value} {ctx.get_current_key()}"

    def on_timer(self, timestamp, ctx):
        service = ctx.timer_service()
        # Neither fires: nothing will ever come for this key again.
        service.register_processing_time_timer(service.current_processing_time() + 1)
        yield f"{ctx.get_current_key()} {ctx.time_domain().name} {self.sum.value()}"


@pytest.fixture
def on_a_clock():
    """An environment whose jobs see a clock that stands still."""
    with LaunchWith(Launch(EmbeddedEngine(clock=ManualClock(1000)))):
        env = StreamExecutionEnvironment.get_execution_environment()
    return env.set_runtime_mode(RuntimeExecutionMode.BATCH)


def test_all_timers_fire_at_the_end_of_each_key(on_a_clock):
    results = list(keyed(on_a_clock, PAIRS[:3]).process(Timers()).execute_and_collect())
    a = ["('a', 2) a", "a EVENT_TIME 2", "a PROCESSING_TIME 2", "a PROCESSING_TIME 2"]
    b = ["('b', 1) b", "('b', 3) b", *["b EVENT_TIME 4"] * 2, *["b PROCESSING_TIME 4"] * 2]
    assert results == [*a[:3], a[3], *b]


def test_one_key_is_kept_at_a_time_whatever_backend_is_configured(env, monkeypatch):
    sizes = []
    forget = HeapKeyedStateBackend.forget

    def watch(backend):
        sizes.append(backend.entry_count("sum"))
        forget(backend)
        assert backend.entry_count("sum") == 0

    monkeypatch.setattr(HeapKeyedStateBackend, "forget", watch)
    env.set_state_backend(RocksDBStateBackend("file:///nowhere/to/be/found"))
    env.enable_checkpointing(10)
    pairs = [(f"key {number % 50}", number) for number in range(500)]
    assert len(list(keyed(env, pairs).process(Timers()).execute_and_collect())) > 500
    assert sizes == [1] * 50


class Rule(BroadcastProcessFunction):
    def process_element(self, value, ctx):
        yield value, ctx.get_broadcast_state(RULES).get("limit")

    def process_broadcast_element(self, value, ctx):
        ctx.get_broadcast_state(RULES).put("limit", value)


class KeyedRule(KeyedBroadcastProcessFunction):
    def process_element(self, value, ctx):
        yield value, ctx.get_broadcast_state(RULES).get("limit")

    def process_broadcast_element(self, value, ctx):
        ctx.get_broadcast_state(RULES).put("limit", value)


@pytest.mark.parametrize("parallelism", [1, 2])
def test_all_of_a_broadcast_input_comes_first(env, parallelism):
    env.set_parallelism(parallelism)
    slow = env.from_collection(list(range(5000)), Types.INT()).disable_chaining()
    rules = slow.filter(lambda number: number > 4990).broadcast(RULES)
    numbers = env.from_collection([3, 1, 2], Types.INT())
    plain = numbers.connect(rules).process(Rule())
    by_key = numbers.key_by(lambda number: number, Types.INT()).connect(rules).process(KeyedRule())
    expected = [(1, 4999), (2, 4999), (3, 4999)]
    assert sorted(plain.execute_and_collect()) == expected
    assert sorted(by_key.execute_and_collect()) == expected


def test_side_outputs_of_sorted_operators(env):
    tag = OutputTag("odd", Types.INT())

    class Split(KeyedProcessFunction):
        def process_element(self, value, ctx):
            yield (tag, value[1]) if value[1] % 2 else value[1]

    split = keyed(env).process(Split(), Types.INT())
    aside = split.get_side_output(tag).map(lambda number: -number)
    assert sorted(split.union(aside).execute_and_collect()) == [-5, -3, -1, 2, 4]


def test_a_batch_job_neither_starts_from_a_savepoint_nor_takes_one(env):
    job = keyed(env).sum(1)
    job.print()
    client = env.execute_async()
    with pytest.raises(CheckpointError, match="A job in BATCH mode takes no snapshots"):
        client.trigger_savepoint("file:///tmp/never").result()
    client.get_job_execution_result().result()
    configuration = Configuration()
    configuration.set_string("execution.state-recovery.path", "file:///some/savepoint")
    env.configure(configuration)
    keyed(env).sum(1).print()
    with pytest.raises(ConfigurationError, match="BATCH mode cannot start from a savepoint"):
        env.execute()


def test_a_source_that_says_so_is_read_to_its_end(env):
    source = DataGeneratorSource(lambda number: number, count=10)
    numbers = env.from_source(source, WatermarkStrategy.no_watermarks(), "numbers", Types.INT())
    total = numbers.key_by(lambda number: 0, Types.INT()).reduce(lambda a, b: a + b)
    assert list(total.execute_and_collect()) == [45]
