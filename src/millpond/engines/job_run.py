"""`JobRun`: one job's manager with what it holds open, and the ways to bring it to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

from millpond.common.job_execution_result import JobExecutionResult
from millpond.common.job_id import JobID
from millpond.common.job_status import JobStatus
from millpond.engines.failure import raise_failure
from millpond.engines.job_claim import release_job
from millpond.engines.termination import Termination
from millpond.filesystem.owner import disown, remove_owned
from millpond.runtime.job_manager import JobListener, JobManager

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor
    from pathlib import Path
    from types import TracebackType

    from millpond.engines.cache_writing import CacheWriting
    from millpond.engines.control_server import ControlServer
    from millpond.runtime.job_outcome import JobOutcome

__all__ = ("CollectingListener", "JobRun", "collect_results", "result_of")


@final
class JobRun:
    """A job that is ready to run; a context manager, which waits for `executor`'s threads.

    `control` lets other processes steer the job meanwhile; `local_state` goes with the job.

    Attributes:
        caches: what the job keeps for later ones, if it does.
        claim: a directory of this process while the job runs, if it has one.
    """

    def __init__(
        self,
        manager: JobManager,
        job_id: str,
        executor: Executor | None = None,
        control: ControlServer | None = None,
        local_state: Path | None = None,
    ) -> None:
        self.manager = manager
        self.job_id = job_id
        self._executor = executor
        self._control = control
        self._local_state = local_state
        self.caches: CacheWriting | None = None
        self.claim: Path | None = None

    def __enter__(self) -> Self:
        if self._control is not None:
            self._control.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._control is not None:
            self._control.__exit__(kind, error, traceback)
        if self._executor is not None:
            self._executor.shutdown()
        if self._local_state is not None:
            is_over = self.manager.status.is_globally_terminal_state()
            (remove_owned if is_over else disown)(self._local_state)
        if self.caches is not None:
            self.caches.end(finished=self.manager.status is JobStatus.FINISHED)
        if self.claim is not None:
            release_job(self.claim)


@final
class CollectingListener(JobListener):
    """Keeps the results of one collecting operator."""

    def __init__(self, collect_id: str, results: deque[Any]) -> None:
        self._collect_id = collect_id
        self._results = results

    def on_collected(self, collect_id: str, values: Sequence[Any]) -> None:
        """Keep them."""
        if collect_id == self._collect_id:
            self._results.extend(values)


def collect_results(run: JobRun, results: deque[Any]) -> Iterator[Any]:
    """Run a job a step at a time, only while results are asked for; so they never pile up."""
    with Termination(None), run:
        for _ in run.manager.steps():
            while results:
                yield results.popleft()
        while results:
            yield results.popleft()
        assert run.manager.outcome is not None
        result_of(run.manager.outcome)


def result_of(outcome: JobOutcome) -> JobExecutionResult:
    """Return the result of a finished job; raise the failure of any other."""
    if outcome.status is not JobStatus.FINISHED:
        raise_failure(outcome)
    return JobExecutionResult(JobID.from_hex(outcome.job_id), outcome.runtime_ms)
