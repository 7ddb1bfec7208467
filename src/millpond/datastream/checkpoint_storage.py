"""Where a job's snapshots go, as a program describes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, final

from millpond.configuration.backend_description import StorageDescription, StorageKind
from millpond.configuration.directory import checked_directory
from millpond.errors import ConfigurationError

__all__ = (
    "CheckpointStorage",
    "CustomCheckpointStorage",
    "FileSystemCheckpointStorage",
    "JobManagerCheckpointStorage",
)

MAX_FILE_STATE_THRESHOLD = 1024 * 1024


class CheckpointStorage(ABC):
    """Root of the checkpoint storages."""

    @abstractmethod
    def describe(self) -> StorageDescription:
        """Return what the program said; None where it left the configuration a say."""


@final
class JobManagerCheckpointStorage(CheckpointStorage):
    """Snapshots live in the job manager's memory; for small state and for tests.

    With a checkpoint path the metadata, state inline, is also written there.
    """

    DEFAULT_MAX_STATE_SIZE = 5 * 1024 * 1024

    def __init__(
        self, checkpoint_path: str | None = None, max_state_size: int | None = None
    ) -> None:
        """Describe the storage.

        Args:
            checkpoint_path: directory or URL for metadata.
            max_state_size: limit of one state stream in bytes; 5 MiB unless given.

        Raises:
            ConfigurationError: the size is not positive, or the path is empty or a root.
        """
        self._checkpoint_path = optional_directory(checkpoint_path, "checkpoint_path")
        self._max_state_size = checked_state_size(max_state_size)

    def get_checkpoint_path(self) -> str | None:
        """Return the directory for metadata."""
        return self._checkpoint_path

    def get_max_state_size(self) -> int:
        """Return the limit of one state stream in bytes."""
        return self._max_state_size or self.DEFAULT_MAX_STATE_SIZE

    def get_savepoint_path(self) -> str | None:
        """Return the default savepoint directory: None, the configuration has it."""
        return None

    def describe(self) -> StorageDescription:
        """Return what the program said."""
        return StorageDescription(
            StorageKind.JOB_MANAGER,
            checkpoint_directory=self._checkpoint_path,
            max_state_size_bytes=self._max_state_size,
        )


@final
class FileSystemCheckpointStorage(CheckpointStorage):
    """Snapshots live in a directory or behind a URL."""

    MAX_FILE_STATE_THRESHOLD = MAX_FILE_STATE_THRESHOLD

    def __init__(
        self,
        checkpoint_path: str | None = None,
        file_state_size_threshold: int | None = None,
        write_buffer_size: int | None = None,
    ) -> None:
        """Describe the storage.

        Args:
            checkpoint_path: directory or URL.
            file_state_size_threshold: state streams up to this size stand in the metadata;
                -1 or None takes it from the configuration.
            write_buffer_size: buffer of checkpoint streams in bytes; -1 or None likewise.

        Raises:
            ConfigurationError: the path is missing, empty or a root, or a size is out of range.
        """
        if checkpoint_path is None:
            raise ConfigurationError("The parameter 'checkpoint_path' is required.")
        self._checkpoint_path = checked_directory(checkpoint_path, "checkpoint_path")
        self._threshold = checked_threshold(file_state_size_threshold)
        self._write_buffer_size = checked_write_buffer_size(write_buffer_size)

    def get_checkpoint_path(self) -> str:
        """Return the directory of checkpoints."""
        return self._checkpoint_path

    def get_savepoint_path(self) -> str | None:
        """Return the default savepoint directory: None, the configuration has it."""
        return None

    def get_min_file_size_threshold(self) -> int:
        """Return the size in bytes up to which state stands in the metadata; 20 KiB by default."""
        return 20 * 1024 if self._threshold is None else self._threshold

    def get_write_buffer_size(self) -> int:
        """Return the buffer of checkpoint streams in bytes; 4 KiB by default."""
        return 4096 if self._write_buffer_size is None else self._write_buffer_size

    def describe(self) -> StorageDescription:
        """Return what the program said."""
        return StorageDescription(
            StorageKind.FILE_SYSTEM,
            checkpoint_directory=self._checkpoint_path,
            inline_threshold_bytes=self._threshold,
            write_buffer_size_bytes=self._write_buffer_size,
        )


@final
class CustomCheckpointStorage(CheckpointStorage):
    """A third party's checkpoint storage, by class, instance or import path."""

    def __init__(self, custom_checkpoint_storage: Any) -> None:
        self._custom = custom_checkpoint_storage

    def describe(self) -> StorageDescription:
        """Return what the program said."""
        return StorageDescription(StorageKind.CUSTOM, custom=self._custom)


def optional_directory(path: str | None, where: str) -> str | None:
    """Return a checked directory, or None for None."""
    return None if path is None else checked_directory(path, where)


def checked_state_size(size: int | None) -> int | None:
    """Return a size limit after checking that it is positive."""
    if size is not None and size <= 0:
        raise ConfigurationError(f"The maximum state size must be greater than 0, not {size}.")
    return size


def checked_threshold(threshold: int | None) -> int | None:
    """Return an inline threshold after checking its range; -1 becomes None."""
    if threshold is None or threshold == -1:
        return None
    if not 0 <= threshold <= MAX_FILE_STATE_THRESHOLD:
        raise ConfigurationError(
            f"The threshold for state in the metadata must be from 0 to "
            f"{MAX_FILE_STATE_THRESHOLD} bytes, not {threshold}."
        )
    return threshold


def checked_write_buffer_size(size: int | None) -> int | None:
    """Return a buffer size after checking that it is positive; -1 becomes None."""
    if size is None or size == -1:
        return None
    if size <= 0:
        raise ConfigurationError(f"The write buffer must have at least 1 byte, not {size}.")
    return size
