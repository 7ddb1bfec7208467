"""What is compared with Java Flink and with PyFlink, and how much of it is aimed for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("JOB_ROWS", "PYFLINK_ROWS", "SNAPSHOT_ROWS", "JobRow", "PyFlinkRow", "SnapshotRow")


@dataclass(frozen=True)
class JobRow:
    """A job of `benchmarks.jobs` beside one of FlinkJobs.java; `factor` of its speed is the aim."""

    job: str
    backend: str
    keys: int
    events: int
    java: str
    java_events: int
    java_repetitions: int
    factor: float


@dataclass(frozen=True)
class PyFlinkRow:
    """A job on PyFlink; `factor` times its speed is the aim."""

    job: str
    backend: str
    keys: int
    pyflink: str
    mode: str
    events: int
    factor: float


@dataclass(frozen=True)
class SnapshotRow:
    """A figure of snapshots, the smaller the better.

    `factor` of Java's is the aim, or `limit` where it is a figure of its own; `least` where more is
    better and Java has none.
    """

    backend: str
    kind: str
    figure: str
    java: str
    factor: float = 0.0
    limit: float = 0.0
    least: float = 0.0


def _heap(job: str, java: str, keys: int, factor: float) -> JobRow:
    return JobRow(job, "heap", keys, 3_000_000, java, 5_000_000, 5, factor)


def _rocksdb(job: str, java: str, keys: int, factor: float, events: int = 1_000_000) -> JobRow:
    return JobRow(job, "rocksdb", keys, events, java, events, 3, factor)


JOB_ROWS = (
    _heap("keyed sum, generator function", "process", 100_000, 0.55),
    _heap("keyed sum, reduce", "reduce", 100_000, 0.8),
    _heap("keyed sum, built-in", "sum", 100_000, 0.8),
    _heap("keyed sum, built-in, columnar", "sum", 100_000, 1.5),
    _rocksdb("keyed sum, generator function", "process", 100_000, 2.5),
    _rocksdb("keyed sum, generator function", "process", 5_000_000, 1.0, 2_000_000),
    _heap("tumbling 1 s, aggregate", "windows", 10_000, 0.45),
    _heap("tumbling 1 s, built-in", "windows", 10_000, 1.0),
    _heap("tumbling 1 s, built-in, columnar", "windows", 10_000, 1.5),
    _rocksdb("tumbling 1 s, aggregate", "windows", 10_000, 3.0),
)

_GENERATOR = "keyed sum, generator function"
_AGGREGATE = "tumbling 1 s, aggregate"
PYFLINK_ROWS = tuple(
    PyFlinkRow(job, backend, keys, name, mode, events, factor)
    for job, name, keys, thread_events, process_events in (
        (_GENERATOR, "process", 100_000, 500_000, 20_000),
        (_AGGREGATE, "windows", 10_000, 200_000, 5_000),
    )
    for backend in ("heap", "rocksdb")
    for mode, events, factor in (
        ("thread", thread_events, 20.0),
        ("process", process_events, 500.0),
    )
)

SNAPSHOT_ROWS = (
    SnapshotRow("heap", "canonical savepoint", "pause", "pause_ms", limit=5.0),
    SnapshotRow("heap", "canonical savepoint", "foreground", "", least=50.0),
    SnapshotRow("heap", "canonical savepoint", "writing", "write_cpu_ms", 1.5),
    SnapshotRow("heap", "canonical savepoint", "restore", "restore_cpu_ms", 0.8),
    SnapshotRow("rocksdb", "incremental after 10 %", "longest stop", "pause_ms", limit=100.0),
    SnapshotRow("rocksdb", "incremental after 10 %", "written", "bytes", 1.2),
    SnapshotRow("rocksdb", "incremental after 10 %", "restore", "restore_cpu_ms", 1.5),
)
