"""Whole jobs through the embedded engine, one core, checkpoints every 10 s to local files.

The work is that of Java Flink's side of the comparison: a sequence of numbers is mapped to
(key, value, time) by a lambda, keyed by a lambda, worked on and discarded. The events a second
count all of it, not only the stateful operator.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.functions import (
    CountAndSum,
    CountPerKind,
    Discard,
    LastTen,
    RunningSum,
    ThirdField,
)
from benchmarks.measurement import Measurement, Stopwatch
from benchmarks.plain_loops import PLAIN_LOOPS
from millpond.common import Configuration, Time, Types, WatermarkStrategy
from millpond.datastream import DataStream, StreamExecutionEnvironment
from millpond.datastream.aggregations import Aggregations, count, sum_of
from millpond.datastream.connectors.columnar import ColumnarSource
from millpond.datastream.connectors.number_seq import NumberSequenceSource
from millpond.datastream.window import EventTimeSessionWindows, TumblingEventTimeWindows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ("JOBS", "checkpointed_environment", "run_job", "run_jobs")

RECORD = Types.TUPLE([Types.LONG(), Types.LONG(), Types.LONG()])
PAIR = Types.TUPLE([Types.LONG(), Types.LONG()])
_MULTIPLIER = 2654435761


@dataclass(frozen=True)
class Job:
    """One job: `build` adds its operators; `java` and `target` are M events/s by backend.

    Event time is 100 records a ms; after each second of it nothing comes for `pause_ms`. The keys
    come in turn, or some far more often than others (`zipf`, with the exponent 1). With `columnar`
    a source makes the same records as numpy arrays, and there is no map.
    """

    group: str
    name: str
    keys: int
    build: Callable[[DataStream], DataStream]
    java: dict[str, float]
    target: dict[str, float]
    pause_ms: int = 0
    zipf: bool = False
    columnar: bool = False


def _by_key(stream: DataStream):
    return stream.key_by(lambda value: value[0], key_type=Types.LONG())


def _timed(stream: DataStream):
    strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(ThirdField())
    return _by_key(stream.assign_timestamps_and_watermarks(strategy))


def _process(function) -> Callable[[DataStream], DataStream]:
    return lambda stream: _by_key(stream).process(function, output_type=PAIR)


def _aggregated(assigner) -> Callable[[DataStream], DataStream]:
    return lambda stream: (
        _timed(stream)
        .window(assigner)
        .aggregate(CountAndSum(), accumulator_type=PAIR, output_type=PAIR)
    )


def _sum_columns(stream: DataStream):
    return stream.key_by(itemgetter(0), key_type=Types.LONG()).sum(1)


def _built_in(stream) -> DataStream:
    return stream.window(TumblingEventTimeWindows.of(Time.seconds(1))).aggregate(
        Aggregations(count(), sum_of(1)), accumulator_type=PAIR, output_type=PAIR
    )


_SUM = {"heap": 3.16, "rocksdb": 0.267}
_WINDOW = {"heap": 2.46, "rocksdb": 0.183}
JOBS = (
    Job("a", "keyed sum, generator function", 100_000, _process(RunningSum()), _SUM,
        {"heap": 0.55 * 3.16, "rocksdb": 2.5 * 0.267}),
    Job("a", "keyed sum, 5 M keys", 5_000_000, _process(RunningSum()), {}, {}),
    Job("a", "keyed sum, zipf of 5 M keys", 5_000_000, _process(RunningSum()), {}, {}, zipf=True),
    Job("b", "keyed sum, reduce", 100_000,
        lambda stream: _by_key(stream).reduce(lambda a, b: (a[0], a[1] + b[1], b[2])),
        _SUM, {"heap": 0.8 * 3.16}),
    Job("b", "keyed sum, built-in", 100_000, lambda stream: _by_key(stream).sum(1),
        _SUM, {"heap": 0.8 * 3.16}),
    Job("b", "keyed sum, built-in, columnar", 100_000, _sum_columns, _SUM,
        {"heap": 1.5 * 3.16}, columnar=True),
    Job("c", "tumbling 1 s, aggregate", 10_000,
        _aggregated(TumblingEventTimeWindows.of(Time.seconds(1))), _WINDOW,
        {"heap": 0.45 * 2.46, "rocksdb": 3 * 0.183}),
    Job("c", "tumbling 1 s, built-in", 10_000, lambda stream: _built_in(_timed(stream)), _WINDOW,
        {"heap": 2.46}),
    Job("c", "tumbling 1 s, built-in, columnar", 10_000,
        lambda stream: _built_in(stream.key_by(itemgetter(0), key_type=Types.LONG())), _WINDOW,
        {"heap": 1.5 * 2.46}, columnar=True),
    # A key comes every 100 ms and stays away for 1 s after each second: sessions of 10 records.
    Job("d", "sessions, gap 200 ms", 10_000,
        _aggregated(EventTimeSessionWindows.with_gap(Time.milliseconds(200))), {}, {},
        pause_ms=1000),
    Job("e", "MapState, 10 counters a key", 100_000, _process(CountPerKind()), {}, {}),
    Job("e", "ListState, add and every tenth read", 100_000, _process(LastTen()), {}, {}),
)  # fmt: skip


def run_jobs(
    group: str, *, quick: bool, repeats: int, keys: int | None = None, zipf: bool = False
) -> Iterator[Measurement]:
    """Run the jobs of a group on both backends, with their own keys or with others."""
    for job in _spread(group, keys, zipf=zipf):
        for backend in ("heap", "rocksdb"):
            events = 2_000_000 if backend == "heap" else 1_000_000
            if quick:
                events //= 10

            loops: list[float] = []
            watches: list[Stopwatch] = []
            for _ in range(repeats):
                loops += _loop_rate(job, events)
                watches.append(run_job(job, backend, events))
            yield Measurement(
                group,
                job.name,
                backend,
                "M/s",
                [events / 1e6 / watch.thread_s for watch in watches],
                process=[events / 1e6 / watch.process_s for watch in watches],
                wall=[events / 1e6 / watch.wall_s for watch in watches],
                loop=loops,
                java=job.java.get(backend),
                target=job.target.get(backend),
                note=f"{events:,} events, {job.keys:,} keys",
            )


def _spread(group: str, keys: int | None, *, zipf: bool) -> Iterator[Job]:
    """Return the jobs of a group; those whose keys are changed are compared with nothing."""
    for job in JOBS:
        if job.group != group:
            continue
        if keys is None and not zipf:
            yield job
        elif not job.columnar and not job.zipf:
            number = job.keys if keys is None else keys
            name = f"{job.name}, {'zipf of ' if zipf else ''}{number:,} keys"
            yield replace(job, name=name, keys=number, zipf=zipf, java={}, target={})


def _loop_rate(job: Job, events: int) -> list[float]:
    loop = PLAIN_LOOPS.get(job.group)
    if loop is None:
        return []
    watch = Stopwatch()
    loop(events, job.keys)
    return [events / 1e6 / watch.stop().thread_s]


def run_job(job: Job, backend: str, events: int, checkpoint_interval: str = "10 s") -> Stopwatch:
    """Run one job; return the times between the opening of its operators and their close."""
    with tempfile.TemporaryDirectory(prefix="millpond-bench-") as directory:
        env = checkpointed_environment(backend, directory, checkpoint_interval)
        job.build(_records(env, job, events)).sink_to(Discard())
        env.execute(job.name)
    return Discard.watch


def checkpointed_environment(
    backend: str, directory: str, checkpoint_interval: str = "10 s"
) -> StreamExecutionEnvironment:
    """Return the environment of all jobs: one subtask, checkpoints to local files."""
    env = StreamExecutionEnvironment.get_execution_environment(
        Configuration.from_dict(
            {
                "state.backend.type": "hashmap" if backend == "heap" else "rocksdb",
                "taskmanager.memory.managed.size": "512m",
                "execution.checkpointing.interval": checkpoint_interval,
                "execution.checkpointing.dir": Path(directory).as_uri(),
            }
        )
    )
    env.set_parallelism(1)
    return env


def _records(env: StreamExecutionEnvironment, job: Job, events: int) -> DataStream:
    if job.columnar:
        return env.from_source(
            ColumnarSource(_columns(job.keys), events, timestamp_position=2),
            WatermarkStrategy.for_monotonous_timestamps(),
            "columns",
            type_info=RECORD,
        )
    numbers = env.from_source(
        NumberSequenceSource(0, events - 1),
        WatermarkStrategy.no_watermarks(),
        "numbers",
        type_info=Types.LONG(),
    )
    return numbers.map(_record(job), output_type=RECORD)


def _columns(keys: int):
    import numpy as np

    def columns(start: int, stop: int):
        numbers = np.arange(start, stop)
        return (numbers * _MULTIPLIER) % keys, numbers, numbers // 100

    return columns


def _record(job: Job) -> Callable[[int], tuple[int, int, int]]:
    keys, pause_ms = job.keys, job.pause_ms
    if job.zipf:
        # The logarithm of the key is uniform: the n-th key comes about 1/n as often as the first.
        return lambda i: (int(keys ** (i * _MULTIPLIER % 2**32 / 2**32)), i, i // 100)
    if pause_ms:
        return lambda i: ((i * _MULTIPLIER) % keys, i, i // 100 + i // 100_000 * pause_ms)
    return lambda i: ((i * _MULTIPLIER) % keys, i, i // 100)
