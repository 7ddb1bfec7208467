"""Messages between the job manager and a worker; they may cross a process boundary."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from traceback import format_tb
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from millpond.checkpoint.checksum import FileChecksum
    from millpond.checkpoint.location import CheckpointLocation
    from millpond.checkpoint.reader import SnapshotSource
    from millpond.configuration.backend_choice import BackendChoice
    from millpond.formats.handles import OperatorState, SubtaskState
    from millpond.runtime.job_graph import JobGraph
    from millpond.runtime.task_metrics import SubtaskCheckpointMetrics
    from millpond.state.contract.snapshot import SnapshotOptions

__all__ = (
    "Acknowledge",
    "Cancel",
    "Collected",
    "Decline",
    "Deploy",
    "Failed",
    "Finish",
    "Finished",
    "FromWorker",
    "InputEnded",
    "NotifyAborted",
    "NotifyComplete",
    "Progress",
    "Restore",
    "RestorePhase",
    "RestoreProgress",
    "Running",
    "StopSources",
    "SubtaskProgress",
    "TasksProgress",
    "ToWorker",
    "TriggerCheckpoint",
)


@dataclass(frozen=True, slots=True)
class Restore:
    """What to start from: the job's operators in the snapshot, by operator id, and their files.

    `owned`: checkpoints may refer to these files; else they are the user's, who may delete them.
    """

    checkpoint_id: int
    source: SnapshotSource
    operators: Mapping[bytes, OperatorState]
    owned: bool = True


@dataclass(frozen=True, slots=True)
class Deploy:
    """Start all tasks."""

    job_id: str
    graph: JobGraph
    configuration: Mapping[str, str]
    backend: BackendChoice
    attempt: int
    checkpointing_enabled: bool
    restore: Restore | None


@dataclass(frozen=True, slots=True)
class TriggerCheckpoint:
    """Send barriers from the sources."""

    checkpoint_id: int
    timestamp_ms: int
    options: SnapshotOptions
    location: CheckpointLocation


@dataclass(frozen=True, slots=True)
class NotifyComplete:
    """A checkpoint is complete and durable."""

    checkpoint_id: int


@dataclass(frozen=True, slots=True)
class NotifyAborted:
    """A checkpoint was given up."""

    checkpoint_id: int


@dataclass(frozen=True, slots=True)
class StopSources:
    """Read no more; with `drain` let event time reach its end."""

    drain: bool


@dataclass(frozen=True, slots=True)
class Finish:
    """Close all tasks in good order."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Close all tasks at once."""


ToWorker = (
    Deploy | TriggerCheckpoint | NotifyComplete | NotifyAborted | StopSources | Finish | Cancel
)


@dataclass(frozen=True, slots=True)
class Running:
    """All tasks are restored and opened."""

    restore_ms: int


class RestorePhase(enum.StrEnum):
    """What a restore is at: reading and verifying files, or opening the functions."""

    READING = "reading"
    OPENING = "opening"


@dataclass(frozen=True, slots=True)
class RestoreProgress:
    """How far a restore is: bytes of the snapshot's files, read and in all."""

    checkpoint_id: int
    phase: RestorePhase
    done_bytes: int
    total_bytes: int
    elapsed_ms: int

    @property
    def remaining_ms(self) -> int | None:
        """How long the reading will take at the pace so far; None where there was none yet."""
        if not self.done_bytes:
            return None
        return self.elapsed_ms * (self.total_bytes - self.done_bytes) // self.done_bytes


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """One subtask's part of a checkpoint is written.

    `states` by operator id; `checksums` of the files it wrote.
    """

    checkpoint_id: int
    vertex_id: int
    subtask_index: int
    states: Mapping[bytes, SubtaskState]
    checksums: Mapping[str, FileChecksum]
    metrics: SubtaskCheckpointMetrics


@dataclass(frozen=True, slots=True)
class Decline:
    """One subtask could not write its part."""

    checkpoint_id: int
    vertex_id: int
    subtask_index: int
    error: BaseException


@dataclass(frozen=True, slots=True)
class InputEnded:
    """Every source has ended and every record is processed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the sources are; `event_time_ms` is the slowest watermark."""

    records: int
    event_time_ms: int | None


@dataclass(frozen=True, slots=True)
class SubtaskProgress:
    """How far one task of an attempt is; `watermark_ms` None: none came yet, or event time ended.

    `records_read` came through channels or from the source, `records_written` went into channels,
    whatever the chain did in between; both since the attempt began.
    """

    vertex_id: int
    subtask_index: int
    records_read: int
    records_written: int
    watermark_ms: int | None
    ended: bool


@dataclass(frozen=True, slots=True)
class TasksProgress:
    """How far all tasks are; at most once a second."""

    subtasks: Sequence[SubtaskProgress]


@dataclass(frozen=True, slots=True)
class Collected:
    """Results for the client; `offset` were sent before them, in earlier attempts too."""

    collect_id: str
    offset: int
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """A task failed; all tasks of the attempt are closed.

    `cause` is the error's cause and `traceback` its traceback as text: pickling loses both.
    """

    error: BaseException
    cause: BaseException | None = None
    traceback: str = field(default="", repr=False)

    @classmethod
    def of(cls, error: BaseException) -> Failed:
        """Make the message of an exception that was caught."""
        innermost = error.__cause__ or error
        return cls(error, error.__cause__, "".join(format_tb(innermost.__traceback__)))

    def failure(self) -> BaseException:
        """Return the error with its cause; its traceback is a note where it was lost."""
        error = self.error
        if error.__cause__ is None:
            error.__cause__ = self.cause
        innermost = error.__cause__ or error
        if innermost.__traceback__ is None and self.traceback:
            innermost.add_note(f"Traceback in the worker process:\n{self.traceback.rstrip()}")
        return error


@dataclass(frozen=True, slots=True)
class Finished:
    """All tasks are closed in good order."""


FromWorker = (
    RestoreProgress
    | Running
    | Acknowledge
    | Decline
    | InputEnded
    | Progress
    | TasksProgress
    | Collected
    | Failed
    | Finished
)
