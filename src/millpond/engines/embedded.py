"""The embedded engine: everything in this process, on one thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, final

from millpond.clock import Clock, SystemClock
from millpond.common.completable_future import CompletableFuture
from millpond.common.configuration import Configuration
from millpond.common.job_client import JobClient
from millpond.common.job_execution_result import JobExecutionResult
from millpond.common.job_id import JobID
from millpond.common.job_status import JobStatus
from millpond.configuration.options import execution
from millpond.datastream.engine import Program
from millpond.engines.failure import raise_failure
from millpond.engines.job_setup import JobSetup, new_job_id
from millpond.runtime.job_manager import JobListener, JobManager
from millpond.runtime.job_outcome import JobOutcome
from millpond.runtime.worker_connection import InProcessConnection, WorkerConnection
from millpond.state.contract.snapshot import SnapshotKind, SnapshotOptions

__all__ = ("EmbeddedEngine", "EmbeddedJobClient")

_SNAPSHOT_THREADS = 2


@final
class EmbeddedEngine:
    """Runs a job's manager and all its tasks on the calling thread.

    Snapshots are written by background threads, or by `executor` when one is given: a test that
    gives its own clock, randomness and an executor without threads repeats a run exactly.

    Args:
        clock: where processing time comes from.
        random: for the jitter of restart delays.
        executor: writes snapshots.
        listener: is told what happens.
        job_id: 32 hexadecimal digits; None: a new one for each job.
        resume: go on from what an earlier process left under the same job id.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        random: Random | None = None,
        executor: Executor | None = None,
        listener: JobListener | None = None,
        job_id: str | None = None,
        resume: bool = False,
    ) -> None:
        self._clock = clock or SystemClock()
        self._random = random or SystemRandom()
        self._executor = executor
        self._listener = listener
        self._job_id = job_id
        self._resume = resume

    def execute(self, program: Program) -> JobExecutionResult:
        """Run to the end; raises the job's failure."""
        with _Run(self, program, self._listener or JobListener()) as run:
            return _result(run.manager.run())

    def execute_async(self, program: Program) -> JobClient:
        """Run in a thread of its own."""
        run = _Run(self, program, self._listener or JobListener())
        return EmbeddedJobClient(run)

    def collect(self, program: Program, collect_id: str) -> Iterator[Any]:
        """Run while results are asked for; they never wait in memory."""
        results: deque[Any] = deque()
        run = _Run(self, program, _Collecting(collect_id, results))
        return _collect(run, results)

    def run(self, program: Program) -> JobOutcome:
        """Run to the end and return how it ended, failures included."""
        with _Run(self, program, self._listener or JobListener()) as run:
            return run.manager.run()

    def open_run(self, program: Program, listener: JobListener) -> JobManager:
        """Make the job manager of a program, for callers that drive it themselves."""
        return _Run(self, program, listener).manager


@final
class _Run:
    """One job's manager and the threads that write its snapshots."""

    def __init__(self, engine: EmbeddedEngine, program: Program, listener: JobListener) -> None:
        self._own_executor = (
            ThreadPoolExecutor(_SNAPSHOT_THREADS, thread_name_prefix="millpond-snapshot")
            if engine._executor is None  # noqa: SLF001 - one class in two
            else None
        )
        executor = engine._executor or self._own_executor  # noqa: SLF001
        assert executor is not None
        clock = engine._clock  # noqa: SLF001
        self.job_id = engine._job_id or new_job_id()  # noqa: SLF001
        root = _temporary_root(program.configuration)

        def launch() -> WorkerConnection:
            return InProcessConnection(clock, executor, root)

        setup = JobSetup(clock, engine._random, listener, self.job_id, engine._resume)  # noqa: SLF001
        self.manager = setup.job_manager(program, launch)

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the threads."""
        if self._own_executor is not None:
            self._own_executor.shutdown()


class _Collecting(JobListener):
    def __init__(self, collect_id: str, results: deque[Any]) -> None:
        self._collect_id = collect_id
        self._results = results

    def on_collected(self, collect_id: str, values: Sequence[Any]) -> None:
        """Keep the results of one operator."""
        if collect_id == self._collect_id:
            self._results.extend(values)


def _collect(run: _Run, results: deque[Any]) -> Iterator[Any]:
    with run:
        for _ in run.manager.steps():
            while results:
                yield results.popleft()
        while results:
            yield results.popleft()
        assert run.manager.outcome is not None
        _result(run.manager.outcome)


def _result(outcome: JobOutcome) -> JobExecutionResult:
    if outcome.status is not JobStatus.FINISHED:
        raise_failure(outcome)
    return JobExecutionResult(JobID.from_hex(outcome.job_id), outcome.runtime_ms)


def _temporary_root(configuration: Configuration) -> Path | None:
    directories = configuration.get(execution.TEMPORARY_DIRECTORIES)
    if not directories:
        return None
    root = Path(directories.replace(":", ",").split(",")[0].strip())
    root.mkdir(parents=True, exist_ok=True)
    return root


@final
class EmbeddedJobClient(JobClient):
    """A job that runs in a thread of this process."""

    def __init__(self, run: _Run) -> None:
        self._manager = run.manager
        self._job_id = JobID.from_hex(run.job_id)
        self._done: Future[JobOutcome] = Future()
        self._run = run
        self._thread = threading.Thread(target=self._work, name="millpond-job", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            with self._run:
                outcome = self._manager.run()
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            self._done.set_exception(error)
        else:
            self._done.set_result(outcome)

    def get_job_id(self) -> JobID:
        """Return the job's id."""
        return self._job_id

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
        stopped = self._manager.stop(savepoint_directory, drain=advance_to_end_of_event_time)
        return CompletableFuture(stopped)

    def trigger_savepoint(self, savepoint_directory: str | None = None) -> CompletableFuture:
        """Take a savepoint while the job goes on; the future holds its path."""
        options = SnapshotOptions(kind=SnapshotKind.SAVEPOINT)
        completed = self._manager.savepoint(savepoint_directory, options)
        return CompletableFuture(_then(completed, lambda savepoint: savepoint.location.directory))

    def get_accumulators(self) -> CompletableFuture:
        """Return a future of the accumulators; Python functions have none, as in PyFlink."""
        return CompletableFuture.completed({})

    def get_job_execution_result(self) -> CompletableFuture:
        """Return a future of the JobExecutionResult; a failed job fails it."""
        return CompletableFuture(_then(self._done, _result))


def _then(source: Future[Any], convert: Any) -> Future[Any]:
    target: Future[Any] = Future()

    def copy(done: Future[Any]) -> None:
        try:
            target.set_result(convert(done.result()))
        except BaseException as error:  # noqa: BLE001 - handed on
            target.set_exception(error)

    source.add_done_callback(copy)
    return target
