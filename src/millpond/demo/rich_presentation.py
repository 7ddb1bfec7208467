"""The demo on a terminal: a progress bar and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.table import Table as RichTable
from rich.text import Text

from millpond.demo.presentation import date_text, size_text

if TYPE_CHECKING:
    from rich.console import Console

    from millpond.clock import Clock
    from millpond.demo.presentation import Proof, Table
    from millpond.demo.progress import JobProgress

__all__ = ("RichPresentation",)


@final
class RichPresentation:
    """Shows a bar with events, events/s, event time and the last checkpoint."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._first = 0
        self._started = 0.0

    def say(self, text: str) -> None:
        """Print a line, above the bar while there is one."""
        self._console.print(Text(text))

    def start(self, total: int, restored: int) -> None:
        """Show the bar."""
        self._bar = Progress(
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TextColumn("{task.completed:,} events  {task.fields[rate]:,.0f}/s"),
            TextColumn("[cyan]{task.fields[event_time]}"),
            TextColumn("{task.fields[checkpoint]}"),
            console=self._console,
            refresh_per_second=8,
        )
        self._task = self._bar.add_task(
            "flights", total=total, completed=restored, rate=0.0, event_time="-", checkpoint=""
        )
        self._first = restored
        self._started = self._clock.monotonic()
        self._bar.start()

    def progress(self, progress: JobProgress) -> None:
        """Move the bar."""
        if self._bar is None:
            return
        seconds = max(self._clock.monotonic() - self._started, 1e-3)
        checkpoint = (
            ""
            if progress.checkpoint_id is None
            else f"checkpoint {progress.checkpoint_id}: {size_text(progress.checkpoint_bytes)}"
        )
        self._bar.update(
            self._task,
            completed=progress.records,
            rate=max(progress.records - self._first, 0) / seconds,
            event_time=date_text(progress.event_time_ms),
            checkpoint=checkpoint,
        )

    def stop(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def table(self, table: Table) -> None:
        """Print a table."""
        shown = RichTable(title=table.title, title_justify="left", title_style="bold")
        for column in table.columns:
            shown.add_column(column.strip(), justify="right" if column.endswith(" ") else "left")
        for row in table.rows:
            shown.add_row(*map(Text, row))
        self._console.print()
        self._console.print(shown)

    def proof(self, proof: Proof) -> None:
        """Print the digests."""
        style = "green" if proof.holds else "bold red"
        self._console.print()
        self._console.print(Text(f"Digest of all {proof.lines:,} results:"))
        self._console.print(Text(f"  {proof.digest}", style=style), soft_wrap=True)
        if proof.calm_digest is not None:
            self._console.print(Text("Digest of a run without a crash:"))
            self._console.print(Text(f"  {proof.calm_digest}", style=style), soft_wrap=True)
            verdict = "The digests are equal." if proof.holds else "THE DIGESTS DIFFER."
            self._console.print(Text(verdict, style=style))
