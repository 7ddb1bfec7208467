"""The supervised engine: the job manager here, the tasks in a worker process that may die."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING, final

from millpond.clock import Clock, SystemClock
from millpond.engines.high_availability import JobIdentity
from millpond.engines.job_run import JobRun
from millpond.engines.job_setup import JobSetup, temporary_root
from millpond.engines.local_engine import LocalEngine
from millpond.runtime.local_state import claim_local_state
from millpond.runtime.worker_process import ProcessConnection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.datastream.engine import Program
    from millpond.engines.control_server import ControlServer
    from millpond.runtime.job_manager import JobListener, JobManager
    from millpond.runtime.worker_connection import WorkerConnection

__all__ = ("SupervisedEngine",)


@final
class SupervisedEngine(LocalEngine):
    """Runs the tasks in a process of their own and replaces it when it dies.

    Args:
        clock: the job manager's time.
        random: for the jitter of restart delays.
        listener: is told what happens.
        job_id: 32 hexadecimal digits; None: that of high availability, or a new one for each job.
        resume: go on from what an earlier process left under the same job id.
        controlled: let `millpond list`, `stop`, `cancel` and `savepoint trigger` reach the jobs.
        inherited: descriptors that stay open in the worker, such as that of a lock.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        random: Random | None = None,
        listener: JobListener | None = None,
        job_id: str | None = None,
        resume: bool = False,
        controlled: bool = False,
        inherited: Sequence[int] = (),
    ) -> None:
        super().__init__(listener, job_id)
        self._clock = clock or SystemClock()
        self._random = random or SystemRandom()
        self._resume = resume
        self._controlled = controlled
        self._inherited = inherited
        self._worker: ProcessConnection | None = None

    def kill_worker(self) -> int | None:
        """Kill the present worker as a crash would; return its process id, None without one."""
        worker = self._worker
        if worker is None:
            return None
        worker.kill()
        return worker.process_id

    def _open(self, program: Program, listener: JobListener) -> JobRun:
        identity = JobIdentity.of(program.configuration, self._job_id, resume=self._resume)
        job_id = identity.job_id
        root = temporary_root(program.configuration)

        def launch() -> WorkerConnection:
            # User modules are found where the program found them, its own directory included.
            self._worker = ProcessConnection(
                root, self._inherited, [str(Path(os.curdir).resolve())]
            )
            return self._worker

        setup = JobSetup(self._clock, self._random, listener, identity, in_one_process=False)
        manager = setup.job_manager(program, launch)
        local = claim_local_state(program.configuration.to_dict(), job_id)
        return JobRun(manager, job_id, control=self._control(manager, job_id), local_state=local)

    def _control(self, manager: JobManager, job_id: str) -> ControlServer | None:
        if not self._controlled:
            return None
        from millpond.engines.control_server import ControlServer

        return ControlServer(manager, job_id, self._clock.now_ms())
