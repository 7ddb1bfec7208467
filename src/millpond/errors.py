"""Every exception that Millpond raises.

One root, `MillpondError`; a message says what happened, `context` says where (operator, state,
key group, checkpoint, path) and `hint` says what to do. The classes inherit the matching builtin
too, so that ``except FileNotFoundError`` works as a Python user expects.
"""

from __future__ import annotations

__all__ = (
    "CheckpointDeclinedError",
    "CheckpointError",
    "CheckpointNotFoundError",
    "CheckpointStorageError",
    "CheckpointTimeoutError",
    "ConfigurationError",
    "ConnectorError",
    "DataFileError",
    "FormatError",
    "InvalidProgramError",
    "JobCancelledError",
    "JobExecutionError",
    "JobNotFoundError",
    "JobRequestError",
    "KeyGroupOutOfRangeError",
    "MillpondError",
    "MissingDependencyError",
    "NoCurrentKeyError",
    "RestoreError",
    "SavepointMismatchError",
    "SerializationError",
    "SerializerIncompatibleError",
    "SnapshotCorruptedError",
    "StateError",
    "StateSizeExceededError",
    "StateStoreError",
    "StateTypeError",
    "UnsupportedOperationError",
    "UserCodeError",
    "WorkerLostError",
)


class MillpondError(Exception):
    """Root of all errors.

    Attributes:
        message: what happened, one sentence.
        hint: what to do about it, or None.
        context: where it happened, as machine-readable pairs (operator, state, path …).
    """

    def __init__(self, message: str, *, hint: str | None = None, **context: object) -> None:
        self.message = message
        self.hint = hint
        self.context = {name: value for name, value in context.items() if value is not None}
        super().__init__(message)

    def __str__(self) -> str:
        text = self.message
        if self.context:
            where = ", ".join(
                f"{name.replace('_', ' ')}: {value}" for name, value in self.context.items()
            )
            text = f"{text} [{where}]"
        return f"{text} {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross from the worker process to the job manager; keyword arguments would be lost.
        return _rebuild, (type(self), self.message, self.hint, self.context)


def _rebuild(
    kind: type[MillpondError], message: str, hint: str | None, context: dict[str, object]
) -> MillpondError:
    error = kind.__new__(kind)
    MillpondError.__init__(error, message, hint=hint, **context)
    return error


class ConfigurationError(MillpondError, ValueError):
    """An option has an unknown name, a malformed value or a value out of its range."""


class InvalidProgramError(MillpondError, ValueError):
    """The job graph cannot run; found while the program is still describing it."""


class UnsupportedOperationError(MillpondError, RuntimeError):
    """What was asked for has no meaning in Millpond; the hint says what to use instead."""


class MissingDependencyError(MillpondError, ImportError):
    """A package that only some users need is not installed; the hint is the install command."""


class SerializationError(MillpondError, TypeError):
    """A value does not fit the type that was declared for it, or bytes do not decode."""


class FormatError(MillpondError, ValueError):
    """Bytes are not what the format says; the context holds the offset."""


class StateError(MillpondError):
    """Keyed or operator state was used in a way that its kind forbids."""


class NoCurrentKeyError(StateError, RuntimeError):
    """Keyed state was accessed outside the processing of a record or timer."""


class StateTypeError(StateError, TypeError):
    """A state was registered again with another kind or another type."""


class SerializerIncompatibleError(StateTypeError):
    """Restored state cannot be read or migrated with the newly declared type."""


class StateStoreError(StateError, OSError):
    """The store under the state failed: disk full, directory locked, damaged database."""


class StateSizeExceededError(StateError):
    """A state stream or acknowledgement is larger than the memory backend allows."""


class CheckpointError(MillpondError):
    """A checkpoint or savepoint could not be taken."""


class CheckpointDeclinedError(CheckpointError):
    """A task could not take part in a checkpoint; the job goes on."""


class CheckpointTimeoutError(CheckpointError, TimeoutError):
    """A checkpoint was not complete within its timeout."""


class CheckpointStorageError(CheckpointError, OSError):
    """The checkpoint directory cannot be written, read or listed."""


class RestoreError(MillpondError):
    """State could not be restored from a checkpoint or savepoint."""


class CheckpointNotFoundError(RestoreError, FileNotFoundError):
    """No complete checkpoint or savepoint stands at the given path."""


class SnapshotCorruptedError(RestoreError, ValueError):
    """A file of a checkpoint is missing, truncated or has the wrong checksum."""


class SavepointMismatchError(RestoreError):
    """The snapshot and the job do not fit together: operator, parallelism or type."""


class KeyGroupOutOfRangeError(StateError, ValueError):
    """A key reached a subtask that does not own its key group."""


class ConnectorError(MillpondError, OSError):
    """A source or sink failed."""


class DataFileError(ConnectorError):
    """An input file cannot be read: missing, truncated, damaged or malformed."""


class UserCodeError(MillpondError):
    """The user's function raised.

    `__cause__` is the user's own exception with its own traceback; the message names operator,
    subtask and key.
    """


class JobExecutionError(MillpondError):
    """A job failed for good; `__cause__` says why."""


class JobCancelledError(JobExecutionError):
    """A job was cancelled before it finished."""


class JobNotFoundError(MillpondError, LookupError):
    """No running job, or more than one, has the given name."""


class JobRequestError(MillpondError):
    """A running job refused what it was asked for, or could not be reached."""


class WorkerLostError(JobExecutionError):
    """The worker process died; the job manager replaces it by the restart strategy."""
