"""`JobHistory`: what happened to a job so far, for whoever looks at it."""

from __future__ import annotations

import traceback
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from millpond.common.job_status import JobStatus
from millpond.errors import MillpondError, UserCodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.checkpoint.completed import CompletedCheckpoint
    from millpond.clock import Clock
    from millpond.runtime.message import SubtaskProgress

__all__ = ("FailureRecord", "JobHistory", "RestoredCheckpoint")

_FAILURES = 16  # Flink's web.exception-history-size
_TRACEBACK_CHARACTERS = 20_000


@final
@dataclass(frozen=True, slots=True)
class FailureRecord:
    """A failed attempt.

    `class_name` and `text` are those of what the user's function raised, where it was that.
    `operator` and `subtask` (``2/4``) are None where no task is to blame.
    """

    timestamp_ms: int
    class_name: str
    text: str
    traceback: str
    operator: str | None
    subtask: str | None

    @classmethod
    def of(cls, error: BaseException, timestamp_ms: int) -> FailureRecord:
        """Describe an error; nothing of it is kept alive."""
        cause = error.__cause__ if isinstance(error, UserCodeError) else None
        named = type(cause or error)
        place = "" if named.__module__ == "builtins" else f"{named.__module__}."
        context = error.context if isinstance(error, MillpondError) else {}
        text = "".join(traceback.format_exception(error))
        if len(text) > _TRACEBACK_CHARACTERS:
            # The end says what it was.
            text = f"…{text[-_TRACEBACK_CHARACTERS:]}"
        operator, subtask = context.get("operator"), context.get("subtask")
        return cls(
            timestamp_ms,
            f"{place}{named.__qualname__}",
            _text(error),
            text,
            None if operator is None else str(operator),
            None if subtask is None else str(subtask),
        )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - a user's class must not end the job manager
        return f"<its text cannot be made: {type(broken).__name__}>"


@final
@dataclass(frozen=True, slots=True)
class RestoredCheckpoint:
    """What an attempt went on from."""

    checkpoint_id: int
    timestamp_ms: int
    is_savepoint: bool
    external_path: str


@final
class JobHistory:
    """Written by the job manager's thread, a few times an attempt; others may read.

    Attributes:
        status_times: when the job last came into a status, in ms since the epoch, by its name.
        failures: the newest 16, oldest first.
        failure_count: how many there were.
        restored: what the latest attempt that runs went on from, if from something.
        restored_count: how many attempts went on from a checkpoint or savepoint.
        subtasks: how far the tasks of the latest attempt are; empty before they have said so.
        attempt_started_ms: when the latest attempt began; None before the first.
        attempt_running_ms: when its tasks were all open; None before.
        attempt_ended_ms: when it ended; None while it goes on.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.status_times: dict[str, int] = {JobStatus.CREATED.name: clock.now_ms()}
        self.failures: deque[FailureRecord] = deque(maxlen=_FAILURES)
        self.failure_count = 0
        self.restored: RestoredCheckpoint | None = None
        self.restored_count = 0
        self.subtasks: Sequence[SubtaskProgress] = ()
        self.attempt_started_ms: int | None = None
        self.attempt_running_ms: int | None = None
        self.attempt_ended_ms: int | None = None

    def status(self, status: JobStatus) -> None:
        """The job came into a status."""
        self.status_times[status.name] = self._clock.now_ms()

    def attempt_begins(self) -> None:
        """Tasks are about to be deployed."""
        self.attempt_ended_ms = self.attempt_running_ms = None
        self.subtasks = ()
        self.attempt_started_ms = self._clock.now_ms()

    def attempt_runs(self, restored: CompletedCheckpoint | None) -> None:
        """All tasks are open, with this state."""
        now_ms = self.attempt_running_ms = self._clock.now_ms()
        if restored is not None:
            self.restored_count += 1
            self.restored = RestoredCheckpoint(
                restored.checkpoint_id, now_ms, restored.is_savepoint, restored.external_path
            )

    def attempt_ends(self) -> None:
        """The tasks are closed."""
        self.attempt_ended_ms = self._clock.now_ms()

    def failed(self, error: BaseException) -> None:
        """An attempt failed."""
        self.failure_count += 1
        self.failures.append(FailureRecord.of(error, self._clock.now_ms()))
