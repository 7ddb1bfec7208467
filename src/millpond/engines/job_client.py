"""`ThreadJobClient`: the handle of a job whose manager runs in a thread of this process."""

from __future__ import annotations

import atexit
import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, final

from millpond.common.completable_future import CompletableFuture
from millpond.common.job_client import JobClient
from millpond.common.job_id import JobID
from millpond.common.job_status import JobStatus
from millpond.engines.job_run import JobRun, result_of
from millpond.engines.savepoint_limits import savepoint_limits
from millpond.state.contract.snapshot import SnapshotKind, SnapshotOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.engines.termination import Termination
    from millpond.runtime.job_outcome import JobOutcome

__all__ = ("ThreadJobClient",)

_logger = logging.getLogger(__name__)


@final
class ThreadJobClient(JobClient):
    """Starts the job when it is made. The thread ends with the process, with a warning."""

    def __init__(self, run: JobRun, termination: Termination) -> None:
        self._run = run
        self._termination = termination
        self._manager = run.manager
        self._asked = False
        self._done: Future[JobOutcome] = Future()
        # Entered here, in the program's thread: only the main thread may listen to signals.
        termination.__enter__()
        atexit.register(self._warn)
        threading.Thread(target=self._work, name="millpond-job", daemon=True).start()

    def _work(self) -> None:
        try:
            with self._termination, self._run:
                outcome = self._manager.run()
            self._termination.report(outcome)
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            self._done.set_exception(error)
        else:
            # First, so that the main thread ends by the signal and not by the job's cancellation.
            self._termination.hand_over()
            self._done.set_result(outcome)

    def _warn(self) -> None:
        name = self._manager.coordinator.graph.name
        if not self._done.done():
            _logger.warning(
                "The program ends, and job %r with it. Wait for it with "
                "get_job_execution_result().result(), or use execute().",
                name,
            )
        elif self._manager.status is JobStatus.FAILED and not self._asked:
            try:
                result_of(self._done.result())
            except BaseException:
                text = "Job %r failed, and its result was not asked for."
                _logger.exception(text, name)

    def get_job_id(self) -> JobID:
        """Return the job's id."""
        return JobID.from_hex(self._run.job_id)

    def get_job_status(self) -> CompletableFuture:
        """Return a future of the job's JobStatus; it is done."""
        return CompletableFuture.completed(self._manager.status)

    def cancel(self) -> CompletableFuture:
        """Cancel the job; the future is done when it has stopped."""
        self._manager.cancel()
        return CompletableFuture(_then(self._done, lambda _: None))

    def stop_with_savepoint(
        self, advance_to_end_of_event_time: bool, savepoint_directory: str | None = None
    ) -> CompletableFuture:
        """Stop the sources, take a savepoint, end the job; the future holds the path."""
        return CompletableFuture(
            self._manager.stop(savepoint_directory, drain=advance_to_end_of_event_time)
        )

    def trigger_savepoint(self, savepoint_directory: str | None = None) -> CompletableFuture:
        """Take a savepoint while the job goes on; the future holds its path."""
        options = SnapshotOptions(kind=SnapshotKind.SAVEPOINT)
        completed = self._manager.savepoint(savepoint_directory, options)
        return CompletableFuture(_then(completed, lambda savepoint: savepoint.location.directory))

    def cancel_with_savepoint(self, savepoint_directory: str | None = None) -> CompletableFuture:
        """Take a savepoint, then cancel the job; the future holds the path."""
        return CompletableFuture(self._manager.cancel_with_savepoint(savepoint_directory))

    def trigger_checkpoint(self) -> CompletableFuture:
        """Take a checkpoint now; the future holds its path."""
        completed = self._manager.checkpoint()
        return CompletableFuture(_then(completed, lambda checkpoint: checkpoint.external_path))

    def get_savepoint_limits(self, savepoint_path: str) -> CompletableFuture:
        """Return a future of what Apache Flink cannot use of a savepoint; it is done."""
        graph = self._manager.coordinator.graph
        return CompletableFuture.completed(savepoint_limits(graph, savepoint_path))

    def get_accumulators(self) -> CompletableFuture:
        """Return a future of the accumulators; Python functions have none, as in PyFlink."""
        return CompletableFuture.completed({})

    def get_job_execution_result(self) -> CompletableFuture:
        """Return a future of the JobExecutionResult; a failed job fails it."""
        self._asked = True
        return CompletableFuture(_then(self._done, result_of))


def _then(source: Future[Any], convert: Callable[[Any], Any]) -> Future[Any]:
    target: Future[Any] = Future()

    def copy(done: Future[Any]) -> None:
        try:
            target.set_result(convert(done.result()))
        except BaseException as error:  # noqa: BLE001 - handed on
            target.set_exception(error)

    source.add_done_callback(copy)
    return target
