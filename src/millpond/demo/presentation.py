"""How the demo is shown: what there is to show, and the text that all presentations share."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.demo.progress import CheckpointRow, JobProgress
    from millpond.demo.results import Highlights

__all__ = (
    "Presentation",
    "Proof",
    "Table",
    "checkpoint_table",
    "date_text",
    "result_tables",
    "size_text",
)


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether a run that was interrupted gave the answer of one that was not.

    `calm_digest` is None when nothing interrupted the run, so that there is nothing to prove.
    """

    lines: int
    digest: str
    calm_digest: str | None

    @property
    def holds(self) -> bool:
        """Whether both answers are equal."""
        return self.calm_digest in {None, self.digest}


class Presentation(Protocol):
    """Shows a run of the demo; used by one thread."""

    def say(self, text: str) -> None:
        """Show a line of text."""
        ...

    def start(self, total: int, restored: int) -> None:
        """Begin to show progress: `total` flights of which `restored` were read before."""
        ...

    def progress(self, progress: JobProgress) -> None:
        """Show how far the job is."""
        ...

    def stop(self) -> None:
        """End the showing of progress; may be called twice."""
        ...

    def table(self, table: Table) -> None:
        """Show a table."""
        ...

    def proof(self, proof: Proof) -> None:
        """Show the digests."""
        ...


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a title; columns whose name ends with a blank are aligned to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def checkpoint_table(checkpoints: Sequence[CheckpointRow], limit: int = 12) -> Table:
    """Return the table of checkpoints; of many the first and the last ones."""
    rows = [
        (
            str(row.number),
            row.kind,
            f"{row.duration_ms:,} ms",
            size_text(row.checkpointed_bytes),
            size_text(row.state_bytes),
        )
        for row in checkpoints
    ]
    if len(rows) > limit:
        half = limit // 2
        left_out = (f"… {len(rows) - 2 * half} more", "", "", "", "")
        rows = [*rows[:half], left_out, *rows[-half:]]
    columns = ("number ", "type", "duration ", "checkpointed ", "full state ")
    return Table("Checkpoints", columns, tuple(rows))


def result_tables(highlights: Highlights) -> tuple[Table, ...]:
    """Return the top results as tables; those without rows are left out."""
    tables = (
        Table(
            "Routes that lost most minutes in the year",
            ("route", "minutes late "),
            tuple((route, f"{minutes:,}") for route, minutes in highlights.routes),
        ),
        Table(
            "Longest knock-on delays of an aircraft",
            ("aircraft", "until (UTC)", "last route", "flights in a row ", "minutes passed on "),
            tuple(
                (
                    row["aircraft"],
                    _readable(row["departed"]),
                    row["route"],
                    str(row["chain"]),
                    f"{row['chain_minutes']:,}",
                )
                for row in highlights.chains
            ),
        ),
        Table(
            "Aircraft that flew daily and then were missing for 72 hours",
            ("aircraft", "days in a row ", "last seen (UTC)", "on route", "noticed (UTC)"),
            tuple(
                (
                    row["aircraft"],
                    str(row["daily_for_days"]),
                    _readable(row["last_seen"]),
                    row["last_route"],
                    _readable(row["noticed"]),
                )
                for row in highlights.missing
            ),
        ),
        Table(
            "Days with most cancellations, and their worst hour",
            ("airport", "hour (UTC)", "cancelled ", "flights ", "mean delay ", "worst delay "),
            tuple(
                (
                    row["origin"],
                    _readable(row["hour"]),
                    str(row["cancelled"]),
                    str(row["flights"]),
                    "-" if row["mean_delay"] is None else f"{row['mean_delay']:.0f} min",
                    "-" if row["worst_delay"] is None else f"{row['worst_delay']:,} min",
                )
                for row in highlights.hours
            ),
        ),
    )
    return tuple(table for table in tables if table.rows)


def size_text(size_bytes: int) -> str:
    """Return a number of bytes as people read it.

    >>> size_text(1536)
    '1.5 KiB'
    """
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"


def date_text(timestamp_ms: int | None) -> str:
    """Return a moment of event time, or a dash where there is none or it is the end of time."""
    # The first and the last watermark are no dates.
    if timestamp_ms is None or not 0 < timestamp_ms < 1 << 45:
        return "-"
    return dt.datetime.fromtimestamp(timestamp_ms / 1000, dt.UTC).strftime("%d %b %Y %H:%M")


def _readable(text: str) -> str:
    return dt.datetime.fromisoformat(text).strftime("%d %b %H:%M")
