"""`LocalEngine`: the ways to run a program that all engines of this machine share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

from millpond.engines.cache_writing import CacheWriting
from millpond.engines.job_claim import claim_job, release_job
from millpond.engines.job_client import ThreadJobClient
from millpond.engines.job_run import CollectingListener, collect_results, result_of
from millpond.engines.termination import Termination
from millpond.runtime.job_manager import JobListener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.common.job_client import JobClient
    from millpond.common.job_execution_result import JobExecutionResult
    from millpond.datastream.engine import Program
    from millpond.engines.job_run import JobRun
    from millpond.runtime.job_outcome import JobOutcome

__all__ = ("LocalEngine",)


class LocalEngine(ABC):
    """Runs jobs whose manager is in this process; where their tasks are is the subclass's part."""

    def __init__(self, listener: JobListener | None, job_id: str | None) -> None:
        self._listener = listener or JobListener()
        self._job_id = job_id

    def execute(self, program: Program) -> JobExecutionResult:
        """Run to the end; raises the job's failure."""
        return result_of(self.run(program))

    def execute_async(self, program: Program) -> JobClient:
        """Run the job manager in a thread of its own; signals stop it too."""
        opened = self._prepare(program, self._listener)
        termination = Termination.of(opened.manager, program.configuration, in_thread=True)
        return ThreadJobClient(opened, termination)

    def collect(self, program: Program, collect_id: str) -> Iterator[Any]:
        """Run while results are asked for; they never pile up."""
        results: deque[Any] = deque()
        return collect_results(
            self._prepare(program, CollectingListener(collect_id, results)), results
        )

    def run(self, program: Program) -> JobOutcome:
        """Run to the end and return how it ended, failures included.

        Raises:
            KeyboardInterrupt: SIGINT stopped the job.
            SystemExit: SIGTERM did; the code is 143.
        """
        opened = self._prepare(program, self._listener)
        termination = Termination.of(opened.manager, program.configuration)
        with termination, opened as run:
            outcome = run.manager.run()
        termination.report(outcome)
        termination.raise_signal(outcome)
        return outcome

    def _prepare(self, program: Program, listener: JobListener) -> JobRun:
        caches = CacheWriting(program)
        claim = claim_job(program, self._job_id)
        try:
            run = self._open(caches.program, listener)
        except BaseException:
            if claim is not None:
                release_job(claim)
            raise
        run.caches, run.claim = caches, claim
        return run

    @abstractmethod
    def _open(self, program: Program, listener: JobListener) -> JobRun:
        """Make the job manager of a program; nothing runs yet."""
