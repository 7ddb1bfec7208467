"""`RestoreOutput`: says how far a long restore is."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import click

from millpond.runtime.job_listener import JobListener
from millpond.runtime.message import RestorePhase

if TYPE_CHECKING:
    from millpond.runtime.message import RestoreProgress

__all__ = ("RestoreOutput",)

_MEBIBYTE = 1 << 20


@final
class RestoreOutput(JobListener):
    """Prints a line on stderr every two seconds of a restore; short restores say nothing."""

    def __init__(self, interval_ms: int = 2000) -> None:
        self._interval_ms = interval_ms
        self._told_ms = 0

    def on_restore(self, progress: RestoreProgress) -> None:
        """Print how far it is, and how long it will take."""
        if progress.elapsed_ms < self._told_ms:
            # Another attempt restores.
            self._told_ms = 0
        if progress.elapsed_ms - self._told_ms < self._interval_ms:
            return
        self._told_ms = progress.elapsed_ms
        click.echo(text_of(progress), err=True)


def text_of(progress: RestoreProgress) -> str:
    """Return the line: phase, MiB done and in all, and the time that is left."""
    begin = f"Restoring checkpoint {progress.checkpoint_id}: {progress.phase.value}"
    if progress.phase is RestorePhase.OPENING:
        return f"{begin}, {progress.total_bytes / _MEBIBYTE:.1f} MiB read"
    done, total = progress.done_bytes / _MEBIBYTE, progress.total_bytes / _MEBIBYTE
    remaining_ms = progress.remaining_ms
    left = "" if remaining_ms is None else f", {remaining_ms / 1000:.0f} s left"
    return f"{begin} {done:.1f} of {total:.1f} MiB{left}"
