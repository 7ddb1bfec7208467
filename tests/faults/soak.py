"""Runs a job for minutes, with failures and savepoints all the time, and looks for what grows.

    python tests/faults/soak.py --minutes 10 --backend rocksdb

Keys come and go, windows and sessions open and close, state expires. A checkpoint is taken every
200 ms, a function fails every few seconds, so that the job restarts within the process, and
savepoints are taken and deleted. Now and then it prints open files, threads, memory, and files. In
the end the job stops with a savepoint. The exit code is 1 if results were lost or repeated, or
if memory, descriptors, threads or files are more than they were after the first third.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import logging
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import ClassVar

from millpond.common import Duration, RestartStrategies, Time, Types
from millpond.common.configuration import Configuration
from millpond.common.watermark_strategy import TimestampAssigner, WatermarkStrategy
from millpond.datastream import OutputTag, StreamExecutionEnvironment
from millpond.datastream.connectors.number_seq import NumberSequenceSource
from millpond.datastream.connectors.sink import Sink, SinkWriter
from millpond.datastream.engine import Launch, LaunchWith
from millpond.datastream.functions import (
    AggregateFunction,
    KeyedProcessFunction,
    ProcessWindowFunction,
)
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.datastream.window import (
    EventTimeSessionWindows,
    SlidingEventTimeWindows,
    TumblingEventTimeWindows,
)
from millpond.engines.embedded import EmbeddedEngine
from millpond.runtime.job_listener import JobListener
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions

ODD = OutputTag("odd", Types.PICKLED_BYTE_ARRAY())
RECORD = Types.PICKLED_BYTE_ARRAY()
LIVE_KEYS = 500
# So many records share a timestamp in milliseconds.
DENSITY = 20


class Failure:
    """Raised by user code when it is due."""

    due = False


class Totals:
    """What was committed, as a number and a sum for each kind of result."""

    prepared: ClassVar[dict] = {}
    committed: ClassVar[dict] = {}
    names: ClassVar[set] = set()

    @classmethod
    def commit(cls, name):
        if name in cls.names:
            return
        cls.names.add(name)
        for kind, (count, total) in cls.prepared.pop(name).items():
            before = cls.committed.get(kind, (0, 0))
            cls.committed[kind] = (before[0] + count, before[1] + total)


class TotalsSink(Sink):
    def create_writer(self, context, restored):
        return _Writer()

    def commit(self, committables):
        for name in committables:
            Totals.commit(name)


class _Writer(SinkWriter):
    number = 0

    def __init__(self):
        self._values = {}

    def write(self, values, timestamps):
        for kind, value in values:
            count, total = self._values.get(kind, (0, 0))
            self._values[kind] = (count + 1, total + value)

    def prepare_commit(self, *, end_of_input):
        values, self._values = self._values, {}
        if not values:
            return []
        _Writer.number += 1
        Totals.prepared[_Writer.number] = values
        return [_Writer.number]


class ByNumber(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        # A little out of order.
        return value // DENSITY - value * 7919 % 50


def key_of(number):
    """A key lives for some seconds of event time; new ones come all the time."""
    return number // (LIVE_KEYS * 10) * LIVE_KEYS + number % LIVE_KEYS


class Tracking(KeyedProcessFunction):
    """State of all kinds that is cleared by timers, or expires."""

    def open(self, runtime_context):
        ttl = StateTtlConfig.new_builder(Time.seconds(2)).build()
        seen = ValueStateDescriptor("seen", Types.LONG())
        seen.enable_time_to_live(ttl)
        named = MapStateDescriptor("named", Types.LONG(), Types.STRING())
        named.enable_time_to_live(ttl)
        self.seen = runtime_context.get_state(seen)
        self.named = runtime_context.get_map_state(named)
        self.sum = runtime_context.get_state(ValueStateDescriptor("sum", Types.LONG()))
        self.last = runtime_context.get_list_state(ListStateDescriptor("last", Types.LONG()))

    def process_element(self, value, ctx):
        if Failure.due:
            Failure.due = False
            raise RuntimeError("on purpose")
        self.seen.update(value)
        self.named.put(value % 5, str(value))
        total = self.sum.value()
        if total is None:
            total = 0
            ctx.timer_service().register_event_time_timer(ctx.timestamp() + 1000)
        self.sum.update(total + value)
        self.last.add(value)
        if value % 16 == 0:
            yield ODD, ("odd", value)
        yield "record", value

    def on_timer(self, timestamp, ctx):
        yield "timer", sum(self.last.get()) - self.sum.value()
        self.sum.clear()
        self.last.clear()


class Total(AggregateFunction):
    def create_accumulator(self):
        return 0

    def add(self, value, accumulator):
        return accumulator + value

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        return acc_a + acc_b


class Named(ProcessWindowFunction):
    def __init__(self, kind):
        self.kind = kind

    def process(self, key, context, elements):
        yield self.kind, sum(elements)


def describe(env):
    strategy = WatermarkStrategy.for_bounded_out_of_orderness(
        Duration.of_millis(60)
    ).with_timestamp_assigner(ByNumber())
    source = NumberSequenceSource(0, 10**12)
    numbers = env.from_source(source, strategy, "numbers").set_parallelism(1).uid("numbers")
    keyed = numbers.key_by(key_of, Types.LONG())
    tracked = keyed.process(Tracking(), RECORD).uid("tracked")
    tumbling = (
        keyed.window(TumblingEventTimeWindows.of(Time.milliseconds(500)))
        .aggregate(Total(), Named("tumbling"), Types.LONG(), RECORD)
        .uid("tumbling")
    )
    sliding = (
        keyed.window(SlidingEventTimeWindows.of(Time.milliseconds(400), Time.milliseconds(200)))
        .process(Named("sliding"), RECORD)
        .uid("sliding")
    )
    sessions = (
        keyed.window(EventTimeSessionWindows.with_gap(Time.milliseconds(150)))
        .aggregate(Total(), Named("sessions"), Types.LONG(), RECORD)
        .uid("sessions")
    )
    results = tracked.union(tracked.get_side_output(ODD), tumbling, sliding, sessions)
    results.sink_to(TotalsSink()).uid("totals")


def sample(work):
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return {
        "rss_mb": round(pages * resource.getpagesize() / 1024**2, 1),
        "blocks": sys.getallocatedblocks(),
        "files_open": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "files": sum(len(files) for _, _, files in os.walk(work)),
    }


def problems(samples):
    """Compare the second half with what was after the first third."""
    if len(samples) < 9:
        return []
    early = samples[len(samples) // 3 : len(samples) // 2]
    late = samples[-len(early) :]
    found = []
    for name, factor, more in (
        ("rss_mb", 1.1, 20),
        ("blocks", 1.1, 50_000),
        ("files_open", 1.0, 10),
        ("threads", 1.0, 2),
        ("files", 1.2, 30),
    ):
        before = max(each[name] for each in early)
        after = min(each[name] for each in late)
        if after > before * factor + more:
            found.append(f"{name} grew from {before} to {after}")
    return found


def configuration_of(arguments, work):
    settings = {
        "io.tmp.dirs": str(work / "temporary"),
        "state.backend.type": arguments.backend,
        "execution.checkpointing.dir": (work / "checkpoints").as_uri(),
        "execution.checkpointing.savepoint-dir": (work / "savepoints").as_uri(),
        "execution.checkpointing.interval": f"{arguments.interval_ms} ms",
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.max-concurrent-checkpoints": "2",
        "execution.checkpointing.unaligned.enabled": str(arguments.unaligned).lower(),
        "execution.checkpointing.tolerable-failed-checkpoints": "1000000",
        "execution.state-recovery.from-local": "true",
        "taskmanager.memory.managed.size": "64 mb",
    }
    configuration = Configuration()
    for key, value in settings.items():
        configuration.set_string(key, value)
    return configuration


def run(arguments, work):
    end = time.monotonic() + 60 * arguments.minutes
    before = sample(work)
    engine = EmbeddedEngine()
    with LaunchWith(Launch(engine)):
        env = StreamExecutionEnvironment.get_execution_environment(
            configuration_of(arguments, work)
        )
        env.set_parallelism(arguments.parallelism)
        env.set_restart_strategy(RestartStrategies.fixed_delay_restart(1 << 30, 1))
        describe(env)
        program = env._take_program("soak")
    samples, taken, stopped = [], [], None
    next_sample = next_failure = next_savepoint = 0.0
    with engine._open(program, JobListener()) as opened:
        manager = opened.manager
        for _ in manager.steps():
            # CPU time, so that a busy machine gets as much done between two failures.
            now = time.process_time()
            if now >= next_failure:
                next_failure = now + arguments.failure_seconds
                Failure.due = bool(samples)
            if now >= next_savepoint:
                next_savepoint = now + 4
                formats = list(SavepointFormat)
                options = SnapshotOptions(
                    kind=SnapshotKind.SAVEPOINT, format=formats[len(taken) % len(formats)]
                )
                taken.append(manager.savepoint(None, options))
                for each in (work / "savepoints").glob("savepoint-*"):
                    if time.time() - each.stat().st_mtime > 10:
                        shutil.rmtree(each)
            if now >= next_sample:
                next_sample = now + arguments.minutes
                samples.append(sample(work))
                records = Totals.committed.get("record", (0, 0))[0]
                print(json.dumps({"seconds": round(now), "records": records, **samples[-1]}))
                sys.stdout.flush()
            # An attempt that fails meanwhile takes the request to stop with it.
            if time.monotonic() > end and (stopped is None or stopped.done()):
                Failure.due = False
                next_failure = next_savepoint = float("inf")
                stopped = manager.stop(None, drain=True)
        outcome = manager.outcome
    del engine, program, env, opened, manager
    after = sample(work)
    return outcome, before, after, samples, taken


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--backend", choices=("rocksdb", "hashmap"), default="rocksdb")
    parser.add_argument("--parallelism", type=int, default=2)
    parser.add_argument("--interval-ms", type=int, default=200)
    parser.add_argument("--failure-seconds", type=float, default=3, help="of CPU time")
    parser.add_argument("--unaligned", action="store_true")
    arguments = parser.parse_args()
    logging.getLogger("millpond").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="millpond-soak-") as directory:
        work = Path(directory)
        outcome, before, after, samples, taken = run(arguments, work)
        # The place of local copies stays, as it belongs to all jobs of a user.
        left = [path for path in (work / "temporary").rglob("*") if path.parent.parent != work]
    found = problems(samples)
    if outcome.error is not None:
        found.append(f"the job failed: {outcome.error!r}")
    count = Totals.committed.get("record", (0, 0))[0]
    sixteenths = (count + 15) // 16
    # Sliding windows have every record twice.
    total = count * (count - 1) // 2
    for kind, expected in (
        ("record", (count, total)),
        ("odd", (sixteenths, 16 * sixteenths * (sixteenths - 1) // 2)),
    ):
        if Totals.committed.get(kind) != expected:
            found.append(f"{kind}: {Totals.committed.get(kind)} instead of {expected}")
    for kind, expected in (
        ("tumbling", total),
        ("sliding", 2 * total),
        ("sessions", total),
        ("timer", 0),
    ):
        if Totals.committed.get(kind, (0, 0))[1] != expected:
            found.append(f"{kind}: {Totals.committed.get(kind)} instead of {expected}")
    for name in ("files_open", "threads"):
        if after[name] > before[name] + 4:
            found.append(f"{name}: {before[name]} before and {after[name]} after the job")
    if left:
        found.append(f"left in the temporary directory: {left[:5]}")
    done = sum(future.exception() is None for future in taken if future.done())
    checkpoints = [each.status == "COMPLETED" for each in outcome.checkpoints]
    print(
        json.dumps(
            {
                "records": count,
                "restarts": outcome.restarts,
                "savepoints": done,
                "checkpoints_kept_in_history": len(checkpoints),
                "last_id": max(each.checkpoint_id for each in outcome.checkpoints),
                "before": before,
                "after": after,
                "problems": found,
            }
        )
    )
    sys.exit(bool(found))


if __name__ == "__main__":
    # Classes of __main__ would travel by value, and forget what was committed.
    importlib.import_module("soak").main()
