"""What the demo and whatever runs its job tell each other."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = (
    "Backend",
    "CheckpointRow",
    "JobProgress",
    "JobReport",
    "JobRequest",
    "JobRunner",
    "JobWatcher",
)


class Backend(StrEnum):
    """The three backends, by the names that users choose them with."""

    MEMORY = "memory"
    FILESYSTEM = "filesystem"
    ROCKSDB = "rocksdb"

    @classmethod
    def parse(cls, name: str) -> Backend:
        """Return the backend of a name.

        Raises:
            ConfigurationError: there is none; the hint is the nearest one.
        """
        try:
            return cls(name.lower())
        except ValueError:
            near = difflib.get_close_matches(name.lower(), list(cls), n=1, cutoff=0.4)
            hint = f"Did you mean {near[0]}?" if near else f"Use one of: {', '.join(cls)}."
            raise ConfigurationError(f"There is no backend {name!r}.", hint=hint) from None


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far the job is.

    Attributes:
        records: flights read since the beginning of the year, those before a restore included.
        event_time_ms: the watermark, or None before the first one.
        checkpoint_id: number of the last complete checkpoint, or None.
        checkpoint_bytes: what that checkpoint wrote.
    """

    records: int
    event_time_ms: int | None = None
    checkpoint_id: int | None = None
    checkpoint_bytes: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A complete checkpoint; sizes in bytes.

    `checkpointed_bytes` were written for it, `state_bytes` is all that it refers to.
    """

    number: int
    kind: str
    duration_ms: int
    checkpointed_bytes: int
    state_bytes: int


@dataclass(frozen=True, slots=True)
class JobReport:
    """How a run of the job ended; `records` as in `JobProgress`."""

    records: int
    restarts: int
    checkpoints: Sequence[CheckpointRow] = field(default=())


@dataclass(frozen=True, slots=True)
class JobRequest:
    """Everything that says how the flights job is to be run.

    Attributes:
        checkpoints: directory of its checkpoints.
        job_id: 32 hexadecimal digits; the same in all runs that go on from each other.
        batch_size: flights between two watermarks; 256 are scheduled in about seven hours.
        resume: go on from the newest checkpoint of the job; there is one.
        lock: descriptor of the locked file that the worker process must inherit, or None.
    """

    flights_file: Path
    results: Path
    checkpoints: Path
    job_id: str
    backend: Backend = Backend.ROCKSDB
    parallelism: int = 1
    lateness_hours: float = 24
    checkpoint_interval_ms: int = 1000
    batch_size: int = 256
    resume: bool = False
    lock: int | None = None


class JobWatcher(Protocol):
    """Told how a supervised job goes; called by one thread."""

    def on_progress(self, progress: JobProgress) -> bool:
        """See how far the job is; return whether its worker process is to be killed now."""
        ...

    def on_restart(self, from_checkpoint: int | None) -> None:
        """See that a lost worker is replaced, by one that goes on from a checkpoint or anew."""
        ...


class JobRunner(Protocol):
    """Runs the flights job."""

    def run_supervised(self, request: JobRequest, watcher: JobWatcher) -> JobReport:
        """Run the job in a worker process that is replaced when it dies. Raises its failure."""
        ...

    def run_calm(self, request: JobRequest) -> None:
        """Run the job in this process: on the heap, without checkpoints. Raises its failure."""
        ...
