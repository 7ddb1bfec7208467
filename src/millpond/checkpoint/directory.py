"""The directories of one job's checkpoints: their layout, and how one appears and goes."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, final

from millpond.checkpoint.checksum import FileChecksum, checksum_of
from millpond.checkpoint.completed import CompletedCheckpoint
from millpond.checkpoint.listing import checkpoint_number
from millpond.checkpoint.metadata_file import METADATA_FILE_NAME, encode_metadata_file
from millpond.checkpoint.sidecar import SIDECAR_FILE_NAME, write_sidecar
from millpond.checkpoint.storage_failure import Retry, delete_quietly, reported
from millpond.checkpoint.stream_walk import streams_of
from millpond.errors import CheckpointError, CheckpointStorageError, ConfigurationError
from millpond.filesystem.path import is_plain_name, join, scheme_of
from millpond.formats.handles import CheckpointMetadata, FileHandle, InlineHandle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from millpond.checkpoint.location import CheckpointLocation
    from millpond.filesystem import FileSystem, FileSystemResolver

__all__ = ("CHECKPOINT_PREFIX", "SHARED_NAME", "TASK_OWNED_NAME", "CheckpointDirectory")

CHECKPOINT_PREFIX = "chk-"
SHARED_NAME = "shared"
TASK_OWNED_NAME = "taskowned"
_PROBE_NAME = ".millpond-write-probe"
_JOB_ID = re.compile(r"[0-9a-f]{32}")
_SAVEPOINT_TRIES = 10

_logger = logging.getLogger(__name__)


@final
class CheckpointDirectory:
    """`<root>/<job id>/{chk-<n>,shared,taskowned}`, written by the job manager only.

    Used by one thread.
    """

    __slots__ = (
        "_file_system",
        "_is_initialized",
        "_job_id",
        "_path",
        "_random",
        "_resolve",
        "_retry",
    )

    def __init__(
        self,
        root_url: str,
        job_id: str,
        *,
        resolve: FileSystemResolver,
        random: Random,
        create_subdirectory: bool = True,
        retry: Retry | None = None,
    ) -> None:
        _check_root(root_url)
        if not _JOB_ID.fullmatch(job_id):
            raise ConfigurationError("A job id is 32 hexadecimal digits.", job_id=job_id)
        self._file_system, root = resolve(root_url)
        self._path = join(root, job_id) if create_subdirectory else root
        self._job_id = job_id
        self._resolve = resolve
        self._random = random
        self._retry = retry or Retry()
        self._is_initialized = False

    @property
    def url(self) -> str:
        """The job's directory."""
        return self._file_system.url(self._path)

    @property
    def shared_url(self) -> str:
        """The directory of files that several checkpoints refer to."""
        return self._file_system.url(join(self._path, SHARED_NAME))

    @property
    def resolve(self) -> FileSystemResolver:
        """How a URL becomes a file system."""
        return self._resolve

    def initialize(self) -> None:
        """Create the job's directories and prove that files can be written.

        Raises:
            CheckpointStorageError: not writable, no directory, no space.
        """
        with reported("use the checkpoint directory", self.url):
            for name in (SHARED_NAME, TASK_OWNED_NAME):
                self._file_system.make_directories(join(self._path, name))
            probe = join(self._path, _PROBE_NAME)
            self._file_system.write_bytes(probe, b"millpond")
            self._file_system.delete(probe)
        self._is_initialized = True

    def create_checkpoint(self, checkpoint_id: int) -> str:
        """Create `chk-<n>` empty and return its URL.

        A job that takes checkpoints only when it is asked to has its directories from then on.

        Raises:
            CheckpointStorageError: it cannot be created, or a complete checkpoint is in it.
        """
        if not self._is_initialized:
            self.initialize()
        path = join(self._path, f"{CHECKPOINT_PREFIX}{checkpoint_id}")
        url = self._file_system.url(path)
        with reported("create the directory of the checkpoint", url):
            if self._file_system.exists(join(path, METADATA_FILE_NAME)):
                raise _taken(url)
            if self._file_system.exists(path):
                _delete_content(self._file_system, path)
            self._file_system.make_directories(path)
        return url

    def create_savepoint(self, target_directory: str) -> str:
        """Create `savepoint-<6 hex>-<12 hex>` and return its URL. Raises CheckpointStorageError."""
        file_system, target = self._resolve(target_directory)
        with reported("create the directory of the savepoint", file_system.url(target)):
            for _ in range(_SAVEPOINT_TRIES):
                number = self._random.getrandbits(48)
                path = join(target, f"savepoint-{self._job_id[:6]}-{number:012x}")
                if not file_system.exists(path):
                    file_system.make_directories(path)
                    return file_system.url(path)
        raise CheckpointStorageError(
            f"No free name for the savepoint was found in {_SAVEPOINT_TRIES} tries.",
            path=file_system.url(target),
        )

    def publish(
        self,
        location: CheckpointLocation,
        metadata: CheckpointMetadata,
        checksums: Mapping[str, FileChecksum],
    ) -> CompletedCheckpoint:
        """Write `_checksums`, then `_metadata`, each synced and renamed into place.

        Raises:
            CheckpointStorageError: it could not be written.
            CheckpointError: a file has no checksum.
        """
        file_system, path = self._resolve(_directory_of(location))
        files = _referenced(metadata, checksums)
        # Without files everything is inside `_metadata`, which carries its own checksum.
        data = encode_metadata_file(metadata, has_sidecar=bool(files))
        with reported("write the metadata of the checkpoint", file_system.url(path)):
            if files:
                if not all(is_plain_name(name) for name in files):
                    self._file_system.sync_directory(join(self._path, SHARED_NAME))
                sidecar = write_sidecar({**files, METADATA_FILE_NAME: checksum_of(data)})
                # This also syncs the names of the data files, so that `_metadata` comes last.
                self._retry.call(
                    lambda: file_system.write_bytes(join(path, SIDECAR_FILE_NAME), sidecar)
                )
            self._retry.call(lambda: _put_metadata(file_system, path, data))
        return CompletedCheckpoint(location.checkpoint_id, metadata, location, files, len(data))

    def checkpoint_url(self, checkpoint_id: int) -> str:
        """Return the URL of `chk-<n>`."""
        return self._file_system.url(join(self._path, f"{CHECKPOINT_PREFIX}{checkpoint_id}"))

    def checkpoint_ids(self) -> tuple[int, ...]:
        """Return n of every `chk-<n>`, complete or not. Raises CheckpointStorageError."""
        with reported("list the checkpoints", self.url):
            try:
                entries = self._file_system.list(self._path)
            except FileNotFoundError:
                return ()
        numbers = (checkpoint_number(entry.name) for entry in entries if entry.is_directory)
        return tuple(sorted(number for number in numbers if number is not None))

    def discard(self, location: CheckpointLocation) -> bool:
        """Delete a checkpoint's own files, `_metadata` first; failures are logged.

        Returns:
            Whether it is invisible now, so that files it refers to may be deleted.
        """
        file_system, path = self._resolve(_directory_of(location))
        metadata = join(path, METADATA_FILE_NAME)
        try:
            if file_system.exists(path):
                _delete_content(file_system, path)
                file_system.remove_directory(path)
        except OSError as error:
            _logger.warning("Cannot delete checkpoint %s: %s", file_system.url(path), error)
            try:
                return not file_system.exists(metadata)
            except OSError:
                return False
        return True

    def remove_if_empty(self) -> None:
        """Remove the job's directories if nothing is left in them; else leave them."""
        for path in (*(join(self._path, n) for n in (SHARED_NAME, TASK_OWNED_NAME)), self._path):
            try:
                self._file_system.remove_directory(path)
            except OSError as error:
                _logger.info("Directory %s stays: %s", self._file_system.url(path), error)
                return


def _put_metadata(file_system: FileSystem, path: str, data: bytes) -> None:
    """Let `_metadata` appear, never in the place of another one."""
    metadata = join(path, METADATA_FILE_NAME)
    try:
        file_system.write_bytes(metadata, data, exclusive=True)
    except FileExistsError as error:
        # The one that is there may be ours: the answer to an earlier try was lost.
        if file_system.read_bytes(metadata) != data:
            raise _taken(file_system.url(path)) from error


def _taken(url: str) -> CheckpointStorageError:
    return CheckpointStorageError(
        "The directory of the new checkpoint already holds a complete one.",
        hint="Two jobs must not use the same directory and job id.",
        path=url,
    )


def _directory_of(location: CheckpointLocation) -> str:
    if location.directory is None:
        raise CheckpointError("A checkpoint in memory has no directory.")
    return location.directory


def _delete_content(file_system: FileSystem, path: str) -> None:
    metadata = join(path, METADATA_FILE_NAME)
    if file_system.exists(metadata):
        file_system.delete(metadata)
        # After a power failure the others must not be gone while it is still there.
        file_system.sync_directory(path)
    for entry in file_system.list(path):
        if not entry.is_directory:
            delete_quietly(file_system, entry.path)


def _referenced(
    metadata: CheckpointMetadata, checksums: Mapping[str, FileChecksum]
) -> dict[str, FileChecksum]:
    files = {}
    for stream in streams_of(metadata):
        if isinstance(stream, InlineHandle):
            continue
        name = stream.path if isinstance(stream, FileHandle) else stream.name
        checksum = checksums.get(name)
        if checksum is None or checksum.size != stream.size:
            raise CheckpointError(
                "A file of the checkpoint was acknowledged without its checksum.",
                file=name,
                checkpoint=metadata.checkpoint_id,
            )
        files[name] = checksum
    return files


def _check_root(root_url: str) -> None:
    if not root_url.strip():
        raise ConfigurationError("The checkpoint directory must not be empty.")
    rest = root_url
    scheme = scheme_of(root_url)
    if scheme:
        rest = root_url[len(scheme) + 1 :]
        # In memory there are no hosts: memory://name is the directory /name, as fsspec has it.
        if rest.startswith("//") and scheme != "memory":
            rest = "/" + rest[2:].partition("/")[2]
    if not rest.strip("/"):
        raise ConfigurationError(
            "The root directory cannot hold checkpoints.",
            hint="Name a directory below it.",
            path=root_url,
        )
