"""What went wrong with a checkpoint's files, in words, and what may be tried again."""

from __future__ import annotations

import contextlib
import errno
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from millpond.clock import Clock, SystemClock
from millpond.errors import CheckpointStorageError, MillpondError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from millpond.filesystem import FileSystem

__all__ = ("Retry", "delete_quietly", "reported")

_logger = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

_HINTS = {
    errno.ENOSPC: "Free space on the device, or choose another directory.",
    errno.EDQUOT: "The quota is used up; free space or choose another directory.",
    errno.EACCES: "Give the user of this process the permission, or choose another directory.",
    errno.EPERM: "Give the user of this process the permission, or choose another directory.",
    errno.EROFS: "The file system is mounted read-only; choose another directory.",
    errno.ENOTDIR: "A part of the path is a file; choose another directory.",
    errno.EEXIST: "A part of the path is a file; choose another directory.",
    errno.ENOENT: "The directory is missing; was it deleted while the job ran?",
    errno.ENAMETOOLONG: "Choose a shorter directory.",
}
_PERMANENT = frozenset((*_HINTS, errno.EISDIR, errno.ENOTEMPTY, errno.EINVAL))


@contextlib.contextmanager
def reported(action: str, path: str, **context: str) -> Iterator[None]:
    """Turn an OSError into CheckpointStorageError: "Cannot <action>: <reason> [path: …]".

    `context` names what else may be the cause, such as the other side of a copy.
    """
    try:
        yield
    except MillpondError:
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise CheckpointStorageError(
            f"Cannot {action}: {reason}.",
            hint=_HINTS.get(error.errno or 0),
            path=path,
            **context,
        ) from error


def delete_quietly(file_system: FileSystem, path: str) -> bool:
    """Delete a file that nobody needs; a failure is logged and leaves an orphan for `gc`."""
    try:
        file_system.delete(path)
    except OSError as error:
        _logger.warning("Cannot delete %s: %s", file_system.url(path), error)
        return False
    return True


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a transfer that failed for a passing reason is tried, with doubling delays."""

    attempts: int = 3
    initial_delay_ms: int = 100
    clock: Clock = field(default_factory=SystemClock)

    def call(self, function: Callable[[], ResultT]) -> ResultT:
        """Run the function, again after an OSError that may pass; the last error is raised."""
        delay_ms = self.initial_delay_ms
        for _ in range(self.attempts - 1):
            try:
                return function()
            except MillpondError:
                raise
            except OSError as error:
                if error.errno in _PERMANENT:
                    raise
            self.clock.sleep(delay_ms / 1000)
            delay_ms *= 2
        return function()
