"""`seal_snapshot`: writes checksums beside a snapshot of Flink, which records none.

From then on every damaged byte is noticed when the snapshot is read. The file is the sidecar that
Millpond's own snapshots have; it also covers `_metadata`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from millpond.checkpoint.checksum import FileChecksum, RunningChecksum, checksum_of
from millpond.checkpoint.file_stream import COPY_CHUNK_BYTES
from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.metadata_file import METADATA_FILE_NAME, decode_metadata_file
from millpond.checkpoint.reader import check_content, locate_file
from millpond.checkpoint.sidecar import SIDECAR_FILE_NAME, write_sidecar
from millpond.checkpoint.storage_failure import reported
from millpond.checkpoint.stream_walk import streams_of
from millpond.checkpoint.verification import verify_checkpoint
from millpond.errors import FormatError, SnapshotCorruptedError
from millpond.filesystem import get_file_system
from millpond.filesystem.path import join
from millpond.formats.handles import FileHandle, InlineHandle, RelativeFileHandle
from millpond.formats.savepoint_content import read_keyed_content, read_operator_content

if TYPE_CHECKING:
    from millpond.checkpoint.loading import LoadedCheckpoint
    from millpond.filesystem import FileSystemResolver

__all__ = ("Seal", "seal_snapshot")


@final
@dataclass(frozen=True, slots=True)
class Seal:
    """What was sealed.

    Attributes:
        path: URL of the directory of the snapshot.
        files: number of files that the checksums cover, `_metadata` included.
        size_bytes: their length.
        is_new: False if checksums were there already, and everything agrees with them.
    """

    path: str
    files: int
    size_bytes: int
    is_new: bool


def seal_snapshot(
    url: str, *, examine: bool = True, resolve: FileSystemResolver = get_file_system
) -> Seal:
    """Write lengths and checksums beside `_metadata`; everything is read once, or twice to examine.

    The file appears at once, or not at all. Nothing else is changed: Flink reads the snapshot as
    before.

    Args:
        url: the directory of the snapshot, or the `_metadata` file in it.
        examine: read all state first, so that damage which can be seen is not sealed. State of
            Java's own serializers cannot be examined.
        resolve: how a URL becomes a file system.

    Raises:
        CheckpointNotFoundError: there is no complete snapshot.
        SnapshotCorruptedError: it is damaged, or does not agree with checksums that are there.
        CheckpointStorageError: it cannot be read, or the file cannot be written.
        FormatError: its state cannot be examined.
    """
    loaded = load_checkpoint(url, resolve=resolve)
    if loaded.source.checksums is not None:
        return _agreeing(loaded, resolve)
    if examine:
        _examine(loaded)
    file_system, directory = resolve(loaded.external_path)
    metadata_path = join(directory, METADATA_FILE_NAME)
    with reported("read the snapshot", file_system.url(metadata_path)):
        data = file_system.read_bytes(metadata_path)
    recorded = streams_of(decode_metadata_file(data, file_system.url(metadata_path)).metadata)
    checksums = {METADATA_FILE_NAME: checksum_of(data)}
    # A shared file that was moved is known by the path that the metadata record.
    for handle, found in zip(recorded, streams_of(loaded.metadata), strict=True):
        if isinstance(handle, InlineHandle) or isinstance(found, InlineHandle):
            continue
        name = handle.path if isinstance(handle, FileHandle) else handle.name
        if name not in checksums:
            checksums[name] = _checksum(found, loaded.external_path, resolve)
    with reported("write the checksums of the snapshot", loaded.external_path):
        file_system.write_bytes(join(directory, SIDECAR_FILE_NAME), write_sidecar(checksums))
    return _seal(loaded.external_path, checksums, is_new=True)


def _agreeing(loaded: LoadedCheckpoint, resolve: FileSystemResolver) -> Seal:
    report = verify_checkpoint(loaded.external_path, resolve=resolve)
    if report.errors:
        first, *others = report.errors
        raise SnapshotCorruptedError(
            "The snapshot does not agree with the checksums that were written before: "
            f"{first.message}",
            hint="It was damaged since, or belongs to another seal: use another copy.",
            **{**first.context, "damaged_files": 1 + len(others)},
        )
    files = {METADATA_FILE_NAME: FileChecksum(loaded.metadata_size_bytes, None)}
    for handle in streams_of(loaded.metadata):
        if not isinstance(handle, InlineHandle):
            name = handle.path if isinstance(handle, FileHandle) else handle.name
            files[name] = FileChecksum(handle.size, None)
    return _seal(loaded.external_path, files, is_new=False)


def _seal(path: str, checksums: dict[str, FileChecksum], *, is_new: bool) -> Seal:
    return Seal(path, len(checksums), sum(one.size for one in checksums.values()), is_new)


def _examine(loaded: LoadedCheckpoint) -> None:
    open_stream = loaded.reader.open
    try:
        for operator in loaded.metadata.operators:
            for _ in read_keyed_content(operator, open_stream, check=True):
                pass
            for _ in read_operator_content(operator, open_stream):
                pass
    except FormatError as error:
        raise FormatError(
            f"The snapshot is not sealed, since its state cannot be examined: {error.message}",
            hint=error.hint or "Seal another copy; this one is damaged.",
            **{**error.context, "path": loaded.external_path},
        ) from error


def _checksum(
    handle: FileHandle | RelativeFileHandle, directory: str, resolve: FileSystemResolver
) -> FileChecksum:
    file_system, path, _ = locate_file(handle, directory, resolve)
    running = RunningChecksum()
    with (
        reported("read a file of the snapshot", file_system.url(path)),
        file_system.open_read(path) as source,
    ):
        while data := source.read(COPY_CHUNK_BYTES):
            running.update(data)
    check_content(running.value(), FileChecksum(handle.size, None), file_system.url(path))
    return running.value()
