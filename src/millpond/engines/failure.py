"""How a job's failure reaches the program: the user's own exception, or a named error."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from millpond.common.job_status import JobStatus
from millpond.errors import JobExecutionError, MillpondError, UserCodeError

if TYPE_CHECKING:
    from types import TracebackType

    from millpond.runtime.job_outcome import JobOutcome

__all__ = ("raise_failure",)


def raise_failure(outcome: JobOutcome) -> NoReturn:
    """Raise what ended a job.

    A user function's exception is raised as it was, its traceback starting in the user's code; a
    note names operator, subtask and key.
    """
    error = outcome.error
    if isinstance(error, UserCodeError) and error.__cause__ is not None:
        cause = error.__cause__
        where = ", ".join(f"{name}: {value}" for name, value in error.context.items())
        function = error.message.split(" raised ")[0].replace("The key", "the key", 1)
        cause.add_note(f"Raised in {function} [{where}]")
        raise cause.with_traceback(_user_frames(cause.__traceback__))
    if isinstance(error, MillpondError):
        raise error
    status = "was cancelled" if outcome.status is JobStatus.CANCELED else "failed"
    raise JobExecutionError(f"The job {status}: {error}", job_id=outcome.job_id) from error


def _user_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Drop the engine's frames in front of the user's first one."""
    frame = traceback
    while frame is not None:
        module = frame.tb_frame.f_globals.get("__name__", "")
        if not module.startswith("millpond."):
            return frame
        frame = frame.tb_next
    return traceback
