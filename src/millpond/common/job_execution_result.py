"""`JobExecutionResult`: what is known of a job after it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.common.job_id import JobID

__all__ = ("JobExecutionResult",)


@final
class JobExecutionResult:
    """Id, run time in milliseconds and accumulators of a job that has ended."""

    __slots__ = ("_accumulators", "_job_id", "_net_runtime_ms")

    def __init__(
        self, job_id: JobID, net_runtime_ms: int, accumulators: Mapping[str, Any] | None = None
    ) -> None:
        self._job_id = job_id
        self._net_runtime_ms = net_runtime_ms
        self._accumulators = dict(accumulators or {})

    def get_job_id(self) -> JobID:
        """Return the job's id."""
        return self._job_id

    def is_job_execution_result(self) -> bool:
        """Return True: the job has ended, it was not merely submitted."""
        return True

    def get_net_runtime(self) -> int:
        """Return the run time in milliseconds, without waiting before the start."""
        return self._net_runtime_ms

    def get_accumulator_result(self, accumulator_name: str) -> Any:
        """Return the value of an accumulator, None if there is none of that name."""
        return self._accumulators.get(accumulator_name)

    def get_all_accumulator_results(self) -> dict[str, Any]:
        """Return the values of all accumulators."""
        return dict(self._accumulators)

    def __str__(self) -> str:
        names = ", ".join(sorted(self._accumulators)) or "none"
        return (
            f"Program execution finished\nJob with JobID {self._job_id} has finished.\n"
            f"Job Runtime: {self._net_runtime_ms} ms\nAccumulators: {names}"
        )
