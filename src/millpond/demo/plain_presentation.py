"""The demo as plain lines, for output that is no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO, final

from millpond.demo.presentation import date_text, size_text

if TYPE_CHECKING:
    from millpond.clock import Clock
    from millpond.demo.presentation import Proof, Table
    from millpond.demo.progress import JobProgress

__all__ = ("PlainPresentation",)

_STEPS = 10


@final
class PlainPresentation:
    """Writes a line each time another tenth of the flights is read."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._total = 0
        self._shown = 0
        self._first = 0
        self._started = 0.0

    def say(self, text: str) -> None:
        """Write a line."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def start(self, total: int, restored: int) -> None:
        """Remember what there is to do."""
        self._total = max(total, 1)
        self._first = restored
        self._shown = restored * _STEPS // self._total
        self._started = self._clock.monotonic()

    def progress(self, progress: JobProgress) -> None:
        """Write a line if there is enough news."""
        step = progress.records * _STEPS // self._total
        # After a crash the job is back at its checkpoint; what was said once is not said again.
        if step <= self._shown:
            return
        self._shown = step
        seconds = max(self._clock.monotonic() - self._started, 1e-3)
        rate = max(progress.records - self._first, 0) / seconds
        checkpoint = (
            "no checkpoint yet"
            if progress.checkpoint_id is None
            else f"checkpoint {progress.checkpoint_id} ({size_text(progress.checkpoint_bytes)})"
        )
        fraction = progress.records / self._total
        self.say(
            f"{fraction:4.0%}  {progress.records:,} events  {rate:,.0f} events/s  "
            f"event time {date_text(progress.event_time_ms)}  {checkpoint}"
        )

    def stop(self) -> None:
        """Do nothing: lines need no end."""

    def table(self, table: Table) -> None:
        """Write a table with aligned columns."""
        names = [column.strip() for column in table.columns]
        widths = [
            max(len(name), *(len(row[index]) for row in table.rows), 0)
            for index, name in enumerate(names)
        ]
        lines = [table.title, self._row(table, names, widths)]
        lines += [self._row(table, row, widths) for row in table.rows]
        self.say("\n" + "\n".join(lines))

    def proof(self, proof: Proof) -> None:
        """Write the digests."""
        self.say(f"\nDigest of all {proof.lines:,} results: {proof.digest}")
        if proof.calm_digest is not None:
            self.say(f"Digest of a run without a crash:  {proof.calm_digest}")
            self.say("The digests are equal." if proof.holds else "THE DIGESTS DIFFER.")

    @staticmethod
    def _row(table: Table, texts: list[str] | tuple[str, ...], widths: list[int]) -> str:
        cells = [
            text.rjust(width) if column.endswith(" ") else text.ljust(width)
            for column, text, width in zip(table.columns, texts, widths, strict=True)
        ]
        return "  " + "  ".join(cells).rstrip()
