"""`JobClient`: the handle of a job that was started with `execute_async`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millpond.common.completable_future import CompletableFuture
    from millpond.common.job_id import JobID

__all__ = ("JobClient",)


class JobClient(ABC):
    """Watches and steers one job. Safe for several threads."""

    @abstractmethod
    def get_job_id(self) -> JobID:
        """Return the job's id."""

    @abstractmethod
    def get_job_status(self) -> CompletableFuture:
        """Return a future of the job's JobStatus."""

    @abstractmethod
    def cancel(self) -> CompletableFuture:
        """Cancel the job; the future is done when it has stopped."""

    @abstractmethod
    def stop_with_savepoint(
        self, advance_to_end_of_event_time: bool, savepoint_directory: str | None = None
    ) -> CompletableFuture:
        """Stop the sources, take a savepoint, end the job; the future holds the savepoint's path.

        With `advance_to_end_of_event_time` all event timers fire before (drain). What Apache Flink
        could not use of the savepoint is logged before it is written.
        """

    @abstractmethod
    def trigger_savepoint(self, savepoint_directory: str | None = None) -> CompletableFuture:
        """Take a savepoint while the job goes on; the future holds its path.

        What Apache Flink could not use of it is logged before it is written.
        """

    @abstractmethod
    def cancel_with_savepoint(self, savepoint_directory: str | None = None) -> CompletableFuture:
        """Take a savepoint, then cancel the job; the future holds the savepoint's path.

        The sources go on until the savepoint is complete, and no checkpoint completes after it:
        a job that starts from it repeats nothing that sinks have committed. If the savepoint
        fails the future does, and the job goes on. Flink has it in ClusterClient.
        """

    @abstractmethod
    def trigger_checkpoint(self) -> CompletableFuture:
        """Take a checkpoint now, whether or not the job takes them by itself.

        The future holds its path. Flink has it in ClusterClient.
        """

    @abstractmethod
    def get_savepoint_limits(self, savepoint_path: str) -> CompletableFuture:
        """Return a future of what Apache Flink cannot use of a savepoint, as a list of sentences.

        Each names the operator, the state, why, and what to do. The list is empty where Flink
        can use everything. Of the keyed state only the headers are read. PyFlink has no such
        method.

        Raises:
            CheckpointNotFoundError: there is no savepoint at the path.
            SnapshotCorruptedError: the savepoint is damaged.
        """

    @abstractmethod
    def get_accumulators(self) -> CompletableFuture:
        """Return a future of the job's accumulators, by name."""

    @abstractmethod
    def get_job_execution_result(self) -> CompletableFuture:
        """Return a future of the JobExecutionResult; a failed job fails it."""
