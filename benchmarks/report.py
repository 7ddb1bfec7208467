"""What is shown and what is kept of a run: a table, and JSON with every single figure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.measurement import Measurement

__all__ = ("GROUPS", "number", "print_group", "print_legend", "write_json")

GROUPS = {
    "a": "keyed running sum, a user's generator function",
    "b": "keyed running sum, built in",
    "c": "tumbling windows",
    "d": "session windows",
    "e": "map state and list state",
    "f": "state operations alone",
    "g": "snapshots",
    "h": "start-up and memory",
    "i": "flights of 2001",
    "j": "timers",
}

_LEGEND = """\
Figures are by CPU time of the working thread unless the unit or the note says more.
±: (largest - smallest) / median. Of a loop: share of what a plain loop over a dictionary, written
by hand, does with the same records just before. Process CPU: with the threads that write snapshots
and compact. Java: an earlier run of Flink 2.3 on a machine of this kind."""


def print_group(group: str, measurements: Sequence[Measurement]) -> None:
    """Print the table of one group."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"({group}) {GROUPS[group]}", title_justify="left")
    table.add_column("what")
    table.add_column("backend")
    for column in ("median", "±", "of a loop", "process CPU", "wall", "Java", "target"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in measurements:
        figures = each.to_json()
        table.add_row(
            each.name,
            each.backend,
            f"{number(each.median)} {each.unit}",
            f"{each.spread:.0%}",
            "" if each.of_loop is None else f"{each.of_loop:.0%}",
            number(figures.get("process_median")),
            number(figures.get("wall_median")),
            number(each.java),
            number(each.target),
        )
    console = Console()
    if console.width < 100:
        console = Console(width=120)
    console.print(table)


def print_legend() -> None:
    """Print what the columns mean."""
    print(_LEGEND)


def write_json(path: Path, run: dict[str, object], measurements: Sequence[Measurement]) -> None:
    """Write everything, with the facts of the machine in `run`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {**run, "measurements": [each.to_json() for each in measurements]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def number(value: object) -> str:
    """Return a figure in few digits; nothing where there is none."""
    if not isinstance(value, float | int):
        return ""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
