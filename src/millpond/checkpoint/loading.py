"""Opening a checkpoint or savepoint by its path: Millpond's or Flink's, at its place or moved."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from millpond.checkpoint.checksum import checksum_of
from millpond.checkpoint.listing import checkpoint_number, list_checkpoints
from millpond.checkpoint.metadata_file import METADATA_FILE_NAME, decode_metadata_file
from millpond.checkpoint.reader import SnapshotSource, check_content, locate_file
from millpond.checkpoint.sidecar import SIDECAR_FILE_NAME, read_sidecar
from millpond.checkpoint.storage_failure import reported
from millpond.checkpoint.stream_walk import replace_streams
from millpond.errors import CheckpointNotFoundError, CheckpointStorageError, SnapshotCorruptedError
from millpond.filesystem import get_file_system
from millpond.filesystem.path import directory_of, join, name_of
from millpond.formats.handles import FileHandle, InlineHandle

if TYPE_CHECKING:
    from millpond.checkpoint.checksum import FileChecksum
    from millpond.checkpoint.reader import CheckpointReader
    from millpond.filesystem import FileSystem, FileSystemResolver
    from millpond.formats.handles import CheckpointMetadata, RelativeFileHandle, StreamHandle

__all__ = ("LoadedCheckpoint", "load_checkpoint")

_SHOWN_NEIGHBOURS = 5


@final
@dataclass(frozen=True, slots=True)
class LoadedCheckpoint:
    """A snapshot whose metadata was read and whose files are all there.

    Attributes:
        metadata: with the paths of shared files as they are now.
        source: what readers need; plain data.
        external_path: URL of its directory.
        metadata_size_bytes: length of `_metadata`.
        moved: recorded paths that were found elsewhere.
        is_from_flink: whether Flink wrote it. Then there are no checksums, unless it was sealed.
    """

    metadata: CheckpointMetadata
    source: SnapshotSource
    external_path: str
    metadata_size_bytes: int
    moved: tuple[str, ...]
    is_from_flink: bool

    @property
    def reader(self) -> CheckpointReader:
        """A new reader with the default settings."""
        return self.source.reader()


def load_checkpoint(url: str, *, resolve: FileSystemResolver = get_file_system) -> LoadedCheckpoint:
    """Read the metadata of a snapshot and make sure that its files are there.

    Contents of data files are verified when they are read. Shared files that are not at the
    recorded path are looked for beside the snapshot, as if the whole tree had been moved.

    Args:
        url: the directory of the snapshot, or the `_metadata` file in it.
        resolve: how a URL becomes a file system.

    Raises:
        CheckpointNotFoundError: there is no complete snapshot.
        SnapshotCorruptedError: metadata are damaged, or a file is missing or has another length.
        CheckpointStorageError: something cannot be read.
    """
    if not url:
        raise CheckpointNotFoundError("The path of the checkpoint or savepoint is empty.")
    file_system, path = resolve(url)
    if name_of(path) == METADATA_FILE_NAME:
        path = directory_of(path)
    directory = file_system.url(path)
    data = _read(file_system, join(path, METADATA_FILE_NAME))
    if data is None:
        raise _not_found(directory, resolve)
    file = decode_metadata_file(data, file_system.url(join(path, METADATA_FILE_NAME)))
    checksums = _read_checksums(file_system, path, data, required=file.has_sidecar)
    if checksums is None and file.sealed:
        checksums = {}
    files = _Files(directory, checksums, resolve)
    metadata = replace_streams(file.metadata, files.checked)
    return LoadedCheckpoint(
        metadata,
        SnapshotSource(directory, files.checksums),
        directory,
        len(data),
        tuple(files.moved),
        is_from_flink=not file.sealed,
    )


def _read(file_system: FileSystem, path: str) -> bytes | None:
    with reported("read the snapshot", file_system.url(path)):
        try:
            return file_system.read_bytes(path)
        except (FileNotFoundError, NotADirectoryError):
            return None


def _read_checksums(
    file_system: FileSystem, path: str, metadata: bytes, *, required: bool
) -> dict[str, FileChecksum] | None:
    sidecar_path = join(path, SIDECAR_FILE_NAME)
    data = _read(file_system, sidecar_path)
    if data is None:
        if not required:
            return None
        raise SnapshotCorruptedError(
            "The checksum file of the snapshot is missing.",
            hint="Copy the whole directory, or restore from another checkpoint or savepoint.",
            path=file_system.url(sidecar_path),
        )
    checksums = read_sidecar(data, file_system.url(sidecar_path))
    expected = checksums.pop(METADATA_FILE_NAME, None)
    if expected is not None:
        url = file_system.url(join(path, METADATA_FILE_NAME))
        check_content(checksum_of(metadata), expected, url)
    return checksums


def _not_found(directory: str, resolve: FileSystemResolver) -> CheckpointNotFoundError:
    neighbours: list[str] = []
    for place in (directory, directory_of(directory)):
        try:
            neighbours += [one.path for one in list_checkpoints(place, resolve=resolve)]
        except CheckpointStorageError:
            continue
    shown = list(dict.fromkeys(neighbours))[:_SHOWN_NEIGHBOURS]
    hint = "Complete ones nearby: " + ", ".join(shown) + "." if shown else None
    return CheckpointNotFoundError(
        "There is no complete checkpoint or savepoint: the directory holds no _metadata.",
        hint=hint or "Give the directory chk-<n> or savepoint-…, or the _metadata file in it.",
        path=directory,
    )


@final
class _Files:
    """The files of one snapshot, looked up with one listing a directory."""

    __slots__ = ("_directory", "_listings", "_resolve", "checksums", "moved")

    def __init__(
        self, directory: str, checksums: dict[str, FileChecksum] | None, resolve: FileSystemResolver
    ) -> None:
        self._directory = directory
        self._resolve = resolve
        self._listings: dict[str, dict[str, int]] = {}
        self.checksums = checksums
        self.moved: list[str] = []

    def checked(self, handle: StreamHandle) -> StreamHandle:
        """Return the handle with the path where the file is; raise if it is missing or wrong."""
        if isinstance(handle, InlineHandle):
            return handle
        file_system, path, name = locate_file(handle, self._directory, self._resolve)
        size = self._size(file_system, path)
        found: FileHandle | RelativeFileHandle = handle
        if size is None and isinstance(handle, FileHandle):
            found, size = self._moved(handle)
        if size is None:
            raise SnapshotCorruptedError(
                "A file of the snapshot is missing.",
                hint="Restore from another checkpoint or savepoint.",
                path=file_system.url(path),
            )
        if size != handle.size:
            raise SnapshotCorruptedError(
                "A file of the snapshot has the wrong length.",
                hint="Restore from another checkpoint or savepoint.",
                path=file_system.url(path),
                size_bytes=size,
                expected_size_bytes=handle.size,
            )
        if self.checksums is not None and isinstance(found, FileHandle) and found.path != name:
            expected = self.checksums.get(name)
            if expected is not None:
                self.checksums[found.path] = expected
        return found

    def _size(self, file_system: FileSystem, path: str) -> int | None:
        parent = directory_of(path)
        key = file_system.url(parent)
        if key not in self._listings:
            with reported("list the files of the snapshot", key):
                try:
                    entries = file_system.list(parent)
                except (FileNotFoundError, NotADirectoryError):
                    entries = ()
            self._listings[key] = {
                entry.name: entry.size for entry in entries if not entry.is_directory
            }
        return self._listings[key].get(name_of(path))

    def _moved(self, handle: FileHandle) -> tuple[FileHandle, int | None]:
        name, parent = name_of(handle.path), name_of(directory_of(handle.path))
        job_directory = directory_of(self._directory)
        places = [join(self._directory, name)]
        if parent in {"shared", "taskowned"} or checkpoint_number(parent) is not None:
            places.insert(0, join(job_directory, parent, name))
        for place in places:
            file_system, path = self._resolve(place)
            size = self._size(file_system, path)
            if size is not None:
                self.moved.append(handle.path)
                return dataclasses.replace(handle, path=file_system.url(path)), size
        return handle, None
