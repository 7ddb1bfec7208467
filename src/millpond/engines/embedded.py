"""The embedded engine: everything in this process, on one thread."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from random import Random, SystemRandom
from typing import TYPE_CHECKING, final

from millpond.clock import Clock, SystemClock
from millpond.engines.high_availability import JobIdentity
from millpond.engines.job_run import JobRun
from millpond.engines.job_setup import JobSetup, temporary_root
from millpond.engines.local_engine import LocalEngine
from millpond.filesystem import FileSystemResolver, get_file_system
from millpond.runtime.local_state import claim_local_state
from millpond.runtime.worker_connection import InProcessConnection, WorkerConnection

if TYPE_CHECKING:
    from millpond.datastream.engine import Program
    from millpond.engines.control_server import ControlServer
    from millpond.runtime.job_manager import JobListener, JobManager

__all__ = ("EmbeddedEngine",)

_SNAPSHOT_THREADS = 2


@final
class EmbeddedEngine(LocalEngine):
    """Runs a job's manager and all its tasks on the calling thread.

    Snapshots are written by background threads, or by `executor` when one is given: a test that
    gives its own clock, randomness and an executor without threads repeats a run exactly.

    Args:
        clock: where processing time comes from.
        random: for the jitter of restart delays.
        executor: writes snapshots.
        listener: is told what happens.
        job_id: 32 hexadecimal digits; None: that of high availability, or a new one for each job.
        resume: go on from what an earlier process left under the same job id.
        controlled: let `millpond list`, `stop`, `cancel` and `savepoint trigger` reach the jobs.
        resolve: how the URLs of checkpoints and savepoints become file systems.
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
        controlled: bool = False,
        resolve: FileSystemResolver = get_file_system,
    ) -> None:
        super().__init__(listener, job_id)
        self._clock = clock or SystemClock()
        self._random = random or SystemRandom()
        self._executor = executor
        self._resume = resume
        self._controlled = controlled
        self._resolve = resolve

    def _open(self, program: Program, listener: JobListener) -> JobRun:
        own = None
        if self._executor is None:
            own = ThreadPoolExecutor(_SNAPSHOT_THREADS, thread_name_prefix="millpond-snapshot")
        executor = self._executor or own
        assert executor is not None
        identity = JobIdentity.of(program.configuration, self._job_id, resume=self._resume)
        job_id = identity.job_id
        root = temporary_root(program.configuration)

        def launch() -> WorkerConnection:
            return InProcessConnection(self._clock, executor, root, self._resolve)

        setup = JobSetup(
            self._clock,
            self._random,
            listener,
            identity,
            resolve=self._resolve,
        )
        manager = setup.job_manager(program, launch)
        local = claim_local_state(program.configuration.to_dict(), job_id)
        return JobRun(manager, job_id, own, self._control(manager, job_id), local)

    def _control(self, manager: JobManager, job_id: str) -> ControlServer | None:
        if not self._controlled:
            return None
        from millpond.engines.control_server import ControlServer

        return ControlServer(manager, job_id, self._clock.now_ms())
