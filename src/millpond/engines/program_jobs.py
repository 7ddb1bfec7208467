"""`ProgramJobs`: the jobs that one program starts, so that none is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.common.job_client import JobClient
    from millpond.common.job_execution_result import JobExecutionResult
    from millpond.datastream.engine import Engine, Program

__all__ = ("ProgramJobs",)


@final
class ProgramJobs:
    """An engine that hands everything to another one, and remembers what it was asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked = False
        self._clients: list[JobClient] = []

    def execute(self, program: Program) -> JobExecutionResult:
        """Run to the end; raises the job's failure."""
        self._asked = True
        return self._engine.execute(program)

    def execute_async(self, program: Program) -> JobClient:
        """Start the job and return its handle at once."""
        self._asked = True
        client = self._engine.execute_async(program)
        self._clients.append(client)
        return client

    def collect(self, program: Program, collect_id: str) -> Iterator[Any]:
        """Run while results are asked for."""
        self._asked = True
        return self._engine.collect(program, collect_id)

    def wait(self) -> None:
        """Wait for the jobs that the program left running; raises the failure of one.

        Raises:
            InvalidProgramError: the program started no job.
        """
        if not self._asked:
            raise InvalidProgramError(
                "The program started no job.",
                hint="Perhaps it does not call execute() on the execution environment.",
            )
        for client in self._clients:
            if not client.get_job_status().result().is_globally_terminal_state():
                client.get_job_execution_result().result()
