"""Names of part files: final ones, and the hidden ones of parts that are not visible yet.

A hidden name is ``.<final name>.inprogress.<lineage>.<owner>``. The *lineage* is chosen once by a
writer and handed down in its state, so that after a restart (with whatever parallelism and in
whatever process) exactly one writer knows whose left-overs it may delete. The *owner* (job,
subtask, attempt) does the same for a job that failed before its first checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millpond.datastream.connectors.sink import SinkWriterContext

__all__ = ("HiddenName", "Owner")

_MARK = ".inprogress."


@dataclass(frozen=True, slots=True)
class Owner:
    """Which run of which subtask created a part."""

    job: str
    subtask_index: int
    attempt: int

    @classmethod
    def of(cls, context: SinkWriterContext) -> Owner:
        """Return the owner that a writer's context describes."""
        return cls(context.job_id.replace(".", "_")[:12], context.subtask_index, context.attempt)

    def succeeds(self, other: Owner) -> bool:
        """Whether this is a later attempt of the same subtask of the same job."""
        same = (self.job, self.subtask_index) == (other.job, other.subtask_index)
        return same and self.attempt > other.attempt

    def __str__(self) -> str:
        return f"{self.job}-{self.subtask_index}-{self.attempt}"


@dataclass(frozen=True, slots=True)
class HiddenName:
    """The name of a part file that readers must not see yet."""

    final_name: str
    lineage: str
    owner: Owner

    def __str__(self) -> str:
        return f".{self.final_name}{_MARK}{self.lineage}.{self.owner}"

    @classmethod
    def parse(cls, name: str) -> HiddenName | None:
        """Return what a file's name says, None if it is not one of ours."""
        front, mark, back = name.rpartition(_MARK)
        lineage, dot, owner = back.partition(".")
        job, _, numbers = owner.partition("-")
        subtask, _, attempt = numbers.partition("-")
        ours = (
            mark and dot and front.startswith(".") and subtask.isdecimal() and attempt.isdecimal()
        )
        return cls(front[1:], lineage, Owner(job, int(subtask), int(attempt))) if ours else None
