"""The contract of sinks: a `SinkWriter` a subtask, and two phases for exactly once.

The life of what a writer wrote: `prepare_commit` at a barrier turns it into committables, which are
part of the checkpoint; when the checkpoint is complete, `Sink.commit` makes them visible. After a
crash the committables of the restored checkpoint are committed again, so `commit` must be
idempotent, and whatever was written after it must be dropped or overwritten.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.clock import Clock

__all__ = ("Committable", "Sink", "SinkWriter", "SinkWriterContext", "WritesColumns")

Committable = Any
"""What is to be committed: numbers, text, bytes, lists and maps of them (stored as msgpack)."""


@dataclass(frozen=True, slots=True)
class SinkWriterContext:
    """What a writer may know of its surroundings."""

    job_id: str
    subtask_index: int
    parallelism: int
    attempt: int
    clock: Clock
    restored_checkpoint_id: int | None
    checkpointing_enabled: bool


class SinkWriter(ABC):
    """Writes the records of one subtask; used by the task thread only."""

    @abstractmethod
    def write(self, values: list[Any], timestamps: list[int] | None) -> None:
        """Write a batch. Raises ConnectorError."""

    def prepare_commit(self, *, end_of_input: bool) -> list[Committable]:
        """Flush, and return what becomes visible when the coming checkpoint is complete.

        Without checkpointing it is called once, at the end of input.
        """
        return []

    def snapshot(self, checkpoint_id: int) -> list[Any]:
        """Return the writer's state after `prepare_commit`, one msgpack-able element a list item.

        After a restore with another parallelism the elements are dealt anew.
        """
        return []

    def close(self) -> None:
        """Release files without making anything visible; may be called twice."""


@runtime_checkable
class WritesColumns(Protocol):
    """A `SinkWriter` that also takes the records of a columnar batch as they are."""

    def write_columns(self, columns: Sequence[Any]) -> None:
        """Write records given as numpy arrays, a field each. Raises ConnectorError."""
        ...


class Sink(ABC):
    """Where records go. Describes; nothing is opened before the job runs."""

    @abstractmethod
    def create_writer(self, context: SinkWriterContext, restored: Sequence[Any]) -> SinkWriter:
        """Make the writer of one subtask; `restored` are elements that `snapshot` returned."""

    def commit(self, committables: Sequence[Committable]) -> None:
        """Make these visible, in order; doing it again changes nothing.

        Raises:
            ConnectorError: it failed; the job restarts and commits again.
        """
