"""`JobOutcome`: how a job ended, as the job manager tells its client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.common.job_status import JobStatus
    from millpond.runtime.checkpoint_statistics import CheckpointStatistics

__all__ = ("JobOutcome",)


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a job ended.

    `records` were read by the sources of the last attempt; `restarts` counts failed attempts.
    """

    job_id: str
    status: JobStatus
    runtime_ms: int
    records: int
    restarts: int
    checkpoints: Sequence[CheckpointStatistics]
    error: BaseException | None = None
    savepoint_path: str | None = None
