"""Files in a checkpoints directory that no checkpoint refers to: what crashes leave behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from millpond.checkpoint.directory import SHARED_NAME
from millpond.checkpoint.listing import checkpoint_number, list_checkpoints
from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.metadata_file import METADATA_FILE_NAME
from millpond.checkpoint.sidecar import SIDECAR_FILE_NAME
from millpond.checkpoint.storage_failure import delete_quietly, reported
from millpond.checkpoint.stream_walk import streams_of
from millpond.errors import CheckpointNotFoundError, SnapshotCorruptedError
from millpond.filesystem import IN_PROGRESS_SUFFIX, get_file_system
from millpond.filesystem.path import directory_of, join, name_of
from millpond.formats.handles import FileHandle, RelativeFileHandle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.clock import Clock
    from millpond.filesystem import FileEntry, FileSystem, FileSystemResolver

__all__ = ("Garbage", "GarbageFile", "delete_garbage", "find_garbage")

_JOB_ID = re.compile(r"[0-9a-f]{32}")


@final
@dataclass(frozen=True, slots=True)
class GarbageFile:
    """One file that nothing refers to, or an empty directory that an unfinished checkpoint left."""

    path: str
    size: int
    reason: str
    is_directory: bool = False


@final
@dataclass(frozen=True, slots=True)
class Garbage:
    """What may be deleted, and which damaged checkpoints kept shared files from being judged."""

    files: tuple[GarbageFile, ...]
    damaged: tuple[SnapshotCorruptedError, ...]

    @property
    def size_bytes(self) -> int:
        """Length of all files."""
        return sum(file.size for file in self.files if not file.is_directory)


@final
@dataclass(frozen=True, slots=True)
class _Candidate:
    entry: FileEntry
    reason: str
    may_be_shared: bool


def find_garbage(
    url: str,
    clock: Clock,
    *,
    older_than_ms: int = 3_600_000,
    resolve: FileSystemResolver = get_file_system,
) -> Garbage:
    """Return the files that no complete checkpoint below the checkpoints directory refers to.

    A running job is safe as long as a checkpoint takes less than `older_than_ms` from its first
    file to its `_metadata`. Shared files are spared while a damaged checkpoint might need them,
    and references from other jobs in the same checkpoints directory count. Cost: one listing a
    directory, one read a checkpoint.

    Args:
        url: the checkpoints directory, or the directory of one job in it.
        clock: for the age of files.
        older_than_ms: younger files are spared; so are files without a time, unless it is 0.
        resolve: how a URL becomes a file system.

    Raises:
        CheckpointNotFoundError: there is no such directory.
        CheckpointStorageError: something cannot be listed or read.
    """
    file_system, path = resolve(url)
    latest_ms = clock.now_ms() - older_than_ms
    with reported("list the checkpoint directory", file_system.url(path)):
        top = file_system.entry(path)
        if (top is None and file_system.is_local) or (top is not None and not top.is_directory):
            raise CheckpointNotFoundError(
                "There is no checkpoint directory.", path=file_system.url(path)
            )
        # Files first, references second: what completes in between is then seen.
        candidates = [
            candidate
            for job in _job_directories(file_system, path)
            for candidate in _candidates(file_system, job)
            if candidate.entry.modified_ms <= latest_ms
            and (candidate.entry.modified_ms or older_than_ms == 0)
        ]
    scope = directory_of(path) if _JOB_ID.fullmatch(name_of(path)) else path
    names, damaged = _references(file_system.url(scope), resolve)
    files = (
        GarbageFile(
            file_system.url(one.entry.path), one.entry.size, one.reason, one.entry.is_directory
        )
        for one in candidates
        if one.entry.name not in names and not (one.may_be_shared and damaged)
    )
    return Garbage(tuple(files), tuple(damaged))


def delete_garbage(
    garbage: Garbage, *, resolve: FileSystemResolver = get_file_system
) -> tuple[GarbageFile, ...]:
    """Delete the files, and unfinished checkpoint directories that are empty then.

    Returns:
        What could not be deleted; the reasons are logged.
    """
    failed = []
    for file in garbage.files:
        file_system, path = resolve(file.path)
        if file.is_directory:
            _remove_if_empty(file_system, path)
            continue
        if not delete_quietly(file_system, path):
            failed.append(file)
            continue
        directory = directory_of(path)
        if checkpoint_number(name_of(directory)) is not None:
            _remove_if_empty(file_system, directory)
    return tuple(failed)


def _remove_if_empty(file_system: FileSystem, directory: str) -> None:
    with reported("remove the directory", file_system.url(directory)):
        if file_system.exists(directory) and not file_system.list(directory):
            file_system.remove_directory(directory)


def _job_directories(file_system: FileSystem, path: str) -> Iterator[str]:
    names = {entry.name for entry in file_system.list(path) if entry.is_directory}
    if SHARED_NAME in names or any(checkpoint_number(name) is not None for name in names):
        yield path
    for name in sorted(names):
        if _JOB_ID.fullmatch(name):
            yield join(path, name)


def _candidates(file_system: FileSystem, job: str) -> Iterator[_Candidate]:
    for entry in file_system.list(job):
        if not entry.is_directory:
            if entry.name.endswith(IN_PROGRESS_SUFFIX):
                yield _Candidate(entry, "unfinished file", False)
        elif entry.name == SHARED_NAME:
            for file in _files(file_system, entry.path):
                yield _Candidate(file, "shared file without a checkpoint", True)
        elif checkpoint_number(entry.name) is not None:
            files = _files(file_system, entry.path)
            complete = any(file.name == METADATA_FILE_NAME for file in files)
            reason = "not part of its checkpoint" if complete else "unfinished checkpoint"
            if not file_system.list(entry.path):
                yield _Candidate(entry, "empty directory", False)
            for file in files:
                if not complete or file.name not in {METADATA_FILE_NAME, SIDECAR_FILE_NAME}:
                    yield _Candidate(file, reason, complete)


def _files(file_system: FileSystem, path: str) -> list[FileEntry]:
    try:
        return [entry for entry in file_system.list(path) if not entry.is_directory]
    except FileNotFoundError:
        return []


def _references(
    url: str, resolve: FileSystemResolver
) -> tuple[set[str], list[SnapshotCorruptedError]]:
    names: set[str] = set()
    damaged = []
    for listed in list_checkpoints(url, resolve=resolve):
        try:
            loaded = load_checkpoint(listed.path, resolve=resolve)
        except CheckpointNotFoundError:
            continue  # subsumed in the meantime
        except SnapshotCorruptedError as error:
            damaged.append(error)
            continue
        for stream in streams_of(loaded.metadata):
            # File names are random, so the name alone says it, wherever the tree was moved to.
            if isinstance(stream, FileHandle):
                names.add(name_of(stream.path))
            elif isinstance(stream, RelativeFileHandle):
                names.add(stream.name)
    return names, damaged
