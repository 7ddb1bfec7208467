"""Where snapshots go: a directory behind a URL, or the job manager's memory."""

from __future__ import annotations

import random as random_module
from random import Random
from typing import TYPE_CHECKING, Protocol, final

from millpond.checkpoint.completed import CompletedCheckpoint
from millpond.checkpoint.directory import CheckpointDirectory
from millpond.checkpoint.location import CheckpointLocation
from millpond.errors import CheckpointError, ConfigurationError
from millpond.filesystem import FileSystemResolver, get_file_system

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.checkpoint.checksum import FileChecksum
    from millpond.checkpoint.storage_failure import Retry
    from millpond.formats.handles import CheckpointMetadata

__all__ = (
    "DEFAULT_INLINE_THRESHOLD_BYTES",
    "DEFAULT_MAX_STATE_SIZE_BYTES",
    "DEFAULT_WRITE_BUFFER_BYTES",
    "CheckpointStorage",
    "FileSystemCheckpointStorage",
    "JobManagerCheckpointStorage",
)

DEFAULT_MAX_STATE_SIZE_BYTES = 5 * 1024 * 1024
DEFAULT_INLINE_THRESHOLD_BYTES = 20 * 1024
DEFAULT_WRITE_BUFFER_BYTES = 4096
_MAX_INLINE_THRESHOLD_BYTES = 1024 * 1024


class CheckpointStorage(Protocol):
    """The job manager's side of checkpoint files. Used by one thread."""

    @property
    def directory(self) -> CheckpointDirectory | None:
        """The job's checkpoint directory; None when checkpoints stay in memory."""
        ...

    @property
    def savepoint_directory(self) -> str | None:
        """Where savepoints go unless told otherwise."""
        ...

    def initialize(self) -> None:
        """Create the job's directories. Raises CheckpointStorageError if that cannot be."""
        ...

    def location(self, checkpoint_id: int) -> CheckpointLocation:
        """Prepare the place of a checkpoint. Raises CheckpointStorageError."""
        ...

    def savepoint_location(
        self, checkpoint_id: int, target_directory: str | None = None
    ) -> CheckpointLocation:
        """Prepare the place of a savepoint.

        Raises:
            CheckpointError: no target is given and none is configured.
            CheckpointStorageError: it cannot be created.
        """
        ...

    def complete(
        self,
        location: CheckpointLocation,
        metadata: CheckpointMetadata,
        checksums: Mapping[str, FileChecksum],
    ) -> CompletedCheckpoint:
        """Write `_metadata` last and whole; from then on the checkpoint exists.

        Args:
            location: what `location` or `savepoint_location` returned.
            metadata: what all subtasks acknowledged.
            checksums: of every file that the metadata refer to, reused ones included.

        Raises:
            CheckpointStorageError: it could not be written; call `discard`.
            CheckpointError: a file has no checksum.
        """
        ...

    def discard(self, location: CheckpointLocation) -> bool:
        """Delete a checkpoint's own files, `_metadata` first; failures are logged.

        Returns:
            Whether it is invisible now, so that files it refers to may be deleted.
        """
        ...


@final
class FileSystemCheckpointStorage:
    """Checkpoints in `<root>/<job id>/chk-<n>` (FsCheckpointStorageAccess).

    Args:
        root_url: the checkpoints directory: a bare path or a URL.
        job_id: 32 hex digits.
        savepoint_directory: where savepoints go unless told otherwise.
        inline_threshold_bytes: streams up to this length go into `_metadata`; 0 to 1 MiB.
        write_buffer_bytes: buffer of a stream; at least the threshold is used.
        create_subdirectory: False leaves the job id out of the path.
        resolve: how a URL becomes a file system.
        random: where savepoint names come from; None is the system's randomness.
        retry: how often the metadata are tried to be written.

    Raises:
        ConfigurationError: a value is out of its range, or the root is no usable path.
    """

    __slots__ = (
        "_directory",
        "_inline_threshold_bytes",
        "_savepoint_directory",
        "_write_buffer_bytes",
    )

    def __init__(
        self,
        root_url: str,
        job_id: str,
        *,
        savepoint_directory: str | None = None,
        inline_threshold_bytes: int = DEFAULT_INLINE_THRESHOLD_BYTES,
        write_buffer_bytes: int = DEFAULT_WRITE_BUFFER_BYTES,
        create_subdirectory: bool = True,
        resolve: FileSystemResolver = get_file_system,
        random: Random | None = None,
        retry: Retry | None = None,
    ) -> None:
        if not 0 <= inline_threshold_bytes <= _MAX_INLINE_THRESHOLD_BYTES:
            raise ConfigurationError(
                "The inline threshold must be between 0 and 1 MiB.", value=inline_threshold_bytes
            )
        if write_buffer_bytes < 0:
            raise ConfigurationError(
                "The write buffer must not be negative.", value=write_buffer_bytes
            )
        self._directory = CheckpointDirectory(
            root_url,
            job_id,
            create_subdirectory=create_subdirectory,
            resolve=resolve,
            random=random or random_module.SystemRandom(),
            retry=retry,
        )
        self._savepoint_directory = savepoint_directory
        self._inline_threshold_bytes = inline_threshold_bytes
        self._write_buffer_bytes = write_buffer_bytes

    @property
    def directory(self) -> CheckpointDirectory:
        """The job's checkpoint directory."""
        return self._directory

    @property
    def savepoint_directory(self) -> str | None:
        """Where savepoints go unless told otherwise."""
        return self._savepoint_directory

    def initialize(self) -> None:
        """Create the job's directories and prove that files can be written."""
        self._directory.initialize()

    def location(self, checkpoint_id: int) -> CheckpointLocation:
        """Create `chk-<n>`; what a crashed attempt with this number left there is deleted."""
        return CheckpointLocation(
            checkpoint_id,
            self._directory.create_checkpoint(checkpoint_id),
            self._directory.shared_url,
            inline_threshold_bytes=self._inline_threshold_bytes,
            write_buffer_bytes=self._write_buffer_bytes,
        )

    def savepoint_location(
        self, checkpoint_id: int, target_directory: str | None = None
    ) -> CheckpointLocation:
        """Create `savepoint-<job>-<random>` in the target directory."""
        target = _savepoint_target(target_directory, self._savepoint_directory)
        return CheckpointLocation(
            checkpoint_id,
            self._directory.create_savepoint(target),
            is_savepoint=True,
            inline_threshold_bytes=self._inline_threshold_bytes,
            write_buffer_bytes=self._write_buffer_bytes,
        )

    def complete(
        self,
        location: CheckpointLocation,
        metadata: CheckpointMetadata,
        checksums: Mapping[str, FileChecksum],
    ) -> CompletedCheckpoint:
        """Write the checksum file, then `_metadata`, each synced and renamed into place."""
        return self._directory.publish(location, metadata, checksums)

    def discard(self, location: CheckpointLocation) -> bool:
        """Delete a checkpoint's own files; return whether it is invisible now."""
        return self._directory.discard(location)


@final
class JobManagerCheckpointStorage:
    """Checkpoints in the job manager's memory (JobManagerCheckpointStorage).

    Args:
        job_id: 32 hex digits.
        max_state_size_bytes: limit of one stream, that is of one subtask's keyed or operator
            state; 1 or more.
        checkpoint_root_url: if set, `_metadata` with all state inside is written there too.
        savepoint_directory: where savepoints go unless told otherwise.
        resolve: how a URL becomes a file system.
        random: where savepoint names come from; None is the system's randomness.
        retry: how often the metadata are tried to be written.

    Raises:
        ConfigurationError: the limit is not positive, or the root is no usable path.
    """

    __slots__ = ("_directory", "_max_state_size_bytes", "_savepoint_directory", "_writer")

    def __init__(
        self,
        job_id: str,
        *,
        max_state_size_bytes: int = DEFAULT_MAX_STATE_SIZE_BYTES,
        checkpoint_root_url: str | None = None,
        savepoint_directory: str | None = None,
        resolve: FileSystemResolver = get_file_system,
        random: Random | None = None,
        retry: Retry | None = None,
    ) -> None:
        if max_state_size_bytes <= 0:
            raise ConfigurationError(
                "The maximum state size must be positive.", value=max_state_size_bytes
            )
        self._max_state_size_bytes = max_state_size_bytes
        self._savepoint_directory = savepoint_directory
        # Savepoints are written even when checkpoints have no directory.
        self._writer = CheckpointDirectory(
            checkpoint_root_url or "memory:///unused",
            job_id,
            resolve=resolve,
            random=random or random_module.SystemRandom(),
            retry=retry,
        )
        self._directory = self._writer if checkpoint_root_url is not None else None

    @property
    def directory(self) -> CheckpointDirectory | None:
        """The job's checkpoint directory; None when checkpoints stay in memory."""
        return self._directory

    @property
    def savepoint_directory(self) -> str | None:
        """Where savepoints go unless told otherwise."""
        return self._savepoint_directory

    def initialize(self) -> None:
        """Create the job's directory, if one is configured."""
        if self._directory is not None:
            self._directory.initialize()

    def location(self, checkpoint_id: int) -> CheckpointLocation:
        """Prepare a checkpoint; without a directory there is nothing to prepare."""
        directory = None
        if self._directory is not None:
            directory = self._directory.create_checkpoint(checkpoint_id)
        return CheckpointLocation(
            checkpoint_id, directory, max_state_size_bytes=self._max_state_size_bytes
        )

    def savepoint_location(
        self, checkpoint_id: int, target_directory: str | None = None
    ) -> CheckpointLocation:
        """Create `savepoint-<job>-<random>`; it will hold `_metadata` and nothing else."""
        target = _savepoint_target(target_directory, self._savepoint_directory)
        return CheckpointLocation(
            checkpoint_id,
            self._writer.create_savepoint(target),
            is_savepoint=True,
            max_state_size_bytes=self._max_state_size_bytes,
        )

    def complete(
        self,
        location: CheckpointLocation,
        metadata: CheckpointMetadata,
        checksums: Mapping[str, FileChecksum],
    ) -> CompletedCheckpoint:
        """Write `_metadata` if there is a place for it."""
        if location.directory is None:
            return CompletedCheckpoint(location.checkpoint_id, metadata, location, dict(checksums))
        return self._writer.publish(location, metadata, checksums)

    def discard(self, location: CheckpointLocation) -> bool:
        """Delete a checkpoint's directory, if it has one; return whether it is invisible now."""
        return location.directory is None or self._writer.discard(location)


def _savepoint_target(given: str | None, configured: str | None) -> str:
    target = given or configured
    if not target:
        raise CheckpointError(
            "No directory for the savepoint is given.",
            hint="Name one in the request, or set execution.checkpointing.savepoint-dir.",
        )
    return target
