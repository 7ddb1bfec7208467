"""The jobs on PyFlink; run by the comparison with PyFlink's interpreter, prints a line of JSON.

pyflink_job.py <process|windows> <heap|rocksdb> <thread|process> <events> <keys>
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from pyflink.common import Configuration, Types, WatermarkStrategy
from pyflink.common.time import Time
from pyflink.common.watermark_strategy import TimestampAssigner
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors import Sink
from pyflink.datastream.connectors.number_seq import NumberSequenceSource
from pyflink.datastream.functions import AggregateFunction, KeyedProcessFunction, MapFunction
from pyflink.datastream.state import ValueStateDescriptor
from pyflink.datastream.window import TumblingEventTimeWindows
from pyflink.java_gateway import get_gateway

RECORD = Types.TUPLE([Types.LONG(), Types.LONG(), Types.LONG()])
PAIR = Types.TUPLE([Types.LONG(), Types.LONG()])


class Marks:
    """Times that functions note down; they may run in another process."""

    def __init__(self, path):
        self.path = path

    def note(self):
        with Path(self.path).open("a") as file:
            file.write(f"{time.time()}\n")


class RunningSum(KeyedProcessFunction):
    def __init__(self, marks):
        self.marks = marks

    def open(self, runtime_context):
        self.sum = runtime_context.get_state(ValueStateDescriptor("sum", Types.LONG()))
        self.marks.note()

    def process_element(self, value, ctx):
        state = self.sum
        before = state.value()
        total = value[1] if before is None else before + value[1]
        state.update(total)
        yield value[0], total

    def close(self):
        self.marks.note()


class CountAndSum(AggregateFunction):
    def create_accumulator(self):
        return 0, 0

    def add(self, value, accumulator):
        return accumulator[0] + 1, accumulator[1] + value[1]

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        return acc_a[0] + acc_b[0], acc_a[1] + acc_b[1]


class Timed(MapFunction):
    def __init__(self, marks):
        self.marks = marks

    def open(self, runtime_context):
        self.marks.note()

    def map(self, value):
        return value

    def close(self):
        self.marks.note()


class ThirdField(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[2]


def main():
    job, backend, mode, events, keys = sys.argv[1:]
    events, keys = int(events), int(keys)
    configuration = Configuration()
    configuration.set_string("state.backend.type", "hashmap" if backend == "heap" else "rocksdb")
    configuration.set_string("taskmanager.memory.managed.size", "512m")
    configuration.set_string("execution.checkpointing.interval", "10 s")
    directory = Path(tempfile.mkdtemp(prefix="millpond-bench-pyflink-"))
    configuration.set_string("execution.checkpointing.dir", directory.as_uri())
    configuration.set_string("rest.bind-port", "0")
    configuration.set_string("python.execution-mode", mode)
    configuration.set_string("python.executable", sys.executable)
    configuration.set_string("python.client.executable", sys.executable)
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    environment.set_parallelism(1)
    marks = Marks(str(directory / "marks"))
    stream = environment.from_source(
        NumberSequenceSource(0, events - 1),
        WatermarkStrategy.no_watermarks(),
        "numbers",
        type_info=Types.LONG(),
    ).map(lambda i: ((i * 2654435761) % keys, i, i // 100), output_type=RECORD)
    if job == "windows":
        strategy = WatermarkStrategy.for_monotonous_timestamps()
        stream = stream.assign_timestamps_and_watermarks(
            strategy.with_timestamp_assigner(ThirdField())
        )
    keyed = stream.key_by(lambda value: value[0], key_type=Types.LONG())
    if job == "windows":
        results = (
            keyed.window(TumblingEventTimeWindows.of(Time.seconds(1)))
            .aggregate(CountAndSum(), accumulator_type=PAIR, output_type=PAIR)
            .map(Timed(marks), output_type=PAIR)
        )
    else:
        results = keyed.process(RunningSum(marks), output_type=PAIR)
    sink = get_gateway().jvm.org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink()
    results.sink_to(Sink(sink))
    environment.execute(job)
    times = [float(line) for line in Path(marks.path).read_text().split()]
    print(json.dumps({"wall_s": max(times) - min(times)}), flush=True)


if __name__ == "__main__":
    main()
