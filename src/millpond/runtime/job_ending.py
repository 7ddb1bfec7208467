"""`JobEnding`: how a running job comes to its end - by its input, a stop or a cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.common.job_status import JobStatus
from millpond.errors import CheckpointError, JobExecutionError
from millpond.runtime.message import Cancel, Finish, NotifyComplete, StopSources, ToWorker

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from millpond.checkpoint.completed import CompletedCheckpoint
    from millpond.checkpoint.completed_store import CompletedCheckpointStore
    from millpond.runtime.checkpoint_coordinator import CheckpointCoordinator
    from millpond.runtime.stop_request import StopRequest

__all__ = ("JobEnding",)


@final
class JobEnding:
    """Belongs to the job manager's thread.

    A job with checkpoints ends with one that covers all it has read, since what two-phase sinks
    hold becomes visible only then; a stop ends with a savepoint instead.

    Args:
        coordinator: takes the last snapshot.
        store: of the job's checkpoints.
        send: reaches the worker.
        fail: makes the attempt fail, unless it has failed already.
        cancel: cancels the job.
        checkpointing: whether the job takes checkpoints.

    Attributes:
        begun: the present attempt is told to end: nothing else may end it.
        cancelled: how the job was cancelled, if it was: CANCELED or SUSPENDED.
        savepoint_path: of the savepoint that the job was stopped or cancelled with.
    """

    def __init__(
        self,
        coordinator: CheckpointCoordinator,
        store: CompletedCheckpointStore,
        send: Callable[[ToWorker], None],
        fail: Callable[[Exception], None],
        cancel: Callable[[], None],
        *,
        checkpointing: bool,
    ) -> None:
        self._coordinator = coordinator
        self._store = store
        self._send = send
        self._fail = fail
        self._cancel = cancel
        self._checkpointing = checkpointing
        self._stop: StopRequest | None = None
        self._last_checkpoint: Future[CompletedCheckpoint] | None = None
        self._input_is_over = False
        self.begun = False
        self.cancelled: JobStatus | None = None
        self.savepoint_path: str | None = None

    def new_attempt(self) -> None:
        """Nothing ends the next attempt yet."""
        self.begun = False
        self._last_checkpoint = None
        self._input_is_over = False

    # -- what may end it

    def cancel(self, status: JobStatus) -> None:
        """End at once, as CANCELED or SUSPENDED."""
        self.cancelled = status
        self.begun = True
        self._send(Cancel())

    def stop(self, stop: StopRequest, status: JobStatus) -> None:
        """End with a savepoint: stop the sources for it, or cancel the job after it.

        A job whose cancelling savepoint fails goes on, and so does one that cannot be stopped since
        there is no place for the savepoint.
        """
        if self._stop is not None or self.begun or status is not JobStatus.RUNNING:
            stop.result.set_exception(
                CheckpointError(f"The job cannot be stopped: it is {status.name}.")
            )
            return
        self._stop = stop
        if stop.cancels:
            self._coordinator.suspend()
            stop.savepoint = self._coordinator.request(stop.snapshot_options, stop.target_directory)
            return
        try:
            self._coordinator.check_savepoint_place(stop.target_directory)
        except CheckpointError as error:
            # Stopped sources do not start again: a slip in a path must not end the job.
            self.give_up_stop(error)
            return
        self._send(StopSources(stop.drain))
        if not stop.drain:
            self._take_savepoint(stop)

    def input_ended(self) -> None:
        """All sources have come to their end."""
        self._input_is_over = True
        if self.begun:
            return
        if self._stop is not None:
            if self._stop.drain and self._stop.savepoint is None:
                self._take_savepoint(self._stop)
        elif self._checkpointing:
            self._last_checkpoint = self._coordinator.request_last()
        else:
            self._finish()

    def _take_savepoint(self, stop: StopRequest) -> None:
        stop.savepoint = self._coordinator.request_last(
            stop.snapshot_options, stop.target_directory
        )

    # -- and then

    def watch(self) -> None:
        """Let the job finish when its last snapshot is complete."""
        if self.begun:
            return
        stop, last = self._stop, self._last_checkpoint
        if stop is not None and stop.savepoint is not None and stop.savepoint.done():
            self._savepoint_done(stop, stop.savepoint)
        elif last is not None and last.done():
            self._last_checkpoint = None
            if last.exception() is None:
                self._finish()
            else:
                # If that was tolerated: the job may only end with one that is complete.
                self.input_ended()

    def _savepoint_done(self, stop: StopRequest, savepoint: Future[CompletedCheckpoint]) -> None:
        error = savepoint.exception()
        if error is not None and stop.cancels:
            self._go_on(error)
            return
        if error is not None:
            failure = JobExecutionError(f"Stop with savepoint failed: {error}")
            failure.__cause__ = error
            self._fail(failure)
            self.give_up_stop(error)
            return
        completed = savepoint.result()
        if stop.cancels:
            self.savepoint_path = completed.location.directory
            self._cancel()
            return
        self._store.settle(completed)
        self.savepoint_path = completed.location.directory
        self._send(NotifyComplete(completed.checkpoint_id))
        self._finish()

    def _go_on(self, error: BaseException) -> None:
        self._coordinator.resume()
        self.give_up_stop(error)
        if self._input_is_over:
            self.input_ended()

    def _finish(self) -> None:
        self.begun = True
        self._send(Finish())

    # -- answers

    def give_up_stop(self, error: BaseException) -> None:
        """Tell whoever stopped the job that it did not stop."""
        stop, self._stop = self._stop, None
        if stop is not None and not stop.result.done():
            stop.result.set_exception(error)

    def answer_stop(self, status: JobStatus) -> None:
        """Tell whoever stopped the job where its savepoint is, now that the job is over."""
        stop = self._stop
        if stop is None or self.savepoint_path is None:
            return
        if stop.cancels or status is JobStatus.FINISHED:
            stop.result.set_result(self.savepoint_path)
