"""`StopRequest`: a stop or a cancellation with savepoint that somebody asked for."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions

if TYPE_CHECKING:
    from millpond.checkpoint.completed import CompletedCheckpoint

__all__ = ("StopRequest",)


@dataclass(slots=True)
class StopRequest:
    """How to stop; `result` gets the savepoint's path when the job is over.

    Attributes:
        drain: let event time reach its end before.
        cancels: the sources go on until the savepoint is complete, and then the job is cancelled.
    """

    drain: bool
    target_directory: str | None
    savepoint_format: SavepointFormat = SavepointFormat.CANONICAL
    cancels: bool = False
    result: Future[str] = field(default_factory=Future)
    savepoint: Future[CompletedCheckpoint] | None = None

    @property
    def snapshot_options(self) -> SnapshotOptions:
        """What the savepoint is like."""
        return SnapshotOptions(SnapshotKind.SAVEPOINT, self.savepoint_format)
