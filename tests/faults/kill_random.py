"""Kills a real job at random moments until it is done, and compares what it committed.

Run it as ``python tests/faults/kill_random.py [--rounds N] [--backend NAME] [--seed S]``. In every
round a fresh job starts with ``millpond run``; again and again either its worker or the whole
process gets SIGKILL after a random time, and the job is started anew under the same job id. The
lines that its exactly-once file sink shows at the end must be those of a calm run.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

RECORDS = 4000
BACKENDS = {
    "filesystem": {"state.backend.type": "hashmap"},
    "rocksdb": {"state.backend.type": "rocksdb"},
    "rocksdb-incremental": {
        "state.backend.type": "rocksdb",
        "execution.checkpointing.incremental": "true",
    },
}

PROGRAM = """
import sys, time
from pathlib import Path
from millpond.common import Encoder, Types
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import KeyedProcessFunction, StreamExecutionEnvironment
from millpond.datastream.connectors.file_system import FileSink
from millpond.datastream.connectors.number_seq import NumberSequenceSource
from millpond.datastream.state import ListStateDescriptor, ValueStateDescriptor

directory, records = Path(sys.argv[1]), int(sys.argv[2])
marker = directory / "done"
if marker.exists():
    sys.exit()

class Running(KeyedProcessFunction):
    def open(self, runtime_context):
        self.sum = runtime_context.get_state(ValueStateDescriptor("sum", Types.LONG()))
        self.last = runtime_context.get_list_state(ListStateDescriptor("last", Types.LONG()))

    def process_element(self, value, ctx):
        if value % 32 == 0:
            time.sleep(0.002)
        total = (self.sum.value() or 0) + value
        self.sum.update(total)
        self.last.update([*list(self.last.get())[-2:], value])
        yield f"{ctx.get_current_key()} {total} {sum(self.last.get())}"

env = StreamExecutionEnvironment.get_execution_environment()
numbers = env.from_source(
    NumberSequenceSource(1, records), WatermarkStrategy.no_watermarks(), "numbers", Types.LONG()
).uid("numbers")
keyed = numbers.key_by(lambda value: value % 50, Types.LONG())
results = keyed.process(Running(), Types.STRING()).uid("running")
sink = FileSink.for_row_format(str(directory / "out"), Encoder.simple_string_encoder()).build()
results.sink_to(sink).uid("sink")
env.execute()
marker.touch()
"""


def expected():
    """Compute the answer independently."""
    sums, last, lines = Counter(), {}, Counter()
    for value in range(1, RECORDS + 1):
        key = value % 50
        sums[key] += value
        last[key] = [*last.get(key, [])[-2:], value]
        lines[f"{key} {sums[key]} {sum(last[key])}"] += 1
    return lines


def committed(directory):
    """Read what a consumer of the sink's directory sees."""
    return Counter(
        line
        for path in (directory / "out").rglob("*")
        if path.is_file() and not path.name.startswith(".") and "inprogress" not in path.name
        for line in path.read_text().splitlines()
    )


def start(directory, backend, log):
    """Start the job, or go on with it."""
    settings = {
        **BACKENDS[backend],
        "execution.checkpointing.dir": str(directory / "checkpoints"),
        "execution.checkpointing.interval": "15 ms",
        "millpond.batch-size": "16",
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": "100",
        "restart-strategy.fixed-delay.delay": "1 ms",
        "io.tmp.dirs": str(directory / "temporary"),
    }
    return subprocess.Popen(
        [
            sys.executable, "-c", "from millpond.cli import main; main()", "run",
            *(part for key, value in settings.items() for part in ("-D", f"{key}={value}")),
            "--job-id", "d1ce" * 8,
            str(directory / "job.py"), str(directory), str(RECORDS),
        ],
        stdout=log,
        stderr=log,
    )  # fmt: skip


def worker_of(process_id):
    """Return the process id of a job's worker, None where there is none now."""
    try:
        children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def play_round(directory, backend, random, *, longest_seconds=1.2, most_kills=12):
    """Kill and restart a job until it is done; return how often what was killed."""
    kills = Counter()
    (directory / "job.py").write_text(PROGRAM)
    (directory / "temporary").mkdir()
    with (directory / "log").open("a") as log:
        while True:
            shown = committed(directory)
            if shown and not list((directory / "checkpoints").rglob("_metadata")):
                # Killed between its last step, which deletes the checkpoints, and its exit.
                assert shown == expected(), "results without a checkpoint"
                return kills
            process = start(directory, backend, log)
            try:
                if kills.total() < most_kills:
                    kill_at_random(process, random, longest_seconds, kills)
                if process.wait(60) == 0:
                    return kills
            finally:
                process.kill()
                process.wait()
            if process.returncode != -signal.SIGKILL:
                raise RuntimeError((directory / "log").read_text()[-3000:])


def kill_at_random(process, random, longest_seconds, kills):
    """Kill the worker some times, or not, and then the job itself, unless it ends before."""
    while True:
        # Once in a while before the worker is there, else while it works.
        patient = random.random() < 0.9
        while patient and worker_of(process.pid) is None and process.poll() is None:
            time.sleep(0.01)
        deadline = time.monotonic() + random.uniform(0.05, longest_seconds)
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return
            time.sleep(0.005)
        worker = worker_of(process.pid)
        if worker is not None and random.random() < 0.5:
            try:
                os.kill(worker, signal.SIGKILL)
            except ProcessLookupError:
                continue
            kills["worker"] += 1
            continue
        process.kill()
        kills["job"] += 1
        return


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--backend", choices=sorted(BACKENDS), action="append")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    right = expected()
    backends = arguments.backend or sorted(BACKENDS)
    kills = Counter()
    for number in range(arguments.rounds):
        backend = backends[number % len(backends)]
        random = Random(f"{arguments.seed} {number}")
        with tempfile.TemporaryDirectory(prefix="kill-random-") as name:
            directory = Path(name)
            kills += play_round(directory, backend, random)
            answer = committed(directory)
            lost, repeated = (right - answer).total(), (answer - right).total()
        if lost or repeated:
            print(f"round {number} ({backend}): {lost} lost, {repeated} repeated")
            sys.exit(1)
    print(f"{arguments.rounds} rounds, killed {dict(kills)}: nothing lost, nothing repeated")


if __name__ == "__main__":
    main()
