"""The command: `python -m benchmarks [--only a,b] [--quick] [--repeats N] [--json FILE]`.

`--keys` and `--zipf` give the jobs other keys, `--entries` the snapshots another size.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import load, machine_facts
from benchmarks.report import GROUPS, print_group, print_legend, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measurement import Measurement

_RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run what was asked for; print a table a group and write one JSON file."""
    arguments = _arguments()
    started = datetime.now(UTC)
    run: dict[str, object] = {
        "started": started.isoformat(timespec="seconds"),
        "quick": arguments.quick,
        "repeats": arguments.repeats,
        "machine": machine_facts(),
        "load_before": load(),
    }
    path = arguments.json or _RESULTS / f"{started:%Y%m%dT%H%M%SZ}.json"
    print(f"machine: {run['machine']}\nload: {run['load_before']}")
    measurements: list[Measurement] = []
    for group in arguments.only:
        of_group = list(_run(group, arguments))
        measurements += of_group
        print_group(group, of_group)
        # After each group, so that an interrupted run leaves what it measured.
        write_json(path, {**run, "load_after": load()}, measurements)
    print_legend()
    print(f"written to {path}")
    return 0


def _run(group: str, arguments: argparse.Namespace) -> Iterator[Measurement]:
    quick, repeats = arguments.quick, arguments.repeats
    # Imported here: start-up is measured in processes of its own, but a group needs only its own.
    if group == "f":
        from benchmarks.state_operations import run_state_operations

        return run_state_operations(quick=quick, repeats=repeats)
    if group == "g":
        from benchmarks.snapshots import run_snapshots

        return run_snapshots(quick=quick, repeats=repeats, entries=arguments.entries)
    if group == "h":
        from benchmarks.entry_memory import run_entry_memory
        from benchmarks.startup import run_startup

        return chain(run_startup(quick=quick, repeats=repeats), run_entry_memory(quick=quick))
    if group == "i":
        from benchmarks.flights import run_flights

        return run_flights(quick=quick, repeats=repeats)
    if group == "j":
        from benchmarks.timers import run_timers

        return run_timers(quick=quick, repeats=repeats)
    from benchmarks.jobs import run_jobs

    spread = {"keys": arguments.keys, "zipf": arguments.zipf}
    return run_jobs(group, quick=quick, repeats=repeats, **spread)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Millpond on this machine.",
        epilog="; ".join(f"{group}: {what}" for group, what in GROUPS.items()),
    )
    parser.add_argument("--only", default=",".join(GROUPS), help="groups, for example a,b")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, and noisier")
    parser.add_argument("--repeats", type=int, default=5, help="runs of which the median counts")
    parser.add_argument("--json", type=Path, help="where to write; default benchmarks/results/")
    parser.add_argument("--keys", type=int, help="number of keys of the jobs a to e")
    parser.add_argument("--zipf", action="store_true", help="few keys of the jobs come often")
    parser.add_argument("--entries", type=int, help="entries of the snapshots; default 1,000,000")
    arguments = parser.parse_args()
    arguments.only = [group.strip() for group in arguments.only.split(",") if group.strip()]
    unknown = [group for group in arguments.only if group not in GROUPS]
    if unknown or not arguments.only:
        parser.error(f"there is no group {', '.join(unknown)}; groups are {', '.join(GROUPS)}")
    if any(number is not None and number < 1 for number in (arguments.keys, arguments.entries)):
        parser.error("--keys and --entries must be at least 1")
    if arguments.repeats < 1:
        parser.error("--repeats must be at least 1")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
