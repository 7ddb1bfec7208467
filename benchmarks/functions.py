"""The user's side of the jobs: functions as somebody would write them, and a sink that counts."""

from __future__ import annotations

from benchmarks.measurement import Stopwatch
from millpond.common import Types
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import AggregateFunction, KeyedProcessFunction
from millpond.datastream.connectors.sink import Sink, SinkWriter
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ValueStateDescriptor,
)


class RunningSum(KeyedProcessFunction):
    """Yields a key's sum with every record."""

    def open(self, runtime_context):
        self.sum = runtime_context.get_state(ValueStateDescriptor("sum", Types.LONG()))

    def process_element(self, value, ctx):
        state = self.sum
        before = state.value()
        total = value[1] if before is None else before + value[1]
        state.update(total)
        yield value[0], total


class CountPerKind(KeyedProcessFunction):
    """A map of ten counters a key."""

    def open(self, runtime_context):
        self.counts = runtime_context.get_map_state(
            MapStateDescriptor("counts", Types.LONG(), Types.LONG())
        )

    def process_element(self, value, ctx):
        kind = value[1] % 10
        count = (self.counts.get(kind) or 0) + 1
        self.counts.put(kind, count)
        yield value[0], count


class LastTen(KeyedProcessFunction):
    """Appends to a list, and empties it with every tenth record of the key."""

    def open(self, runtime_context):
        self.last = runtime_context.get_list_state(ListStateDescriptor("last", Types.LONG()))
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))

    def process_element(self, value, ctx):
        count = (self.count.value() or 0) + 1
        self.last.add(value[1])
        if count == 10:
            yield value[0], sum(self.last.get())
            self.last.clear()
            count = 0
        self.count.update(count)


class CountAndSum(AggregateFunction):
    """Counts records and adds their second field up."""

    def create_accumulator(self):
        return 0, 0

    def add(self, value, accumulator):
        return accumulator[0] + 1, accumulator[1] + value[1]

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        return acc_a[0] + acc_b[0], acc_a[1] + acc_b[1]


class ThirdField(TimestampAssigner):
    """The event time is in the record."""

    def extract_timestamp(self, value, record_timestamp):
        return value[2]


class Discard(Sink):
    """Counts records and times the job: from the opening of its operators to their close.

    So starting the job is not in the figure, the last checkpoint is.
    """

    written = 0
    watch = Stopwatch()

    def create_writer(self, context, restored):
        Discard.written = 0
        Discard.watch = Stopwatch()
        return _Counter()


class _Counter(SinkWriter):
    def write(self, values, timestamps):
        Discard.written += len(values)

    def write_columns(self, columns):
        Discard.written += len(columns[0])

    def close(self):
        Discard.watch.stop()
