"""The command: `python -m benchmarks.chart RESULT.json CHART.svg`.

Draws the jobs of a result of `python -m benchmarks.flink`: Millpond beside Java Flink.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.flink.rows import JOB_ROWS
from benchmarks.report import number

__all__ = ("Work", "chart", "works_of")

_WIDTH, _LABELS, _FIGURES = 760, 330, 60
_TOP, _BAR, _STEP = 64, 13, 40
_OURS, _THEIRS = "#1f6f8b", "#c9b79c"


@dataclass(frozen=True)
class Work:
    """A job on a store; M records a second of both."""

    name: str
    ours: float
    theirs: float


def works_of(result: dict[str, Any]) -> list[Work]:
    """Return the jobs that a result compares with Java Flink.

    Raises:
        SystemExit: there are none, or Java was not warm.
    """
    if result.get("quick"):
        sys.exit(
            "The result is of a quick run, in which Java does not get warm. Run without --quick."
        )
    jobs = {f"{row.job}, {row.keys:,} keys" for row in JOB_ROWS}
    works = [
        Work(f"{each['what']}, {each['store']}", each["ours"], each["theirs"])
        for each in result.get("comparisons", [])
        if each["other"] == "Java" and each["what"] in jobs
    ]
    if not works:
        sys.exit("The result compares no job with Java; make one with python -m benchmarks.flink.")
    return works


def chart(works: list[Work], caption: str) -> str:
    """Return an SVG picture with two bars for each work."""
    height = _TOP + _STEP * len(works) + 12
    largest = max(max(work.ours, work.theirs) for work in works)
    scale = (_WIDTH - _LABELS - _FIGURES) / largest
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"',
        f'  font-family="sans-serif" font-size="12" aria-label="{escape(caption)}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="12" y="22">{escape(caption)}</text>',
        *_legend(),
    ]
    for index, work in enumerate(works):
        y = _TOP + _STEP * index
        lines.append(
            f'<text x="{_LABELS - 10}" y="{y + _BAR + 5}" text-anchor="end">'
            f"{escape(work.name)}</text>"
        )
        for rate, color, top in ((work.ours, _OURS, y), (work.theirs, _THEIRS, y + _BAR + 1)):
            lines += _bar(rate, scale, color, top)
    return "\n".join([*lines, "</svg>", ""])


def _legend() -> list[str]:
    return [
        f'<rect x="{x}" y="36" width="{_BAR}" height="{_BAR}" fill="{color}"/>'
        f'<text x="{x + 20}" y="47">{name}</text>'
        for x, color, name in ((_LABELS, _OURS, "Millpond"), (_LABELS + 110, _THEIRS, "Java Flink"))
    ]


def _bar(rate: float, scale: float, color: str, top: int) -> list[str]:
    width = rate * scale
    return [
        f'<rect x="{_LABELS}" y="{top}" width="{width:.1f}" height="{_BAR}" fill="{color}"/>',
        f'<text x="{_LABELS + width + 5:.1f}" y="{top + 11}" font-size="11">{number(rate)}</text>',
    ]


def main() -> int:
    """Draw the chart of a result."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m benchmarks.chart RESULT.json CHART.svg")
    source, target = map(Path, sys.argv[1:])
    result = json.loads(source.read_text(encoding="utf-8"))
    caption = (
        f"Million records a second of CPU time, one core, {result['machine']['processor']}, "
        f"Flink {result['flink']}, {result['started'][:10]}, load {result['load_before'][0]:.0f}"
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(chart(works_of(result), caption), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
