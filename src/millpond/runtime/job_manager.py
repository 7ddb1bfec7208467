"""`JobManager`: deploys a job, takes its checkpoints, restarts it after failures, ends it."""

from __future__ import annotations

import logging
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, final

from millpond.checkpoint.retention import JobEnd
from millpond.common.job_status import JobStatus
from millpond.configuration.backend_description import StorageKind
from millpond.errors import (
    CheckpointError,
    CheckpointStorageError,
    ConfigurationError,
    InvalidProgramError,
    JobCancelledError,
    JobExecutionError,
    MissingDependencyError,
    RestoreError,
    SnapshotCorruptedError,
    StateTypeError,
    UnsupportedOperationError,
    WorkerLostError,
)
from millpond.runtime.checkpoint_coordinator import CheckpointCoordinator
from millpond.runtime.forwarding import forward
from millpond.runtime.job_listener import JobListener
from millpond.runtime.job_outcome import JobOutcome
from millpond.runtime.job_parameters import JobParameters
from millpond.runtime.message import (
    Acknowledge,
    Cancel,
    Collected,
    Decline,
    Deploy,
    Failed,
    Finish,
    Finished,
    FromWorker,
    InputEnded,
    NotifyComplete,
    Progress,
    RestoreProgress,
    Running,
    StopSources,
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

_FATAL = (
    ConfigurationError,
    InvalidProgramError,
    MissingDependencyError,
    RestoreError,
    StateTypeError,
    UnsupportedOperationError,
)
"""What another attempt would meet again (Flink's SuppressRestartsException)."""


@final
class JobManager:
    """Steers one job. `run` is called once; `cancel`, `savepoint` and `stop` from any thread."""

    def __init__(
        self,
        parameters: JobParameters,
        store: CompletedCheckpointStore,
        restart_strategy: RestartStrategy,
        launch: LaunchWorker,
        clock: Clock,
        listener: JobListener,
    ) -> None:
        self._parameters = parameters
        self._store = store
        self._restart_strategy = restart_strategy
        self._launch = launch
        self._clock = clock
        self._listener = listener
        self._connection: WorkerConnection | None = None
        self._attempt = 0
        self._records = 0
        self._collected: dict[str, int] = {}
        self._failure: BaseException | None = None
        self._latest_at_failure = store.latest
        self._cancelled: JobStatus | None = None
        self._ending = False
        self._finished = False
        self._final_checkpoint: Future[CompletedCheckpoint] | None = None
        self._stop: StopRequest | None = None
        self._savepoint_path: str | None = None
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._over = False
        self._over_lock = threading.RLock()  # a signal may interrupt the thread that holds it
        self._ran = False
        self.status = JobStatus.CREATED
        self.outcome: JobOutcome | None = None
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

    # -- requests, from any thread

    def cancel(self) -> None:
        """Stop without a savepoint."""
        self._requests.put(lambda: self._cancel(JobStatus.CANCELED))

    def suspend(self) -> None:
        """Stop as `cancel`, but keep the checkpoints for whoever goes on with the job."""
        self._requests.put(lambda: self._cancel(JobStatus.SUSPENDED))

    def savepoint(
        self, target_directory: str | None, snapshot_options: SnapshotOptions
    ) -> Future[CompletedCheckpoint]:
        """Take a savepoint, or a checkpoint, while the job goes on."""
        result: Future[CompletedCheckpoint] = Future()

        def request() -> None:
            forward(self.coordinator.request(snapshot_options, target_directory), result)

        self._submit(request, result)
        return result

    def stop(
        self,
        target_directory: str | None,
        *,
        drain: bool,
        savepoint_format: SavepointFormat = SavepointFormat.CANONICAL,
    ) -> Future[str]:
        """Stop the sources, take a savepoint and end the job; the future holds its path."""
        stop = StopRequest(drain, target_directory, savepoint_format)
        self._submit(lambda: self._begin_stop(stop), stop.result)
        return stop.result

    def _submit(self, request: Callable[[], None], result: Future[Any]) -> None:
        if self._parameters.graph.batch:
            result.set_exception(CheckpointError("A job in BATCH mode takes no snapshots."))
            return
        with self._over_lock:
            if not self._over:
                self._requests.put(request)
                return
        result.set_exception(CheckpointError(f"The job is over: it is {self.status.name}."))

    def _answer_last_requests(self) -> None:
        with self._over_lock:
            self._over = True
        self._take_requests()
        self.coordinator.stop("The job ended before the savepoint.")
        if self._stop is not None and self.status is JobStatus.FINISHED and self._savepoint_path:
            # Not before: who waits for the savepoint may rely on the job being over.
            self._stop.result.set_result(self._savepoint_path)
        self._give_up_stop(self._failure or CheckpointError("The job ended before the savepoint."))

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
        parameters = self._parameters
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
            self._attempt,
            tuple(self.coordinator.statistics),
            self._failure,
            self._savepoint_path,
        )

    def _close_store(self) -> None:
        end = JobEnd[self.status.name]
        unused = not self._ran or isinstance(self._failure, RestoreError)
        if unused and self._store.latest is not None:
            # A job that could not go on from a checkpoint has no right to delete it.
            end = JobEnd.SUSPENDED
        stopped = self._savepoint_path is not None
        self._store.close(end, self._parameters.settings.retention, is_stopped=stopped)

    def _give_up_stop(self, error: BaseException) -> None:
        stop, self._stop = self._stop, None
        if stop is not None and not stop.result.done():
            stop.result.set_exception(error)

    def _run_attempts(self) -> Iterator[None]:
        finished_at = self._parameters.finished_at
        if finished_at is not None:
            _logger.warning("The job has finished before. Delete %s to run it again.", finished_at)
            self._ran = True  # so that what is left of its checkpoints is deleted
            self._set_status(JobStatus.FINISHED)
            return
        while True:
            yield from self._run_attempt()
            if self._cancelled:
                self._set_cancelled()
                return
            if self._failure is None:
                self._set_status(JobStatus.FINISHED)
                return
            if self._fall_back():
                continue
            delay_ms = self._restart_delay_ms(self._failure)
            if delay_ms is None:
                self._set_status(JobStatus.FAILED)
                return
            if not self._prepare_restart(delay_ms):
                self._set_cancelled()
                return

    def _set_cancelled(self) -> None:
        self._set_status(self._cancelled or JobStatus.CANCELED)
        how = "suspended" if self._cancelled is JobStatus.SUSPENDED else "cancelled"
        self._failure = JobCancelledError(f"The job was {how}.", job=self._parameters.graph.name)

    def _restart_delay_ms(self, failure: BaseException) -> int | None:
        if isinstance(failure, _FATAL):
            return None
        latest = self._store.latest
        progressed = latest is not self._latest_at_failure
        self._latest_at_failure = latest
        return self._restart_strategy.after_failure(self._clock.now_ms(), progressed=progressed)

    def _fall_back(self) -> bool:
        """Reject a damaged checkpoint when an older one is there; return whether it is.

        Never behind what a sink has made visible: the results would come twice.
        """
        failure, latest = self._failure, self._store.latest
        damaged = isinstance(failure, SnapshotCorruptedError) and latest is not None
        if not damaged or len(self._store.checkpoints) < 2 or self.status is JobStatus.RUNNING:
            return False
        if self._parameters.graph.commits:
            return False
        assert latest is not None
        assert failure is not None
        older = self._store.reject(latest)
        _logger.error("Checkpoint %d is damaged: %s", latest.checkpoint_id, failure)
        self._listener.on_restart(failure, self._attempt, older.checkpoint_id if older else None)
        self._failure = None
        return True

    def _prepare_restart(self, delay_ms: int) -> bool:
        """Wait for the next attempt; return whether there is one."""
        failure = self._failure
        assert failure is not None
        self._attempt += 1
        latest = self._store.latest
        self._set_status(JobStatus.RESTARTING)
        checkpoint_id = None if latest is None else latest.checkpoint_id
        _logger.warning(
            "Attempt %d failed, restarting in %d ms from %s: %s",
            self._attempt,
            delay_ms,
            "the beginning" if checkpoint_id is None else f"checkpoint {checkpoint_id}",
            failure,
        )
        self._listener.on_restart(failure, self._attempt, checkpoint_id)
        self._give_up_stop(failure)
        self._failure = None
        self._final_checkpoint = None
        deadline = self._clock.monotonic() + delay_ms / 1000
        while not self._cancelled and (left := deadline - self._clock.monotonic()) > 0:
            self._clock.sleep(min(left, 0.05))
            self._take_requests()
        return not self._cancelled

    def _run_attempt(self) -> Iterator[None]:
        self._finished = self._ending = False
        parameters = self._parameters
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
                    self._attempt,
                    parameters.checkpointing_enabled,
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
        self._take_requests()
        self.coordinator.tick()
        self._watch_final_checkpoint()

    def _while_working(self) -> None:
        assert self._connection is not None
        for message in self._connection.take():
            self._handle(message)
        self.coordinator.tick()

    def _take_requests(self) -> None:
        while True:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                return
            request()

    def _end_attempt(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        try:
            self.coordinator.stop(reason)
            self._listener.on_checkpoints(self.coordinator)
        finally:
            if connection is not None:
                connection.close()

    def _handle(self, message: FromWorker) -> None:
        if isinstance(message, Acknowledge):
            self.coordinator.acknowledge(message)
            self._listener.on_checkpoints(self.coordinator)
        elif isinstance(message, RestoreProgress):
            self._listener.on_restore(message)
        elif isinstance(message, Progress):
            self._records = message.records
            self._listener.on_progress(message)
        elif isinstance(message, Collected):
            self._collect(message)
        elif isinstance(message, Decline):
            self.coordinator.decline(message)
            self._listener.on_checkpoints(self.coordinator)
        elif isinstance(message, Failed):
            self._failure = message.failure()
        elif isinstance(message, Running):
            self._ran = True
            self._set_status(JobStatus.RUNNING)
            self.coordinator.start()
        elif isinstance(message, InputEnded):
            self._input_ended()
        elif isinstance(message, Finished):
            self._finished = True

    def _collect(self, message: Collected) -> None:
        # A restarted attempt repeats what was on its way when the one before failed.
        collect_id, end = message.collect_id, message.offset + len(message.values)
        received = self._collected.get(collect_id, message.offset)
        self._collected[collect_id] = max(received, end)
        if received < end:
            values = message.values[max(0, received - message.offset) :]
            self._listener.on_collected(collect_id, values)

    def _send(self, message: ToWorker) -> None:
        if self._connection is not None:
            self._connection.send(message)

    def _fail(self, error: CheckpointError) -> None:
        if self._failure is None and not self._finished:
            self._failure = error

    def _set_status(self, status: JobStatus) -> None:
        if status is not self.status:
            self.status = status
            self._listener.on_status(status)

    # -- ends

    def _cancel(self, status: JobStatus) -> None:
        if self._over:
            return
        self._cancelled = status
        self._set_status(JobStatus.CANCELLING)
        self._ending = True
        if self._connection is None:
            self._finished = True
        else:
            self._send(Cancel())

    def _begin_stop(self, stop: StopRequest) -> None:
        if self._stop is not None or self._ending or self.status is not JobStatus.RUNNING:
            stop.result.set_exception(
                CheckpointError(f"The job cannot be stopped: it is {self.status.name}.")
            )
            return
        self._stop = stop
        self._send(StopSources(stop.drain))
        if not stop.drain:
            self._take_final(stop)

    def _input_ended(self) -> None:
        if self._ending:
            return
        if self._stop is not None:
            if self._stop.drain and self._stop.savepoint is None:
                self._take_final(self._stop)
        elif self._parameters.checkpointing_enabled:
            # What two-phase sinks hold becomes visible only with a checkpoint that covers it.
            self._final_checkpoint = self.coordinator.request_last()
        else:
            self._finish()

    def _take_final(self, stop: StopRequest) -> None:
        stop.savepoint = self.coordinator.request_last(stop.snapshot_options, stop.target_directory)

    def _watch_final_checkpoint(self) -> None:
        if self._ending:
            return
        if self._stop is not None and self._stop.savepoint is not None:
            self._watch_stop(self._stop, self._stop.savepoint)
        final = self._final_checkpoint
        if final is not None and final.done():
            self._final_checkpoint = None
            if final.exception() is None:
                self._finish()
            elif self._failure is None:
                # Tolerated: the job may only end with one that is complete.
                self._input_ended()

    def _watch_stop(self, stop: StopRequest, savepoint: Future[CompletedCheckpoint]) -> None:
        if not savepoint.done():
            return
        error = savepoint.exception()
        if error is not None:
            self._failure = JobExecutionError(f"Stop with savepoint failed: {error}")
            self._failure.__cause__ = error
            self._give_up_stop(error)
            return
        completed = savepoint.result()
        self._store.settle(completed)
        self._savepoint_path = completed.location.directory
        self._send(NotifyComplete(completed.checkpoint_id))
        self._finish()

    def _finish(self) -> None:
        self._ending = True
        self._send(Finish())
