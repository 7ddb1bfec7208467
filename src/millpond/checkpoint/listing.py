"""Which complete checkpoints and savepoints stand below a directory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from millpond.checkpoint.metadata_file import METADATA_FILE_NAME
from millpond.checkpoint.storage_failure import reported
from millpond.filesystem import get_file_system
from millpond.filesystem.path import directory_of, join, name_of

if TYPE_CHECKING:
    from millpond.filesystem import FileEntry, FileSystem, FileSystemResolver

__all__ = ("ListedCheckpoint", "checkpoint_number", "find_latest", "list_checkpoints")

_JOB_ID = re.compile(r"[0-9a-f]{32}")
_CHECKPOINT = re.compile(r"chk-(0|[1-9][0-9]*)")
_SAVEPOINT_PREFIX = "savepoint-"


@final
@dataclass(frozen=True, slots=True)
class ListedCheckpoint:
    """A directory that holds `_metadata`; whether it can be loaded is another question.

    `job_id` and `checkpoint_id` are what the path tells; a savepoint's path tells neither.
    `completed_ms` is 0 where the file system keeps no times.
    """

    path: str
    job_id: str | None
    checkpoint_id: int | None
    completed_ms: int

    @property
    def is_savepoint(self) -> bool:
        """Whether it is a savepoint."""
        return self.checkpoint_id is None


def checkpoint_number(name: str) -> int | None:
    """Return n of `chk-<n>`, None for other names."""
    match = _CHECKPOINT.fullmatch(name)
    return int(match[1]) if match else None


def list_checkpoints(
    url: str, job_id: str | None = None, *, resolve: FileSystemResolver = get_file_system
) -> tuple[ListedCheckpoint, ...]:
    """Return the complete checkpoints and savepoints, newest first, those of a job together.

    Args:
        url: a checkpoints directory, the directory of one job in it, a directory of savepoints, or
            one checkpoint.
        job_id: only checkpoints of this job.
        resolve: how a URL becomes a file system.

    Raises:
        CheckpointStorageError: the directory cannot be listed. One that does not exist is empty.
    """
    file_system, path = resolve(url)
    found: list[ListedCheckpoint] = []
    with reported("list the checkpoints", file_system.url(path)):
        top = file_system.entry(path)
        if top is None and file_system.is_local:
            return ()
        if top is None or top.is_directory:
            _collect(file_system, path, job_id, found)
    return _newest_first(found)


def find_latest(
    url: str, job_id: str | None = None, *, resolve: FileSystemResolver = get_file_system
) -> ListedCheckpoint | None:
    """Return the newest complete checkpoint below a directory, savepoints not counted.

    Within a job the highest number is the newest, between jobs the time decides. Raises as
    `list_checkpoints`.
    """
    checkpoints = list_checkpoints(url, job_id, resolve=resolve)
    return next((one for one in checkpoints if not one.is_savepoint), None)


def _newest_first(found: list[ListedCheckpoint]) -> tuple[ListedCheckpoint, ...]:
    # Copying a tree changes the times of its files, but never the numbers.
    families: dict[str, list[ListedCheckpoint]] = {}
    for one in found:
        family = one.path if one.is_savepoint else directory_of(one.path)
        families.setdefault(family, []).append(one)
    for members in families.values():
        members.sort(key=lambda one: -(one.checkpoint_id or 0))
    ordered = sorted(families.items(), key=lambda item: (-item[1][0].completed_ms, item[0]))
    return tuple(one for _, members in ordered for one in members)


def _collect(
    file_system: FileSystem, path: str, job_id: str | None, found: list[ListedCheckpoint]
) -> None:
    name = name_of(path)
    owner = name_of(path.rstrip("/").rpartition("/")[0])
    try:
        entries = file_system.list(path)
    except FileNotFoundError:
        return
    if any(entry.name == METADATA_FILE_NAME for entry in entries):
        _take(file_system, path, owner, job_id, found)
        return
    for entry in entries:
        if not entry.is_directory:
            continue
        if _JOB_ID.fullmatch(entry.name):
            for inner in _children(file_system, entry):
                _take(file_system, inner.path, entry.name, job_id, found)
        elif checkpoint_number(entry.name) is not None or entry.name.startswith(_SAVEPOINT_PREFIX):
            _take(file_system, entry.path, name, job_id, found)


def _children(file_system: FileSystem, job: FileEntry) -> list[FileEntry]:
    return [
        entry
        for entry in file_system.list(job.path)
        if entry.is_directory and checkpoint_number(entry.name) is not None
    ]


def _take(
    file_system: FileSystem,
    path: str,
    owner: str,
    job_id: str | None,
    found: list[ListedCheckpoint],
) -> None:
    metadata = file_system.entry(join(path, METADATA_FILE_NAME))
    number = checkpoint_number(name_of(path))
    owner_id = owner if number is not None and _JOB_ID.fullmatch(owner) else None
    if metadata is None or metadata.is_directory or (job_id is not None and owner_id != job_id):
        return
    found.append(ListedCheckpoint(file_system.url(path), owner_id, number, metadata.modified_ms))
