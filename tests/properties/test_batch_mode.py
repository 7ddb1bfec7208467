"""BATCH mode gives the final results of STREAMING mode, whatever the program keeps."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.common import Configuration, Time, Types, WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.aggregations import Aggregations, count, sum_of
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.functions import (
    KeyedCoProcessFunction,
    KeyedProcessFunction,
    ProcessJoinFunction,
    ProcessWindowFunction,
)
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ValueStateDescriptor,
)
from millpond.datastream.window import (
    CountTrigger,
    EventTimeSessionWindows,
    GlobalWindows,
    SlidingEventTimeWindows,
    TumblingEventTimeWindows,
)

records = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 9), st.integers(-30, 60)), max_size=30
).map(lambda rows: sorted(rows, key=lambda row: row[2]))
ROW = Types.TUPLE([Types.STRING(), Types.INT(), Types.LONG()])
COUNTED = Types.TUPLE([Types.LONG(), Types.LONG()])


class Kept(KeyedProcessFunction):
    """Value, list and map state, timers that set timers."""

    def open(self, runtime_context):
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.INT()))
        self.seen = runtime_context.get_list_state(ListStateDescriptor("seen", Types.INT()))
        self.at = runtime_context.get_map_state(MapStateDescriptor("at", Types.INT(), Types.LONG()))

    def process_element(self, value, ctx):
        self.count.update((self.count.value() or 0) + 1)
        self.seen.add(value[1])
        self.at.put(value[1], ctx.timestamp())
        ctx.timer_service().register_event_time_timer(200 + value[1] // 3)
        yield f"{value} {self.count.value()} {sorted(self.seen.get())}"

    def on_timer(self, timestamp, ctx):
        if timestamp < 205:
            ctx.timer_service().register_event_time_timer(timestamp + 5)
        yield f"{ctx.get_current_key()} {timestamp} {sorted(self.at.items())}"
        self.at.clear()


class Two(KeyedCoProcessFunction):
    def open(self, runtime_context):
        self.seen = runtime_context.get_list_state(ListStateDescriptor("seen", Types.INT()))

    def process_element1(self, value, ctx):
        self.seen.add(value[1])
        ctx.timer_service().register_event_time_timer(100)

    def process_element2(self, value, ctx):
        self.seen.add(100 + value[1])
        ctx.timer_service().register_event_time_timer(101)

    def on_timer(self, timestamp, ctx):
        yield f"two {ctx.get_current_key()} {timestamp} {sorted(self.seen.get())}"


class Listed(ProcessWindowFunction):
    def process(self, key, context, elements):
        runs = context.global_state().get_state(ValueStateDescriptor("runs", Types.INT()))
        runs.update((runs.value() or 0) + 1)
        yield f"window {key} {context.window()} {sorted(elements)} {runs.value()}"


class Pair(ProcessJoinFunction):
    def process_element(self, left, right, ctx):
        yield f"pair {left} {right}"


def joined(first, second):
    return "|".join(sorted([*first.split("|"), *second.split("|")]))


def results(rows, others, options, parallelism):
    configuration = Configuration()
    for key, value in options.items():
        configuration.set_string(key, value)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(parallelism)

    def keyed(rows):
        source = CollectionSource(rows, [row[2] for row in rows])
        strategy = WatermarkStrategy.for_monotonous_timestamps()
        stream = env.from_source(source, strategy, "rows", ROW)
        return stream.key_by(lambda row: row[0], Types.STRING())

    one, two = keyed(rows), keyed(others)
    tumbling = TumblingEventTimeWindows.of(Time.milliseconds(20))
    sliding = SlidingEventTimeWindows.of(Time.milliseconds(30), Time.milliseconds(15))
    sessions = EventTimeSessionWindows.with_gap(Time.milliseconds(7))
    largest = one.window(tumbling).reduce(lambda a, b: max(a, b, key=lambda row: row[1:]))
    streams = [
        one.process(Kept(), Types.STRING()),
        one.connect(two).process(Two(), Types.STRING()),
        one.window(sliding).process(Listed(), Types.STRING()),
        two.window(sessions).process(Listed(), Types.STRING()),
        two.window(GlobalWindows.create()).trigger(CountTrigger.of(3)).process(Listed()),
        largest.map(str)
        .window_all(tumbling)
        .reduce(lambda a, b: "|".join(sorted([*a.split("|"), *b.split("|")]))),
        one.window(tumbling).aggregate(Aggregations(count(), sum_of(1)), output_type=COUNTED),
        two.window(sessions).aggregate(Aggregations(count(), sum_of(1)), output_type=COUNTED),
        one.interval_join(two).between(-5, 5).process(Pair(), Types.STRING()),
    ]
    everything = streams[0].union(*(stream.map(str, Types.STRING()) for stream in streams[1:]))
    return Counter(everything.execute_and_collect())


@settings(max_examples=12, deadline=None)
@given(records, records, st.sampled_from([1, 2]), st.sampled_from(["64 mb", "1 kb"]))
def test_batch_gives_what_streaming_gives(rows, others, parallelism, memory):
    streaming = results(rows, others, {"millpond.batch-size": "7"}, parallelism)
    options = {"execution.runtime-mode": "BATCH", "millpond.sort-memory": memory}
    assert results(rows, others, options, parallelism) == streaming
    automatic = {"execution.runtime-mode": "AUTOMATIC", "millpond.batch-size": "3"}
    assert results(rows, others, automatic, parallelism) == streaming
