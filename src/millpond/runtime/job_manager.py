"""`JobManager`: deploys a job, takes its checkpoints, restarts it after failures, ends it."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, final

from millpond.checkpoint.retention import JobEnd
from millpond.common.job_status import JobStatus
from millpond.configuration.backend_description import StorageKind
from millpond.errors import (
    CheckpointError,
    CheckpointStorageError,
    JobCancelledError,
    RestoreError,
    WorkerLostError,
)
from millpond.runtime.checkpoint_coordinator import CheckpointCoordinator
from millpond.runtime.collected_results import CollectedResults
from millpond.runtime.failure_handling import FailureHandling
from millpond.runtime.forwarding import forward
from millpond.runtime.job_ending import JobEnding
from millpond.runtime.job_history import JobHistory
from millpond.runtime.job_listener import JobListener
from millpond.runtime.job_outcome import JobOutcome
from millpond.runtime.job_parameters import JobParameters
from millpond.runtime.job_requests import JobRequests
from millpond.runtime.message import (
    Acknowledge,
    Collected,
    Decline,
    Deploy,
    Failed,
    Finished,
    FromWorker,
    InputEnded,
    Progress,
    RestoreProgress,
    Running,
    TasksProgress,
    ToWorker,
)
from millpond.runtime.restore import restore_from
from millpond.runtime.stop_request import StopRequest
from millpond.state.contract.snapshot import SavepointFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from millpond.checkpoint.completed import CompletedCheckpoint
    from millpond.checkpoint.completed_store import CompletedCheckpointStore
    from millpond.clock import Clock
    from millpond.runtime.restart_strategy import RestartStrategy
    from millpond.runtime.worker_connection import LaunchWorker, WorkerConnection
    from millpond.state.contract.snapshot import SnapshotOptions

__all__ = ("JobListener", "JobManager", "JobParameters")

_logger = logging.getLogger(__name__)

_NOT_TAKEN = "The job ended before the savepoint."


@final
class JobManager:
    """Steers one job. `run` is called once; `cancel`, `savepoint` and `stop` from any thread.

    Attributes:
        parameters: what the job was made of.
        status: where the job is in its life.
        history: what happened to it so far.
        coordinator: takes its checkpoints.
        outcome: how it ended; None before.
    """

    def __init__(
        self,
        parameters: JobParameters,
        store: CompletedCheckpointStore,
        restart_strategy: RestartStrategy,
        launch: LaunchWorker,
        clock: Clock,
        listener: JobListener,
    ) -> None:
        self.parameters = parameters
        self._store = store
        self._launch = launch
        self._clock = clock
        self._listener = listener
        self._connection: WorkerConnection | None = None
        self._records = 0
        self._collected = CollectedResults(listener)
        self._failure: BaseException | None = None
        self._failures = FailureHandling(
            restart_strategy, store, clock, listener, commits=parameters.graph.commits
        )
        self._finished = False
        self._requests = JobRequests()
        self._over = False
        self._ran = False
        self.status = JobStatus.CREATED
        self.outcome: JobOutcome | None = None
        self.history = JobHistory(clock)
        backend = parameters.backend
        in_memory = backend.storage is StorageKind.JOB_MANAGER
        self.coordinator = CheckpointCoordinator(
            parameters.graph,
            parameters.settings,
            store,
            clock,
            self._send,
            self._fail,
            incremental=backend.is_incremental,
            frame_size_bytes=backend.frame_size_bytes if in_memory else None,
            memory_size_bytes=backend.memory_size_bytes if in_memory else None,
        )
        self._ending = JobEnding(
            self.coordinator,
            store,
            self._send,
            self._fail,
            lambda: self._cancel(JobStatus.CANCELED),
            checkpointing=parameters.ends_with_checkpoint,
        )

    @property
    def records(self) -> int:
        """How many records the sources of the latest attempt have read, before a restore too."""
        return self._records

    @property
    def restarts(self) -> int:
        """How many failed attempts were followed by another."""
        return self._failures.attempt

    # -- requests, from any thread

    def cancel(self) -> None:
        """Stop without a savepoint."""
        self._requests.submit(lambda: self._cancel(JobStatus.CANCELED))

    def suspend(self) -> None:
        """Stop as `cancel`, but keep the checkpoints for whoever goes on with the job."""
        self._requests.submit(lambda: self._cancel(JobStatus.SUSPENDED))

    def savepoint(
        self, target_directory: str | None, snapshot_options: SnapshotOptions
    ) -> Future[CompletedCheckpoint]:
        """Take a savepoint while the job goes on."""
        result: Future[CompletedCheckpoint] = Future()

        def request() -> None:
            forward(self.coordinator.request(snapshot_options, target_directory), result)

        self._submit(request, result)
        return result

    def checkpoint(self) -> Future[CompletedCheckpoint]:
        """Take a checkpoint now, as the job takes them; it may take none by itself."""
        return self.savepoint(None, self.coordinator.checkpoint_options())

    def stop(
        self,
        target_directory: str | None,
        *,
        drain: bool,
        savepoint_format: SavepointFormat = SavepointFormat.CANONICAL,
    ) -> Future[str]:
        """Stop the sources, take a savepoint and end the job; the future holds its path."""
        return self._end_with(StopRequest(drain, target_directory, savepoint_format))

    def cancel_with_savepoint(
        self,
        target_directory: str | None,
        savepoint_format: SavepointFormat = SavepointFormat.CANONICAL,
    ) -> Future[str]:
        """Take a savepoint and cancel the job; the future holds its path.

        No checkpoint completes after the savepoint. If it fails the job goes on.
        """
        return self._end_with(
            StopRequest(
                drain=False,
                target_directory=target_directory,
                savepoint_format=savepoint_format,
                cancels=True,
            )
        )

    def _end_with(self, stop: StopRequest) -> Future[str]:
        self._submit(lambda: self._ending.stop(stop, self.status), stop.result)
        return stop.result

    def _submit(self, request: Callable[[], None], result: Future[Any]) -> None:
        if self.parameters.graph.batch:
            result.set_exception(CheckpointError("A job in BATCH mode takes no snapshots."))
            return
        if not self._requests.submit(request):
            result.set_exception(CheckpointError(f"The job is over: it is {self.status.name}."))

    def _answer_last_requests(self) -> None:
        self._over = True
        self._requests.close()
        self.coordinator.stop(_NOT_TAKEN)
        # Not before: who waits for the savepoint may rely on the job being over.
        self._ending.answer_stop(self.status)
        self._ending.give_up_stop(self._failure or CheckpointError(_NOT_TAKEN))

    # -- the job

    def run(self) -> JobOutcome:
        """Run the job to its end, whatever that is; failures are in the outcome."""
        for _ in self.steps():
            pass
        assert self.outcome is not None
        return self.outcome

    def steps(self) -> Iterator[None]:
        """Run the job a step at a time: it moves on only while the caller asks for the next step.

        `outcome` is set when there is none any more. Closing the iterator cancels the job.
        """
        started = self._clock.monotonic()
        parameters = self.parameters
        try:
            yield from self._run_attempts()
        except BaseException as error:
            # An interrupt of the user, or a defect here: the checkpoints must outlive both.
            status = JobStatus.FAILED if isinstance(error, Exception) else JobStatus.SUSPENDED
            self._set_status(JobStatus.CANCELED if isinstance(error, GeneratorExit) else status)
            self._end_attempt("The job manager was interrupted.")
            self._answer_last_requests()
            self._close_store()
            raise
        self._answer_last_requests()
        self._close_store()
        self.outcome = JobOutcome(
            parameters.job_id,
            self.status,
            round((self._clock.monotonic() - started) * 1000),
            self._records,
            self._failures.attempt,
            tuple(self.coordinator.statistics),
            self._failure,
            self._ending.savepoint_path,
        )

    def _close_store(self) -> None:
        end = JobEnd[self.status.name]
        unused = not self._ran or isinstance(self._failure, RestoreError)
        if unused and self._store.latest is not None:
            # A job that could not go on from a checkpoint has no right to delete it.
            end = JobEnd.SUSPENDED
        stopped = self._ending.savepoint_path is not None
        self._store.close(end, self.parameters.settings.retention, is_stopped=stopped)

    def _run_attempts(self) -> Iterator[None]:
        finished_at = self.parameters.finished_at
        if finished_at is not None:
            _logger.warning("The job has finished before. Delete %s to run it again.", finished_at)
            self._ran = True  # so that what is left of its checkpoints is deleted
            self._set_status(JobStatus.FINISHED)
            return
        while True:
            yield from self._run_attempt()
            if self._failure is not None:
                self.history.failed(self._failure)
            if self._ending.cancelled:
                self._set_cancelled()
                return
            if self._failure is None:
                self._set_status(JobStatus.FINISHED)
                return
            ran = self.status is JobStatus.RUNNING
            if not ran and self._failures.fall_back(self._failure):
                self._failure = None
                continue
            delay_ms = self._failures.restart_delay_ms(self._failure)
            if delay_ms is None:
                self._set_status(JobStatus.FAILED)
                return
            if not self._prepare_restart(delay_ms):
                self._set_cancelled()
                return

    def _set_cancelled(self) -> None:
        cancelled = self._ending.cancelled
        self._set_status(cancelled or JobStatus.CANCELED)
        how = "suspended" if cancelled is JobStatus.SUSPENDED else "cancelled"
        self._failure = JobCancelledError(f"The job was {how}.", job=self.parameters.graph.name)

    def _prepare_restart(self, delay_ms: int) -> bool:
        """Wait for the next attempt; return whether there is one."""
        failure = self._failure
        assert failure is not None
        self._set_status(JobStatus.RESTARTING)
        self._failures.announce_restart(failure, delay_ms)
        self._ending.give_up_stop(failure)
        self._failure = None
        deadline = self._clock.monotonic() + delay_ms / 1000
        while not self._ending.cancelled and (left := deadline - self._clock.monotonic()) > 0:
            self._clock.sleep(min(left, 0.05))
            self._requests.take()
        return not self._ending.cancelled

    def _run_attempt(self) -> Iterator[None]:
        self._finished = False
        self._ending.new_attempt()
        self.history.attempt_begins()
        parameters = self.parameters
        try:
            graph, restore = restore_from(
                self._store.latest,
                parameters.graph,
                allow_non_restored_state=parameters.allow_non_restored_state,
                owned=self._store.latest is None or self._store.owns(self._store.latest),
            )
            self.coordinator.graph = graph
            self._connection = self._launch()
            self._connection.while_working(self._while_working)
            self._send(
                Deploy(
                    parameters.job_id,
                    graph,
                    parameters.configuration,
                    parameters.backend,
                    self._failures.attempt,
                    parameters.ends_with_checkpoint,
                    restore,
                )
            )
            while not self._finished and self._failure is None:
                self._turn()
                yield
        except (WorkerLostError, RestoreError, CheckpointStorageError) as error:
            self._failure = error
        finally:
            self._end_attempt("The attempt ended before the checkpoint was complete.")

    def _turn(self) -> None:
        assert self._connection is not None
        for message in self._connection.receive():
            self._handle(message)
        self._requests.take()
        self.coordinator.tick()
        self._ending.watch()

    def _while_working(self) -> None:
        assert self._connection is not None
        for message in self._connection.take():
            self._handle(message)
        self.coordinator.tick()

    def _end_attempt(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        try:
            self.coordinator.stop(reason)
            self._listener.on_checkpoints(self.coordinator)
        finally:
            if connection is not None:
                connection.close()
            self.history.attempt_ends()

    def _handle(self, message: FromWorker) -> None:
        if isinstance(message, Acknowledge):
            self.coordinator.acknowledge(message)
            self._listener.on_checkpoints(self.coordinator)
        elif isinstance(message, RestoreProgress):
            self._listener.on_restore(message)
        elif isinstance(message, Progress):
            self._records = message.records
            self._listener.on_progress(message)
        elif isinstance(message, TasksProgress):
            self.history.subtasks = message.subtasks
        elif isinstance(message, Collected):
            self._collected.receive(message)
        elif isinstance(message, Decline):
            self.coordinator.decline(message)
            self._listener.on_checkpoints(self.coordinator)
        elif isinstance(message, Failed):
            self._failure = message.failure()
        elif isinstance(message, Running):
            self._ran = True
            self.history.attempt_runs(self._store.latest)
            self._set_status(JobStatus.RUNNING)
            self.coordinator.start()
        elif isinstance(message, InputEnded):
            self._ending.input_ended()
        elif isinstance(message, Finished):
            self._finished = True

    def _send(self, message: ToWorker) -> None:
        if self._connection is not None:
            self._connection.send(message)

    def _fail(self, error: Exception) -> None:
        if self._failure is None and not self._finished:
            self._failure = error

    def _set_status(self, status: JobStatus) -> None:
        if status is not self.status:
            self.status = status
            self.history.status(status)
            self._listener.on_status(status)

    def _cancel(self, status: JobStatus) -> None:
        if self._over:
            return
        self._set_status(JobStatus.CANCELLING)
        self._ending.cancel(status)
        if self._connection is None:
            self._finished = True
