"""`dispose_savepoint`: deletes a savepoint, and nothing but a savepoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.checkpoint.listing import checkpoint_number
from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.metadata_file import METADATA_FILE_NAME
from millpond.checkpoint.sidecar import SIDECAR_FILE_NAME
from millpond.checkpoint.storage_failure import reported
from millpond.checkpoint.stream_walk import streams_of
from millpond.errors import UnsupportedOperationError
from millpond.filesystem import get_file_system
from millpond.filesystem.path import directory_of, join, name_of
from millpond.formats.handles import FileHandle, InlineHandle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.checkpoint.loading import LoadedCheckpoint
    from millpond.filesystem import FileSystem, FileSystemResolver

__all__ = ("dispose_savepoint",)


def dispose_savepoint(url: str, *, resolve: FileSystemResolver = get_file_system) -> None:
    """Delete a complete savepoint, `_metadata` first, so that none is there in part.

    Its own files go, and its directory if nothing else is in it. Whether a job wants to start from
    it, nobody can know.

    Args:
        url: the directory of the savepoint, or the `_metadata` file in it.
        resolve: how a URL becomes a file system.

    Raises:
        CheckpointNotFoundError: there is no complete snapshot.
        SnapshotCorruptedError: it is damaged: which files are its own is not known.
        UnsupportedOperationError: it is a checkpoint, which belongs to its job, or refers to files
            elsewhere, which others may need.
        CheckpointStorageError: it cannot be read or deleted.
    """
    loaded = load_checkpoint(url, resolve=resolve)
    file_system, path = resolve(loaded.external_path)
    if checkpoint_number(name_of(path)) is not None:
        raise UnsupportedOperationError(
            "This is a checkpoint, which belongs to its job, and no savepoint.",
            hint="Start a job from it with --claim-mode CLAIM, or delete the job's directory.",
            path=loaded.external_path,
        )
    names = sorted(set(_own_files(loaded, file_system, path, resolve)))
    with reported("delete the savepoint", loaded.external_path):
        file_system.delete(join(path, METADATA_FILE_NAME))
        # After a power failure the others must not be gone while it is still there.
        file_system.sync_directory(path)
        for name in (*names, SIDECAR_FILE_NAME):
            file_system.delete(join(path, name))
        if not file_system.list(path):
            file_system.remove_directory(path)


def _own_files(
    loaded: LoadedCheckpoint, file_system: FileSystem, path: str, resolve: FileSystemResolver
) -> Iterator[str]:
    for stream in streams_of(loaded.metadata):
        if isinstance(stream, InlineHandle):
            continue
        if not isinstance(stream, FileHandle):
            yield stream.name
            continue
        other, file = resolve(stream.path)
        if other.url(directory_of(file)) != file_system.url(path):
            raise UnsupportedOperationError(
                "The snapshot refers to files outside its directory, which others may need.",
                hint="It is a checkpoint, or was made by a very old version of Flink.",
                path=loaded.external_path,
                file=stream.path,
            )
        yield name_of(file)
