"""The command: `python -m benchmarks.flink [--only jobs,pyflink,state,snapshots] [--quick]`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.flink.installation import VERSION, Flink, install, problem
from benchmarks.flink.rows import JOB_ROWS, PYFLINK_ROWS, SNAPSHOT_ROWS, JobRow, PyFlinkRow
from benchmarks.machine import load, machine_facts
from benchmarks.report import number

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).resolve().parents[2]
_GROUPS = ("jobs", "pyflink", "state", "snapshots")


@dataclass(frozen=True)
class Comparison:
    """One line of the table; `ratio` is ours by theirs, `aim` what it should reach.

    Where less is better, `at_most` is set.
    """

    what: str
    store: str
    unit: str
    ours: float
    theirs: float
    other: str
    aim: float | None
    at_most: bool = False
    limit: float = 0.0

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs if self.theirs else float("inf")

    @property
    def met(self) -> bool | None:
        if self.aim is None:
            return None
        if self.limit:
            return self.ours <= self.limit
        return self.ratio <= self.aim if self.at_most else self.ratio >= self.aim

    @property
    def target(self) -> str:
        if self.aim is None:
            return ""
        if self.limit:
            return f"≤ {number(self.limit)} {self.unit}"
        return f"{'≤' if self.at_most else '≥'} {self.aim:g} x"


def main() -> int:
    """Run what was asked for on both sides in turn; print the ratios and write them as JSON."""
    arguments = _arguments()
    obstacle = problem()
    if obstacle is not None:
        print(f"SKIPPED: {obstacle}. Nothing was measured.")
        return 0
    flink = install(arguments.environment.resolve())
    started = datetime.now(UTC)
    path = (
        arguments.json or _ROOT / "benchmarks" / "results" / f"flink-{started:%Y%m%dT%H%M%SZ}.json"
    )
    run = {
        "started": started.isoformat(timespec="seconds"),
        "flink": VERSION,
        "quick": arguments.quick,
        "machine": machine_facts(),
        "load_before": load(),
    }
    cores = os.sched_getaffinity(0)
    print(f"machine: {run['machine']}\nload: {run['load_before']}", flush=True)
    comparisons: list[Comparison] = []
    for group in arguments.only:
        # Both sides of a comparison have one core, the same; PyFlink has what there is.
        os.sched_setaffinity(0, cores if group == "pyflink" else {max(cores)})
        for comparison in _RUN[group](flink, quick=arguments.quick):
            comparisons.append(comparison)
            print(_line(comparison), flush=True)
            _write(path, {**run, "load_after": load()}, comparisons)
    _print_table(comparisons)
    print(f"written to {path}")
    return 0


# -- the groups


def _jobs(flink: Flink, *, quick: bool) -> Iterator[Comparison]:
    java: dict[tuple[object, ...], float] = {}
    for row in JOB_ROWS:
        ours = _our_rate(row, row.events // (10 if quick else 1), 2 if quick else 5)
        events = row.java_events // (10 if quick else 1)
        repetitions = 2 if quick else row.java_repetitions
        key = (row.java, row.backend, row.keys)
        if key not in java:
            with tempfile.TemporaryDirectory(prefix="millpond-bench-") as directory:
                runs = flink.java(
                    "FlinkJobs", row.java, row.backend, events, row.keys, repetitions, directory
                )
            # The last ones are warm.
            java[key] = median(events / 1e6 / each["cpu_s"] for each in runs[-2:])
        what = f"{row.job}, {row.keys:,} keys"
        yield Comparison(what, row.backend, "M/s", ours, java[key], "Java", row.factor)


def _pyflink(flink: Flink, *, quick: bool) -> Iterator[Comparison]:
    ours: dict[tuple[str, str], float] = {}
    for row in PYFLINK_ROWS:
        if (row.job, row.backend) not in ours:
            ours[row.job, row.backend] = _our_rate(row, 200_000 if quick else 1_000_000, 3)
        events = row.events // (10 if quick else 1)
        result = flink.pyflink(row.pyflink, row.backend, row.mode, events, row.keys)
        theirs = events / 1e6 / result["wall_s"]
        mine = ours[row.job, row.backend]
        other = f"PyFlink, {row.mode}"
        yield Comparison(row.job, row.backend, "M/s", mine, theirs, other, row.factor)


def _our_rate(row: JobRow | PyFlinkRow, events: int, repeats: int) -> float:
    """Return millions of events per second of the process's CPU time."""
    from dataclasses import replace

    from benchmarks.jobs import JOBS, run_job

    job = next(job for job in JOBS if job.name == row.job)
    job = replace(job, keys=row.keys)
    runs = [run_job(job, row.backend, events) for _ in range(repeats)]
    return median(events / 1e6 / run.process_s for run in runs)


def _state(flink: Flink, *, quick: bool) -> Iterator[Comparison]:
    from benchmarks.state_operations import run_state_operations

    keys = 20_000 if quick else 200_000
    java = {
        (backend, line["what"]): line["rate"]
        for backend in ("heap", "rocksdb")
        for line in flink.java("FlinkState", "access", backend, keys)
    }
    for ours in run_state_operations(quick=quick, repeats=3):
        store = ours.backend.split()[0]
        theirs = java[store, ours.name]
        aim = None
        if ours.target is not None and ours.java is not None:
            aim = round(ours.target / ours.java, 3)
        yield Comparison(ours.name, ours.backend, "M/s", ours.median, theirs, "Java", aim)


def _snapshots(flink: Flink, *, quick: bool) -> Iterator[Comparison]:
    from benchmarks.snapshots import run_snapshots

    entries = 100_000 if quick else 5_000_000
    java: dict[tuple[str, str], dict[str, Any]] = {}
    for kind in ("heap", "incremental"):
        with tempfile.TemporaryDirectory(prefix="millpond-bench-") as directory:
            for line in flink.java("FlinkState", "snapshots", kind, entries, directory):
                java["heap" if kind == "heap" else "rocksdb", line["what"]] = line
    kinds = {(row.backend, row.kind) for row in SNAPSHOT_ROWS}
    ours = {
        (each.backend, each.name): each
        for each in run_snapshots(quick=quick, repeats=3, entries=entries, only=kinds)
    }
    for row in SNAPSHOT_ROWS:
        mine = ours[row.backend, f"{row.kind}: {row.figure}"]
        value = median(mine.process or mine.runs)
        what = f"{mine.name}, {entries:,} entries"
        if row.least:
            # Nothing of Java's: the same updates without a snapshot are 100 %.
            yield Comparison(what, row.backend, mine.unit, value, 100.0, "without", row.least / 100)
            continue
        theirs = java[row.backend, row.kind][row.java] / (1e6 if row.java == "bytes" else 1)
        yield Comparison(
            what,
            row.backend,
            mine.unit,
            value,
            theirs,
            "Java",
            row.factor,
            at_most=True,
            limit=row.limit,
        )


_RUN = {"jobs": _jobs, "pyflink": _pyflink, "state": _state, "snapshots": _snapshots}


# -- what is shown and kept


def _line(each: Comparison) -> str:
    return (
        f"{each.what}, {each.store}: {number(each.ours)} {each.unit}, {each.other} "
        f"{number(each.theirs)}: {each.ratio:.2f} x {each.target}"
    )


def _print_table(comparisons: list[Comparison]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Millpond and Flink {VERSION}", title_justify="left")
    for column in ("work", "store"):
        table.add_column(column)
    for column in ("Millpond", "Flink", "beside", "ratio", "target", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for each in comparisons:
        table.add_row(
            each.what,
            each.store,
            f"{number(each.ours)} {each.unit}",
            number(each.theirs),
            each.other,
            f"{each.ratio:.2f} x",
            each.target,
            {True: "reached", False: "short", None: ""}[each.met],
        )
    Console(width=130).print(table)
    reached = sum(each.met is True for each in comparisons)
    aims = sum(each.met is not None for each in comparisons)
    print(
        f"{reached} of {aims} targets are reached. Java and Millpond: by CPU time of "
        "the whole process, both on one and the same core;\noperations of state by CPU time of "
        "the calling thread, pauses and PyFlink by the wall."
    )


def _write(path: Path, run: dict[str, Any], comparisons: list[Comparison]) -> None:
    import json

    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [{**asdict(each), "ratio": each.ratio, "met": each.met} for each in comparisons]
    path.write_text(json.dumps({**run, "comparisons": lines}, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.flink",
        description="Run the same work on Millpond, Java Flink and PyFlink, and compare.",
    )
    parser.add_argument("--only", default=",".join(_GROUPS), help=f"of {', '.join(_GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, and noisier")
    parser.add_argument("--json", type=Path, help="where to write; default benchmarks/results/")
    parser.add_argument(
        "--environment",
        type=Path,
        default=_ROOT / f".venv-flink-{VERSION}",
        help="virtual environment with PyFlink; made where there is none",
    )
    arguments = parser.parse_args()
    arguments.only = [group.strip() for group in arguments.only.split(",") if group.strip()]
    unknown = [group for group in arguments.only if group not in _GROUPS]
    if unknown or not arguments.only:
        parser.error(f"there is no group {', '.join(unknown)}; groups are {', '.join(_GROUPS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
