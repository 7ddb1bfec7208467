"""Stores do their bounded work where no records come."""

from __future__ import annotations

import pytest

from millpond.common import Configuration, Time, Types
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.source import Records, Source, Split, SplitReader
from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.state import StateTtlConfig, ValueStateDescriptor

BACKENDS = []


class Reader(SplitReader):
    """Gives some records, and ends when their state is gone, or after too many empty reads."""

    def __init__(self):
        self.reads = 0
        self.done = False
        self.counts = []

    def read(self, limit):
        self.reads += 1
        if self.reads == 1:
            return Records(list(range(100)))
        self.counts.append(sum(backend.entry_count("seen") for backend in BACKENDS))
        self.done = self.counts[-1] == 0 or self.reads > 20_000
        return None

    @property
    def finished(self):
        return self.done

    def position(self):
        return {}


class Waiting(Source):
    def __init__(self):
        self.reader = Reader()

    def splits(self, parallelism):
        return [Split("only")]

    def open_split(self, split, position, clock):
        return self.reader


class Remember(KeyedProcessFunction):
    def open(self, runtime_context):
        descriptor = ValueStateDescriptor("seen", Types.LONG())
        ttl = StateTtlConfig.new_builder(Time.milliseconds(30)).build()
        descriptor.enable_time_to_live(ttl)
        self.seen = runtime_context.get_state(descriptor)
        BACKENDS.append(runtime_context._context.keyed_backend)

    def process_element(self, value, ctx):
        self.seen.update(value)


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
def test_expired_state_goes_though_no_record_comes(backend):
    BACKENDS.clear()
    configuration = Configuration()
    configuration.set_string("state.backend.type", backend)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    source = Waiting()
    stream = env.from_source(source, WatermarkStrategy.no_watermarks(), "waiting", Types.LONG())
    stream.key_by(lambda value: value, Types.LONG()).process(Remember(), Types.LONG()).print()
    env.execute()
    assert source.reader.counts[0] == 100
    assert source.reader.counts[-1] == 0
