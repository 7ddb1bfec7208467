"""The job that kill_forked.py and kill_random.py kill, with its answer and its backends.

It is also a program: ``millpond run killed_job.py DIRECTORY RECORDS KEYS``.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

from millpond.common import Encoder, Types
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import KeyedProcessFunction, StreamExecutionEnvironment
from millpond.datastream.connectors.file_system import FileSink
from millpond.datastream.connectors.number_seq import NumberSequenceSource
from millpond.datastream.state import ListStateDescriptor, ValueStateDescriptor

INCREMENTAL = {"execution.checkpointing.incremental": "true"}
BACKENDS = {
    "memory": {"state.backend.type": "hashmap", "state.checkpoint-storage": "jobmanager"},
    "filesystem": {"state.backend.type": "hashmap"},
    "filesystem incremental": {"state.backend.type": "hashmap", **INCREMENTAL},
    "rocksdb full": {"state.backend.type": "rocksdb"},
    "rocksdb incremental": {"state.backend.type": "rocksdb", **INCREMENTAL},
}


class Running(KeyedProcessFunction):
    """A sum and the last numbers of each key; not too fast to be killed."""

    def open(self, runtime_context):
        self.sum = runtime_context.get_state(ValueStateDescriptor("sum", Types.LONG()))
        self.last = runtime_context.get_list_state(ListStateDescriptor("last", Types.LONG()))

    def process_element(self, value, ctx):
        if value % 8 == 0:
            time.sleep(0.001)
        total = (self.sum.value() or 0) + value
        self.sum.update(total)
        self.last.update([*list(self.last.get())[-2:], value])
        yield f"{ctx.get_current_key()} {total} {sum(self.last.get())}"


def settings_of(backend, directory):
    """Return the options of a job whose files are all below a directory."""
    return {
        **BACKENDS[backend],
        "execution.checkpointing.dir": str(directory / "checkpoints"),
        "execution.checkpointing.savepoint-dir": str(directory / "savepoints"),
        "execution.checkpointing.data-inline-threshold": "0",
        "io.tmp.dirs": str(directory / "temporary"),
    }


def describe(env, directory, records, keys):
    """Sum numbers by key, to an exactly-once file sink."""
    numbers = env.from_source(
        NumberSequenceSource(1, records), WatermarkStrategy.no_watermarks(), "numbers", Types.LONG()
    ).uid("numbers")
    keyed = numbers.key_by(lambda value: value % keys, Types.LONG())
    results = keyed.process(Running(), Types.STRING()).uid("running")
    sink = FileSink.for_row_format(str(directory / "out"), Encoder.simple_string_encoder())
    results.sink_to(sink.build()).uid("sink")


def expected(records, keys):
    """Compute the answer independently."""
    sums, last, lines = Counter(), {}, Counter()
    for value in range(1, records + 1):
        key = value % keys
        sums[key] += value
        last[key] = [*last.get(key, [])[-2:], value]
        lines[f"{key} {sums[key]} {sum(last[key])}"] += 1
    return lines


def committed(directory):
    """Read what a consumer of the sink's directory sees."""
    return Counter(
        line
        for path in (directory / "out").rglob("*")
        if path.is_file() and not path.name.startswith(".")
        for line in path.read_text().splitlines()
    )


def main():
    """Run it under whatever engine and configuration `millpond run` has set up."""
    directory, records, keys = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    env = StreamExecutionEnvironment.get_execution_environment()
    describe(env, directory, records, keys)
    env.execute()


if __name__ == "__main__":
    main()
