"""What is passed wrongly to the methods of streams has an error that says what to write."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from millpond.common import Duration, Types, WatermarkStrategy
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.functions import (
    AsyncFunction,
    CoProcessFunction,
    KeyedCoProcessFunction,
    KeyedProcessFunction,
    ProcessFunction,
    ProcessWindowFunction,
)
from millpond.datastream.state import MapStateDescriptor
from millpond.datastream.streams.asynchronous import AsyncDataStream
from millpond.datastream.window import CountTumblingWindowAssigner
from millpond.errors import ConfigurationError, InvalidProgramError

RULES = MapStateDescriptor("rules", Types.STRING(), Types.STRING())


class Keyed(KeyedProcessFunction):
    def process_element(self, value, ctx):
        yield value


class Paired(KeyedCoProcessFunction):
    def process_element1(self, value, ctx):
        yield value

    def process_element2(self, value, ctx):
        yield value


def by_key(stream):
    return stream.key_by(lambda value: value)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda s: s.key_by("name"), "Write lambda record: record['name']."),
        (lambda s: s.key_by(0), "Write lambda record: record[0]."),
        (lambda s: s.process(Keyed()), "process needs a ProcessFunction, not an object of the"),
        (lambda s: s.process(Keyed()), "A KeyedProcessFunction belongs behind key_by."),
        (lambda s: by_key(s).process(Keyed), "not the class Keyed. Write Keyed()."),
        (lambda s: by_key(s).process(by_key), "KeyedProcessFunction, not the function by_key."),
        (
            lambda s: s.connect(s).process(Paired()),
            (
                "process on connected streams needs a CoProcessFunction, not an object of the "
                "class Paired. For a KeyedCoProcessFunction call key_by on both streams."
            ),
        ),
        (lambda s: by_key(s).connect(by_key(s)).process(Paired), "Write Paired()."),
        (
            lambda s: s.connect(s.broadcast(RULES)).process(CoProcessFunction),
            "For a KeyedBroadcastProcessFunction call key_by on the stream.",
        ),
        (
            lambda s: by_key(s).count_window(2).process(ProcessWindowFunction),
            "Write ProcessWindowFunction().",
        ),
        (lambda s: by_key(s).count_window(2).apply(Keyed()), "apply on windows needs a WindowFun"),
        (lambda s: by_key(s).count_window(2).evictor(3), "evictor needs an Evictor, not 3."),
        (
            lambda s: by_key(s).window(CountTumblingWindowAssigner),
            "Write CountTumblingWind",
        ),
        (lambda s: by_key(s).count_window(2).side_output_late_data("late"), "an OutputTag, not"),
        (lambda s: by_key(s).count_window(2).aggregate(max), "aggregate needs an AggregateFun"),
        (
            lambda s: by_key(s).count_window(2).reduce(max, Keyed()),
            "The window function needs a WindowFunction or ProcessWindowFunction",
        ),
        (lambda s: s.get_side_output("late"), "get_side_output needs an OutputTag, not 'late'."),
        (
            lambda s: AsyncDataStream.unordered_wait(s, AsyncFunction, timedelta(1)),
            "Write AsyncFunction().",
        ),
        (lambda s: s.assign_timestamps_and_watermarks(max), "Event time needs a WatermarkStrat"),
        (lambda s: s.process(ProcessFunction), "Write ProcessFunction()."),
    ],
)
def test_the_error_says_what_to_write(call, text):
    env = StreamExecutionEnvironment.get_execution_environment()
    with pytest.raises(InvalidProgramError, match=re.escape(text)):
        call(env.from_collection(["a"], Types.STRING()))


def test_a_source_needs_a_strategy():
    env = StreamExecutionEnvironment.get_execution_environment()
    source = env.from_collection([1])._transformation.spec.source
    with pytest.raises(InvalidProgramError, match=r"not 'none'\. Write WatermarkStrategy\.for_"):
        env.from_source(source, "none", "numbers")


@pytest.mark.parametrize("number", ["2", 2.5, None, 0])
def test_parallelism_is_a_number(number):
    stream = StreamExecutionEnvironment.get_execution_environment().from_collection([1]).map(str)
    with pytest.raises(ConfigurationError, match=f"at least 1, not {number!r}"):
        stream.set_parallelism(number)
    with pytest.raises(ConfigurationError, match=f"Max parallelism {number!r} is not between"):
        stream.set_max_parallelism(number)


class Stamp(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value


def test_strategies_name_what_they_need():
    strategy = WatermarkStrategy.for_monotonous_timestamps()
    with pytest.raises(TypeError, match=r"not the class: write Stamp\(\)\."):
        strategy.with_timestamp_assigner(Stamp)
    with pytest.raises(TypeError, match=r"bound of out-of-orderness must be a Duration .* not 5"):
        WatermarkStrategy.for_bounded_out_of_orderness(5)
    with pytest.raises(TypeError, match="idle timeout must be a Duration"):
        strategy.with_idleness("1 min")
    with pytest.raises(TypeError, match="update interval must be a Duration"):
        strategy.with_watermark_alignment("group", Duration.of_seconds(1), 5)
    with pytest.raises(TypeError, match="allowed drift of watermarks must be a Duration"):
        strategy.with_watermark_alignment("group", 5)


def test_what_is_printed_fits_its_type():
    env = StreamExecutionEnvironment.get_execution_environment()
    pair = Types.TUPLE([Types.STRING(), Types.INT()])
    env.from_collection([1]).map(lambda value: "x", pair).print()
    text = r"'x' does not fit the declared type TupleTypeInfo.* it has 2 fields\. Change the value"
    with pytest.raises(TypeError, match=text):
        env.execute()
