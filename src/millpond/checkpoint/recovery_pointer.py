"""`RecoveryPointer`: names a job's latest completed checkpoint, wherever that stands."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from millpond.checkpoint.checksum import checksum_of
from millpond.checkpoint.storage_failure import Retry, reported
from millpond.errors import CheckpointStorageError, SnapshotCorruptedError
from millpond.filesystem import get_file_system
from millpond.filesystem.path import join

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.checkpoint.completed import CompletedCheckpoint
    from millpond.filesystem import FileSystemResolver

__all__ = ("PointedCheckpoint", "RecoveryPointer")

_NAME = re.compile(r"checkpoint-(\d{1,19})")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PointedCheckpoint:
    """What a pointer says; `url` is None if the pointer is damaged."""

    checkpoint_id: int
    url: str | None


@final
class RecoveryPointer:
    """One small file a completed checkpoint, `checkpoint-<n>`; the highest number counts.

    The file is put only if there is none with its number (a link or a conditional put), so that of
    two processes that run the same job one fails. It holds the URL and its CRC-32C. Used by one
    thread.
    """

    __slots__ = ("_directory", "_file_system", "_retry")

    def __init__(
        self,
        url: str,
        *,
        resolve: FileSystemResolver = get_file_system,
        retry: Retry | None = None,
    ) -> None:
        self._file_system, self._directory = resolve(url)
        self._retry = retry or Retry()

    def put(self, checkpoint: CompletedCheckpoint) -> None:
        """Name a checkpoint, durably, and forget older ones. Raises CheckpointStorageError."""
        path = self._path(checkpoint.checkpoint_id)
        line = f"{checkpoint.external_path}\n".encode()
        data = line + f"{checksum_of(line).crc32c:08x}\n".encode()
        with reported("write the pointer to the checkpoint", self._file_system.url(path)):
            self._file_system.make_directories(self._directory)
            try:
                self._retry.call(lambda: self._file_system.write_bytes(path, data, exclusive=True))
            except FileExistsError as error:
                # The one that is there may be ours: the answer to an earlier try was lost.
                if self._file_system.read_bytes(path) != data:
                    raise CheckpointStorageError(
                        "Another process runs this job: it has completed the same checkpoint.",
                        hint="Give every job its own high-availability.cluster-id.",
                        path=self._file_system.url(path),
                    ) from error
        self._delete(number for number in self._numbers() if number < checkpoint.checkpoint_id)

    def read(self) -> PointedCheckpoint | None:
        """Return the latest checkpoint that was named, None if none was.

        Raises:
            CheckpointStorageError: it cannot be read.
        """
        with reported("read the pointer to the checkpoint", self._file_system.url(self._directory)):
            numbers = self._numbers()
            if not numbers:
                return None
            data = self._file_system.read_bytes(self._path(numbers[-1]))
        line, newline, rest = data.partition(b"\n")
        if rest != f"{checksum_of(line + newline).crc32c:08x}\n".encode():
            return PointedCheckpoint(numbers[-1], None)
        return PointedCheckpoint(numbers[-1], line.decode())

    def damaged(self, pointed: PointedCheckpoint) -> SnapshotCorruptedError:
        """Return the error for a pointer that cannot be read."""
        return SnapshotCorruptedError(
            "The pointer to the latest completed checkpoint is damaged.",
            path=self._file_system.url(self._path(pointed.checkpoint_id)),
        )

    def forget(self) -> None:
        """Delete all pointers; a failure is logged."""
        try:
            self._delete(self._numbers())
        except OSError as error:
            _logger.warning("Cannot list %s: %s", self._file_system.url(self._directory), error)

    def _path(self, checkpoint_id: int) -> str:
        return join(self._directory, f"checkpoint-{checkpoint_id}")

    def _numbers(self) -> list[int]:
        try:
            entries = self._file_system.list(self._directory)
        except FileNotFoundError:
            return []
        found = (_NAME.fullmatch(entry.name) for entry in entries)
        return sorted(int(match[1]) for match in found if match is not None)

    def _delete(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            try:
                self._file_system.delete(self._path(number))
            except OSError as error:
                url = self._file_system.url(self._path(number))
                _logger.warning("Cannot delete %s: %s", url, error)
