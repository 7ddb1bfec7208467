"""Jobs whose input falls silent, on a clock that moves only while the job waits."""

from __future__ import annotations

from collections import defaultdict

import pytest

from millpond.clock import ManualClock
from millpond.common import (
    Duration,
    Time,
    TimestampAssigner,
    Types,
    WatermarkGenerator,
    WatermarkStrategy,
)
from millpond.common.configuration import Configuration
from millpond.configuration.options.rocksdb import TIMER_STORE
from millpond.datastream import EmbeddedRocksDBStateBackend, StreamExecutionEnvironment
from millpond.datastream.connectors.source import Records, Source, Split, SplitReader
from millpond.datastream.engine import Launch, LaunchWith
from millpond.datastream.functions import (
    CoMapFunction,
    KeyedProcessFunction,
    ProcessWindowFunction,
)
from millpond.datastream.window import (
    EventTimeSessionWindows,
    ProcessingTimeSessionWindows,
    TumblingEventTimeWindows,
    TumblingProcessingTimeWindows,
)
from millpond.engines.embedded import EmbeddedEngine


class Quiet(Source):
    """Says (name, timestamp) for each timestamp, then nothing for ever; or ends."""

    def __init__(self, name, timestamps, *, bounded=False, a_time=1, log=None):
        self.bounded = bounded
        self.name = name
        self.timestamps = timestamps
        self.a_time = a_time
        self.log = log

    def splits(self, parallelism):
        return (Split(self.name),)

    def open_split(self, split, position, clock):
        return _Reader(self)


class _Reader(SplitReader):
    finished = False

    def __init__(self, source):
        self._source = source
        self._next = 0

    def read(self, limit):
        source = self._source
        end = min(self._next + min(limit, source.a_time), len(source.timestamps))
        values = [(source.name, timestamp) for timestamp in source.timestamps[self._next : end]]
        self._next = end
        self.finished = source.bounded and end == len(source.timestamps)
        if source.log is not None:
            source.log.extend(values)
        return Records(values) if values else None

    def position(self):
        return {"next": self._next}


class Partitions(Quiet):
    """Several splits in one subtask, each a `Quiet`."""

    def __init__(self, *parts, log=None):
        super().__init__("partitions", ())
        self.parts = {part.name: part for part in parts}

    def splits(self, parallelism):
        return [Split(name) for name in self.parts]

    def open_split(self, split, position, clock):
        return _Reader(self.parts[split.split_id])


class Second(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[1]


class Rows(ProcessWindowFunction):
    def process(self, key, context, elements):
        yield (context.window().start, len(list(elements)))


class Both(CoMapFunction):
    def map1(self, value):
        return value

    def map2(self, value):
        return value


ASCENDING = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(Second())
IDLE = ASCENDING.with_idleness(Duration.of_millis(100))


@pytest.fixture
def job(tmp_path):
    """Return a function that takes a program and returns its first results and the clock."""

    def run(describe, count, parallelism=1):
        clock = ManualClock(1_000_000)
        configuration = Configuration()
        configuration.set_string("io.tmp.dirs", str(tmp_path))
        with LaunchWith(Launch(EmbeddedEngine(clock=clock))):
            env = StreamExecutionEnvironment.get_execution_environment(configuration)
            env.set_parallelism(parallelism)
            results = []
            with describe(env).execute_and_collect() as collected:
                for result in collected:
                    results.append(result)
                    if len(results) == count:
                        break
        return results, clock.now_ms() - 1_000_000

    return run


def read(env, name, timestamps, strategy, **options):
    source = Quiet(name, timestamps, **options)
    return env.from_source(source, strategy, name, Types.TUPLE([Types.STRING(), Types.LONG()]))


def count_in_windows(stream, assigner):
    return stream.key_by(lambda value: value[0], Types.STRING()).window(assigner).process(Rows())


HUNDRED = TumblingEventTimeWindows.of(Time.milliseconds(100))


def test_an_idle_source_does_not_hold_the_windows_of_another_open(job):
    def describe(env):
        busy = read(env, "busy", [0, 10, 110, 250], ASCENDING)
        quiet = read(env, "quiet", [5], IDLE)
        return count_in_windows(busy.union(quiet), HUNDRED)

    results, waited_ms = job(describe, 3)
    assert sorted(results) == [(0, 1), (0, 2), (100, 1)]
    assert waited_ms >= 100


def test_when_all_are_idle_windows_close_up_to_the_furthest(job):
    def describe(env):
        first = read(env, "first", [0, 150], IDLE)
        second = read(env, "second", [5], IDLE)
        return count_in_windows(first.connect(second).map(Both()), HUNDRED)

    results, _ = job(describe, 2)
    assert sorted(results) == [(0, 1), (0, 1)]


def test_a_source_that_ended_is_not_waited_for(job):
    def describe(env):
        busy = read(env, "busy", [0, *range(100, 1000, 100)], ASCENDING)
        quiet = read(env, "quiet", [5], IDLE, bounded=True)
        return count_in_windows(busy.union(quiet), HUNDRED)

    results, _ = job(describe, 9)
    assert sorted(results) == sorted(
        [(0, 1), (0, 1), *((start, 1) for start in range(100, 800, 100))]
    )


def test_the_last_windows_of_a_bounded_idle_source_close(job):
    def describe(env):
        quiet = read(env, "quiet", [5, 120], IDLE, bounded=True)
        return count_in_windows(quiet.rebalance(), HUNDRED)

    results, _ = job(describe, 9, parallelism=2)
    assert sorted(results) == [(0, 1), (100, 1)]


@pytest.mark.parametrize(
    "assigner",
    [
        TumblingProcessingTimeWindows.of(Time.milliseconds(50)),
        ProcessingTimeSessionWindows.with_gap(Time.milliseconds(50)),
    ],
)
def test_windows_by_the_clock_close_while_nothing_comes(job, assigner):
    def describe(env):
        return count_in_windows(read(env, "quiet", [1, 2, 3], ASCENDING, a_time=3), assigner)

    results, waited_ms = job(describe, 1)
    assert [count for _, count in results] == [3]
    assert 40 <= waited_ms < 200


def test_timers_by_the_clock_fire_while_nothing_comes(job):
    class Chain(KeyedProcessFunction):
        def process_element(self, value, ctx):
            service = ctx.timer_service()
            service.register_processing_time_timer(service.current_processing_time() + 30)

        def on_timer(self, timestamp, ctx):
            ctx.timer_service().register_processing_time_timer(timestamp + 30)
            yield timestamp

    def describe(env):
        stream = read(env, "quiet", [1], ASCENDING).key_by(lambda value: value[0], Types.STRING())
        return stream.process(Chain())

    results, waited_ms = job(describe, 3)
    assert results == [1_000_030, 1_000_060, 1_000_090]
    assert 90 <= waited_ms < 200


class Patience(WatermarkGenerator):
    """After three ticks without a record event time has passed all that came."""

    def __init__(self):
        self.largest = self.ticks = 0

    def on_event(self, event, timestamp, output):
        self.largest, self.ticks = max(self.largest, timestamp), 0

    def on_periodic_emit(self, output):
        self.ticks += 1
        if self.ticks > 3:
            output.emit_watermark(self.largest + 1000)


def test_a_generator_of_the_user_closes_the_session_of_a_quiet_stream(job):
    def describe(env):
        strategy = WatermarkStrategy.for_generator(Patience).with_timestamp_assigner(Second())
        stream = read(env, "quiet", [5, 7], strategy)
        return count_in_windows(stream, EventTimeSessionWindows.with_gap(Time.milliseconds(50)))

    results, waited_ms = job(describe, 1)
    assert results == [(5, 2)]
    assert 600 <= waited_ms < 900


class Spread:
    """How far apart the event times of two sources are as they are read."""

    def __init__(self):
        self.last = defaultdict(int)
        self.widest = 0

    def extend(self, values):
        for name, timestamp in values:
            self.last[name] = timestamp
        if len(self.last) == 2:
            self.widest = max(self.widest, abs(self.last["fast"] - self.last["slow"]))


@pytest.mark.parametrize("where", ["source", "chained"])
@pytest.mark.parametrize("aligned", [True, False])
def test_a_source_that_is_ahead_waits_for_its_group(job, aligned, where):
    spread = Spread()

    def describe(env):
        strategy = ASCENDING
        if aligned:
            strategy = strategy.with_watermark_alignment("group", Duration.of_millis(500))
        streams = []
        for name, timestamps in (
            ("fast", range(0, 10_000, 100)),
            ("slow", range(0, 10_000, 10)),
        ):
            first = WatermarkStrategy.no_watermarks() if where == "chained" else strategy
            stream = read(env, name, timestamps, first, bounded=True, log=spread)
            if where == "chained":
                stream = stream.assign_timestamps_and_watermarks(strategy)
            streams.append(stream)
        return streams[0].union(streams[1]).map(lambda value: value)

    results, _ = job(describe, 10_000)
    assert len(results) == 1100
    assert (spread.widest <= 700) == aligned


def test_an_aligned_source_does_not_wait_for_an_idle_one(job):
    def describe(env):
        group = ("group", Duration.of_millis(10))
        busy = read(env, "busy", range(0, 1000, 100), ASCENDING.with_watermark_alignment(*group))
        quiet = read(env, "quiet", [0], IDLE.with_watermark_alignment(*group))
        return busy.union(quiet).map(lambda value: value)

    results, waited_ms = job(describe, 11)
    assert len(results) == 11
    assert waited_ms >= 100


def test_an_alignment_without_a_source_to_pause_is_logged(job, caplog):
    strategy = ASCENDING.with_watermark_alignment("group", Duration.of_millis(10))

    def describe(env):
        stream = read(env, "busy", [1, 2], ASCENDING, bounded=True).rebalance()
        return stream.assign_timestamps_and_watermarks(strategy).map(lambda value: value)

    results, _ = job(describe, 9, parallelism=2)
    assert sorted(results) == [("busy", 1), ("busy", 2)]
    assert "has no effect: no source is chained to it" in caplog.text


@pytest.mark.parametrize("order", [("slow", "fast"), ("fast", "slow")])
def test_the_slowest_split_says_how_far_event_time_has_come(job, order):
    times = {"slow": range(0, 150, 10), "fast": range(0, 1500, 100)}

    def describe(env):
        parts = Partitions(*(Quiet(name, times[name]) for name in order))
        stream = env.from_source(
            parts, ASCENDING, "partitions", Types.TUPLE([Types.STRING(), Types.LONG()])
        )
        return count_in_windows(stream, HUNDRED)

    # Nothing is late: all ten of the slow one are in its first window.
    results, _ = job(describe, 2)
    assert sorted(results) == [(0, 1), (0, 10)]


def test_a_quiet_split_does_not_hold_the_others_back(job):
    def describe(env):
        parts = Partitions(Quiet("quiet", [5]), Quiet("busy", range(0, 1000, 100)))
        stream = env.from_source(
            parts, IDLE, "partitions", Types.TUPLE([Types.STRING(), Types.LONG()])
        )
        return count_in_windows(stream, HUNDRED)

    results, waited_ms = job(describe, 10)
    assert sorted(results) == sorted([(0, 1), *((start, 1) for start in range(0, 900, 100))])
    assert waited_ms >= 100


@pytest.mark.parametrize("timers", ["HEAP", "ROCKSDB"])
def test_at_the_end_event_timers_fire_and_timers_by_the_clock_do_not(job, timers):
    class Both(KeyedProcessFunction):
        def process_element(self, value, ctx):
            service = ctx.timer_service()
            service.register_event_time_timer((1 << 63) - 1)
            service.register_event_time_timer(value[1] + 1_000_000)
            service.register_processing_time_timer(service.current_processing_time() + 1_000_000)

        def on_timer(self, timestamp, ctx):
            yield (ctx.time_domain().name, timestamp)

    def describe(env):
        env.set_state_backend(EmbeddedRocksDBStateBackend())
        env.configure(Configuration.from_dict({TIMER_STORE.key: timers}))
        stream = read(env, "busy", [1, 2], ASCENDING, bounded=True)
        return stream.key_by(lambda value: value[0], Types.STRING()).process(Both())

    results, waited_ms = job(describe, 9)
    assert results == [
        ("EVENT_TIME", 1_000_001),
        ("EVENT_TIME", 1_000_002),
        ("EVENT_TIME", (1 << 63) - 1),
    ]
    assert waited_ms < 1_000_000
