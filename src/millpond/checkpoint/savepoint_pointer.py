"""The file that names the savepoint a job stopped at, which stands outside the job's directory."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, final

from millpond.checkpoint.checksum import checksum_of
from millpond.checkpoint.storage_failure import reported
from millpond.errors import SnapshotCorruptedError
from millpond.filesystem import get_file_system
from millpond.filesystem.path import directory_of

if TYPE_CHECKING:
    from millpond.checkpoint.completed import CompletedCheckpoint
    from millpond.filesystem import FileSystemResolver

__all__ = ("SavepointPointer",)

_logger = logging.getLogger(__name__)


@final
class SavepointPointer:
    """One small file, replaced whole: the savepoint's URL, its id, and their CRC-32C.

    Used by one thread.
    """

    __slots__ = ("_file_system", "_path")

    def __init__(self, url: str, *, resolve: FileSystemResolver = get_file_system) -> None:
        self._file_system, self._path = resolve(url)

    def put(self, savepoint: CompletedCheckpoint) -> None:
        """Name a savepoint, durably. Raises CheckpointStorageError."""
        line = f"{savepoint.checkpoint_id} {savepoint.external_path}\n".encode()
        data = line + f"{checksum_of(line).crc32c:08x}\n".encode()
        with reported("write the pointer to the savepoint", self._file_system.url(self._path)):
            self._file_system.make_directories(directory_of(self._path))
            self._file_system.write_bytes(self._path, data)

    def read(self) -> str | None:
        """Return the URL of the savepoint, None if none was named.

        Raises:
            SnapshotCorruptedError: the file is damaged.
            CheckpointStorageError: it cannot be read.
        """
        url = self._file_system.url(self._path)
        with reported("read the pointer to the savepoint", url):
            try:
                data = self._file_system.read_bytes(self._path)
            except FileNotFoundError:
                return None
        line, newline, rest = data.partition(b"\n")
        if rest != f"{checksum_of(line + newline).crc32c:08x}\n".encode():
            raise SnapshotCorruptedError(
                "The pointer to the savepoint that the job stopped at is damaged.",
                hint="Delete it and name the savepoint to start from: --from-savepoint PATH.",
                path=url,
            )
        return line.decode().partition(" ")[2]

    def clear(self) -> None:
        """Delete the file; a failure is logged."""
        try:
            self._file_system.delete(self._path)
        except OSError as error:
            _logger.warning("Cannot delete %s: %s", self._file_system.url(self._path), error)
