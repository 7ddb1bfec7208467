"""When checkpoints outlive their job."""

from __future__ import annotations

import enum

__all__ = ("CheckpointRetention", "JobEnd", "is_retained")


class CheckpointRetention(enum.StrEnum):
    """Flink's ExternalizedCheckpointRetention."""

    NO_EXTERNALIZED_CHECKPOINTS = "NO_EXTERNALIZED_CHECKPOINTS"
    DELETE_ON_CANCELLATION = "DELETE_ON_CANCELLATION"
    RETAIN_ON_CANCELLATION = "RETAIN_ON_CANCELLATION"


class JobEnd(enum.StrEnum):
    """How a job ended; SUSPENDED means that another process goes on with it."""

    FINISHED = "FINISHED"
    CANCELED = "CANCELED"
    FAILED = "FAILED"
    SUSPENDED = "SUSPENDED"


_RETAINED_ENDS = {
    CheckpointRetention.NO_EXTERNALIZED_CHECKPOINTS: {JobEnd.SUSPENDED},
    CheckpointRetention.DELETE_ON_CANCELLATION: {JobEnd.SUSPENDED, JobEnd.FAILED},
    CheckpointRetention.RETAIN_ON_CANCELLATION: {
        JobEnd.SUSPENDED,
        JobEnd.FAILED,
        JobEnd.CANCELED,
    },
}


def is_retained(retention: CheckpointRetention, end: JobEnd) -> bool:
    """Return whether checkpoints are kept when the job ends so (CheckpointProperties)."""
    return end in _RETAINED_ENDS[retention]
