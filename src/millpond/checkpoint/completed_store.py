"""The completed checkpoints of one job: adding, subsuming, recovering, cleaning up."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, final

from millpond.checkpoint.completed import CompletedCheckpoint
from millpond.checkpoint.listing import list_checkpoints
from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.location import CheckpointLocation
from millpond.checkpoint.retention import JobEnd, is_retained
from millpond.checkpoint.savepoint_pointer import SavepointPointer
from millpond.checkpoint.shared_registry import RestoreMode, SharedStateRegistry
from millpond.checkpoint.storage_failure import delete_quietly
from millpond.checkpoint.stream_walk import streams_of
from millpond.errors import (
    CheckpointNotFoundError,
    ConfigurationError,
    SnapshotCorruptedError,
)
from millpond.filesystem import get_file_system
from millpond.filesystem.path import is_plain_name, join
from millpond.formats.handles import FileHandle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from millpond.checkpoint.checksum import FileChecksum
    from millpond.checkpoint.loading import LoadedCheckpoint
    from millpond.checkpoint.recovery_pointer import RecoveryPointer
    from millpond.checkpoint.result_marker import ResultMarker
    from millpond.checkpoint.retention import CheckpointRetention
    from millpond.checkpoint.storage import CheckpointStorage
    from millpond.filesystem import FileSystemResolver
    from millpond.formats.handles import CheckpointMetadata

__all__ = ("SETTLED_FILE_NAME", "CompletedCheckpointStore")

SETTLED_FILE_NAME = "_stopped_at"

_logger = logging.getLogger(__name__)


@final
class CompletedCheckpointStore:
    """Keeps the newest checkpoints and deletes what they do not need.

    The rules are those of Flink's DefaultCompletedCheckpointStore. Nothing that a kept checkpoint
    refers to is ever deleted; savepoints and snapshots that were not claimed belong to the user
    and stay. Used by one thread.

    Args:
        storage: where checkpoints go.
        retained: how many are kept; 1 or more.
        result: told when the job has finished, before its checkpoints are deleted.
        pointer: names the latest, for a process that does not know where they are.
        resolve: how a URL becomes a file system.
    """

    __slots__ = (
        "_checkpoints",
        "_garbage",
        "_highest_id",
        "_pointer",
        "_registry",
        "_resolve",
        "_result",
        "_retained",
        "_settled",
        "_storage",
        "_unowned",
    )

    def __init__(
        self,
        storage: CheckpointStorage,
        *,
        retained: int = 1,
        result: ResultMarker | None = None,
        pointer: RecoveryPointer | None = None,
        resolve: FileSystemResolver = get_file_system,
    ) -> None:
        if retained < 1:
            raise ConfigurationError("At least one checkpoint must be retained.", value=retained)
        self._storage = storage
        self._retained = retained
        self._result = result
        self._pointer = pointer
        self._resolve = resolve
        self._registry = SharedStateRegistry()
        self._checkpoints: list[CompletedCheckpoint] = []
        self._unowned: set[str] = set()
        self._garbage: list[tuple[CheckpointLocation | None, tuple[str, ...]]] = []
        self._highest_id = 0
        directory = storage.directory
        self._settled = (
            None
            if directory is None
            else SavepointPointer(join(directory.url, SETTLED_FILE_NAME), resolve=resolve)
        )

    @property
    def storage(self) -> CheckpointStorage:
        """Where checkpoints go."""
        return self._storage

    @property
    def registry(self) -> SharedStateRegistry:
        """The files that several checkpoints refer to."""
        return self._registry

    @property
    def checkpoints(self) -> tuple[CompletedCheckpoint, ...]:
        """Those that are kept, oldest first; the snapshot that the job started from included."""
        return tuple(self._checkpoints)

    @property
    def latest(self) -> CompletedCheckpoint | None:
        """The one to recover from."""
        return self._checkpoints[-1] if self._checkpoints else None

    @property
    def next_checkpoint_id(self) -> int:
        """The first id that no checkpoint seen so far has, damaged and unfinished ones included."""
        return self._highest_id + 1

    def recover(self) -> tuple[SnapshotCorruptedError, ...]:
        """Take over the checkpoints that an earlier process of the same job left.

        Unfinished ones are deleted; damaged ones are left alone, said loudly and returned.

        Raises:
            CheckpointStorageError: the directory cannot be read.
            SnapshotCorruptedError: the savepoint that the job settled on is damaged.
            CheckpointNotFoundError: that savepoint is gone.
        """
        directory = self._storage.directory
        if directory is None:
            return ()
        damaged = []
        complete = list_checkpoints(directory.url, resolve=self._resolve)
        numbered = [
            (one.checkpoint_id, one.path) for one in complete if one.checkpoint_id is not None
        ]
        for checkpoint_id, url in sorted(numbered):
            try:
                loaded = load_checkpoint(url, resolve=self._resolve)
                if loaded.metadata.checkpoint_id != checkpoint_id:
                    raise SnapshotCorruptedError(
                        f"The metadata are those of checkpoint {loaded.metadata.checkpoint_id}.",
                        path=url,
                    )
                self._registry.register(loaded.metadata, loaded.source.checksums)
            except SnapshotCorruptedError as error:
                _logger.warning("Checkpoint %d cannot be used: %s", checkpoint_id, error)
                damaged.append(error)
            else:
                location = dataclasses.replace(self._template(checkpoint_id), directory=url)
                self._checkpoints.append(_completed(loaded, location))
            self._highest_id = max(self._highest_id, checkpoint_id)
        known = {checkpoint_id for checkpoint_id, _ in numbered}
        for checkpoint_id in directory.checkpoint_ids():
            self._highest_id = max(self._highest_id, checkpoint_id)
            if checkpoint_id not in known:
                directory.discard(
                    CheckpointLocation(checkpoint_id, directory.checkpoint_url(checkpoint_id))
                )
        damaged += self._recover_pointed(dict(numbered))
        self._recover_settled()
        return tuple(damaged)

    def restore(self, loaded: LoadedCheckpoint, mode: RestoreMode) -> CompletedCheckpoint:
        """Make a snapshot that the user named the one to start from.

        It is `latest` until a newer one completes. Unless it is claimed it is never deleted.

        Raises:
            CheckpointError: it refers to a file under a path where another one is known.
        """
        location = dataclasses.replace(
            self._template(loaded.metadata.checkpoint_id), directory=loaded.external_path
        )
        checkpoint = _completed(loaded, location)
        self._registry.register_restored(loaded.metadata, loaded.source.checksums, mode)
        if mode is not RestoreMode.CLAIM:
            self._unowned.add(checkpoint.external_path)
        others = [one for one in self._checkpoints if one.external_path != loaded.external_path]
        self._checkpoints = [*others, checkpoint]
        self._highest_id = max(self._highest_id, checkpoint.checkpoint_id)
        return checkpoint

    def complete(
        self,
        location: CheckpointLocation,
        metadata: CheckpointMetadata,
        checksums: Mapping[str, FileChecksum],
        needed_from: int | None = None,
    ) -> CompletedCheckpoint:
        """Write the metadata of a checkpoint or savepoint that every subtask acknowledged.

        When it returns, the checkpoint is durable, and older ones beyond the number retained are
        deleted. When it raises, the checkpoint and its new files are gone.

        Args:
            location: where it was written.
            metadata: what all subtasks acknowledged.
            checksums: of the files written for it, from all acknowledgements.
            needed_from: the oldest checkpoint that one under way builds on; its shared files stay.

        Raises:
            CheckpointStorageError: the metadata could not be written.
            CheckpointError: a file has no checksum, or a path is used twice.
        """
        paths = [one.path for one in streams_of(metadata) if isinstance(one, FileHandle)]
        everything = {**self._registry.checksums(paths), **checksums}
        try:
            checkpoint = self._storage.complete(location, metadata, everything)
            if not location.is_savepoint:
                if self._pointer is not None:
                    self._pointer.put(checkpoint)
                self._registry.register(metadata, everything)
        except Exception:
            self.abort(location, checksums)
            raise
        self._highest_id = max(self._highest_id, location.checkpoint_id)
        if location.is_savepoint:
            return checkpoint
        self._checkpoints.append(checkpoint)
        self._subsume(needed_from)
        return checkpoint

    def settle(self, savepoint: CompletedCheckpoint) -> None:
        """Make a savepoint the one to recover from, before what it covers is committed.

        From the moment it returns, this process and the next one go on from there: an older
        checkpoint would repeat what is visible then. The savepoint stays the user's.

        Raises:
            CheckpointStorageError: that cannot be written down; nothing may be committed.
        """
        if self._settled is not None:
            self._settled.put(savepoint)
        self._unowned.add(savepoint.external_path)
        self._checkpoints.append(savepoint)

    def _recover_pointed(self, listed: dict[int, str]) -> list[SnapshotCorruptedError]:
        """Take over the latest checkpoint if it stands in another directory; return its damage.

        A pointer to what the listing shows, or to less, says nothing new. One to what is not there
        any more is stale: a checkpoint that failed at its last step, or was deleted by hand.
        """
        pointed = None if self._pointer is None else self._pointer.read()
        if self._pointer is None or pointed is None:
            return []
        checkpoint_id, url = pointed.checkpoint_id, pointed.url
        self._highest_id = max(self._highest_id, checkpoint_id)
        is_listed = checkpoint_id in listed and url in {None, listed[checkpoint_id]}
        if is_listed or max(listed, default=0) > checkpoint_id:
            return []
        try:
            if url is None:
                raise self._pointer.damaged(pointed)
            self.restore(load_checkpoint(url, resolve=self._resolve), RestoreMode.CLAIM)
        except CheckpointNotFoundError:
            _logger.warning("Checkpoint %d was the latest, and is gone: %s", checkpoint_id, url)
        except SnapshotCorruptedError as error:
            _logger.warning("Checkpoint %d cannot be used: %s", checkpoint_id, error)
            return [error]
        return []

    def _recover_settled(self) -> None:
        """Go on from the savepoint that ended the job, unless a newer checkpoint is there."""
        url = None if self._settled is None else self._settled.read()
        if url is None:
            return
        loaded = load_checkpoint(url, resolve=self._resolve)
        checkpoint_id = loaded.metadata.checkpoint_id
        if self.latest is None or self.latest.checkpoint_id < checkpoint_id:
            location = dataclasses.replace(self._template(checkpoint_id), directory=url)
            self._unowned.add(url)
            self._checkpoints.append(_completed(loaded, location))
            self._highest_id = max(self._highest_id, checkpoint_id)

    def abort(self, location: CheckpointLocation, checksums: Mapping[str, FileChecksum]) -> None:
        """Delete what subtasks wrote for a checkpoint that failed, or acknowledged too late.

        Args:
            location: where it was written.
            checksums: from the acknowledgements that came.
        """
        self._storage.discard(location)
        self._delete(
            name for name in checksums if not is_plain_name(name) and name not in self._registry
        )

    def owns(self, checkpoint: CompletedCheckpoint) -> bool:
        """Return whether later checkpoints may refer to its files: it was taken or claimed here."""
        return checkpoint.external_path not in self._unowned

    def reject(self, checkpoint: CompletedCheckpoint) -> CompletedCheckpoint | None:
        """Stop using a checkpoint that turned out damaged; return the next older one.

        Its files stay for whoever wants to look at them.
        """
        _logger.warning(
            "Checkpoint %d is damaged; falling back to an older one", checkpoint.checkpoint_id
        )
        self._checkpoints = [one for one in self._checkpoints if one is not checkpoint]
        return self.latest

    def close(
        self, end: JobEnd, retention: CheckpointRetention, *, is_stopped: bool = False
    ) -> None:
        """End the job: delete its checkpoints unless they are to be retained.

        `is_stopped`: it finished because it was told to, so that it may be started again.
        """
        if is_retained(retention, end):
            if not self._checkpoints and self._storage.directory is not None:
                # Nothing is retained of a job that came to nothing.
                self._storage.directory.remove_if_empty()
            return
        result = self._result if end is JobEnd.FINISHED and not is_stopped else None
        if result is not None and not result.write(self._highest_id):
            # Without them and without the file the job would start anew.
            return
        if self._pointer is not None:
            self._pointer.forget()
        checkpoints, self._checkpoints = self._checkpoints, []
        for checkpoint in checkpoints:
            if checkpoint.external_path not in self._unowned:
                self._garbage.append((checkpoint.location, ()))
        self._garbage.append((None, self._registry.release_unused(self._highest_id + 1)))
        self._collect_garbage()
        if self._settled is not None and not self._garbage:
            # Last: while an older checkpoint is there, nobody may go on from it.
            self._settled.clear()
        if self._storage.directory is not None and not self._garbage and result is None:
            self._storage.directory.remove_if_empty()

    def _subsume(self, needed_from: int | None) -> None:
        while len(self._checkpoints) > self._retained:
            oldest = self._checkpoints.pop(0)
            lowest = self._checkpoints[0].checkpoint_id
            lowest = lowest if needed_from is None else min(lowest, needed_from)
            unused = self._registry.release_unused(lowest)
            owned = oldest.external_path not in self._unowned
            self._garbage.append((oldest.location if owned else None, unused))
        self._collect_garbage()

    def _collect_garbage(self) -> None:
        # In order, each directory before the shared files that it refers to: a checkpoint that
        # could not be made invisible keeps its files, and is tried again with the next one.
        while self._garbage:
            location, paths = self._garbage[0]
            if location is not None and not self._storage.discard(location):
                return
            del self._garbage[0]
            self._delete(paths)

    def _delete(self, urls: Iterable[str]) -> None:
        for url in urls:
            file_system, path = self._resolve(url)
            delete_quietly(file_system, path)

    def _template(self, checkpoint_id: int) -> CheckpointLocation:
        directory = self._storage.directory
        shared = None if directory is None else directory.shared_url
        return CheckpointLocation(checkpoint_id, None, shared)


def _completed(loaded: LoadedCheckpoint, location: CheckpointLocation) -> CompletedCheckpoint:
    return CompletedCheckpoint(
        location.checkpoint_id,
        loaded.metadata,
        location,
        loaded.source.checksums,
        loaded.metadata_size_bytes,
    )
