"""What a snapshot needs from its surroundings, and what a store hands to the writing thread."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from millpond.formats.handles import StreamHandle
    from millpond.formats.state_meta import StateMeta

__all__ = (
    "SavepointFormat",
    "Snapshot",
    "SnapshotKind",
    "SnapshotOptions",
    "SnapshotOutput",
    "SnapshotReader",
    "SnapshotScope",
    "SnapshotStreams",
)

ResultT = TypeVar("ResultT")


class SnapshotKind(enum.StrEnum):
    """Why a snapshot is taken."""

    CHECKPOINT = "checkpoint"
    SAVEPOINT = "savepoint"


class SavepointFormat(enum.StrEnum):
    """Flink's two savepoint formats."""

    CANONICAL = "canonical"
    NATIVE = "native"


@dataclass(frozen=True, slots=True)
class SnapshotOptions:
    """What kind of snapshot is wanted.

    `incremental` is a wish: stores that cannot, and canonical savepoints, write everything.
    """

    kind: SnapshotKind = SnapshotKind.CHECKPOINT
    format: SavepointFormat = SavepointFormat.CANONICAL
    incremental: bool = False


class SnapshotScope(enum.StrEnum):
    """Who owns a file: one checkpoint, or all that refer to it."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"


class SnapshotOutput(Protocol):
    """One stream of a snapshot; small ones become inline handles.

    Used by one thread. Exactly one of `finish` and `abort` ends it.
    """

    def write(self, data: bytes) -> None:
        """Append bytes. Raises CheckpointStorageError, StateSizeExceededError."""
        ...

    @property
    def position(self) -> int:
        """Bytes written so far."""
        ...

    def finish(self) -> StreamHandle | None:
        """Make the stream durable and return its handle; None if nothing was written."""
        ...

    def abort(self) -> None:
        """Drop the stream and delete what was written; may be called after a failure."""
        ...


class SnapshotStreams(Protocol):
    """The place that one checkpoint is written to. Safe for several threads."""

    def open(self, scope: SnapshotScope) -> SnapshotOutput:
        """Start a new stream."""
        ...

    def upload(self, path: Path, scope: SnapshotScope) -> StreamHandle:
        """Copy a finished local file; it becomes a file even when it is small and shared."""
        ...


class SnapshotReader(Protocol):
    """Reads the streams of a snapshot back. Safe for several threads.

    Every stream's length and checksum are verified where the snapshot recorded them.
    """

    @property
    def has_checksums(self) -> bool:
        """Whether checksums vouch for the bytes; Flink records none."""
        ...

    def open(self, handle: StreamHandle) -> BinaryIO:
        """Open for reading; seekable. Raises SnapshotCorruptedError, CheckpointStorageError."""
        ...

    def download(self, handle: StreamHandle, path: Path, *, may_link: bool = False) -> None:
        """Copy to a local file that does not exist yet.

        With `may_link` the caller never writes to the file, so that it may be another name of the
        snapshot's own.
        """
        ...


class Snapshot(ABC, Generic[ResultT]):
    """State captured at a barrier, to be written by a background thread.

    It holds immutable data only. The task thread creates it; `write` runs once in any thread;
    `cancel` may be called from another thread at any time and makes `write` stop soon with
    CheckpointDeclinedError. `release` is called by the task thread, exactly once, after `write`
    ended in whatever way, so that the store may give back what it kept for the snapshot.
    """

    @property
    def metas(self) -> Sequence[StateMeta]:
        """Header entries of the states that hold something; none where the store does not say."""
        return ()

    def broadcasts_with_none(self) -> Iterable[str]:
        """Return the names of broadcast states in which a value is None."""
        return ()

    @property
    def stopped_seconds(self) -> float:
        """How long the task had to wait for the snapshot after the capture, once it is written."""
        return 0.0

    def maps_with_none(self) -> Iterable[str]:
        """Return the names of maps with TTL in which a value is None; known after `write`."""
        return ()

    @abstractmethod
    def write(self) -> ResultT:
        """Write everything and return the handle."""

    def cancel(self) -> None:
        """Ask `write` to stop."""

    def release(self) -> None:
        """Give back what the store kept for this snapshot."""
