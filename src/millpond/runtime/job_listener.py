"""`JobListener`: who wants to hear what happens to a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.common.job_status import JobStatus
    from millpond.runtime.checkpoint_coordinator import CheckpointCoordinator
    from millpond.runtime.message import Progress, RestoreProgress

__all__ = ("JobListener",)


class JobListener:
    """Told what happens, on the job manager's thread; override what is wanted."""

    def on_status(self, status: JobStatus) -> None:
        """The job's status changed."""

    def on_restart(self, error: BaseException, attempt: int, from_checkpoint: int | None) -> None:
        """An attempt failed and the next one starts."""

    def on_progress(self, progress: Progress) -> None:
        """The sources have come further."""

    def on_restore(self, progress: RestoreProgress) -> None:
        """A restore has come further; at most five times a second, never for short ones."""

    def on_checkpoints(self, coordinator: CheckpointCoordinator) -> None:
        """A checkpoint was triggered, completed or given up."""

    def on_collected(self, collect_id: str, values: Sequence[Any]) -> None:
        """Results for the client."""
