"""Which files several checkpoints refer to, and when nobody needs them any more.

The rules are those of Flink 1.16 and later (SharedStateRegistryImpl): no reference counts, but
who created a file and who used it last.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from millpond.checkpoint.checksum import FileChecksum
from millpond.checkpoint.stream_walk import streams_of
from millpond.errors import CheckpointError
from millpond.formats.handles import FileHandle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from millpond.formats.handles import CheckpointMetadata

__all__ = ("RestoreMode", "SharedFile", "SharedStateRegistry")


class RestoreMode(enum.StrEnum):
    """Who owns the snapshot that a job was started from.

    NO_CLAIM: the user; the first checkpoint refers to nothing of it. CLAIM: the job, which deletes
    it when it is not needed any more.
    """

    NO_CLAIM = "NO_CLAIM"
    CLAIM = "CLAIM"


@final
@dataclass(slots=True)
class SharedFile:
    """One registered file."""

    handle: FileHandle
    checksum: FileChecksum
    created_by: int
    last_used_by: int


@final
class SharedStateRegistry:
    """Files by recorded path. Used by one thread; every call is linear in what it is given.

    Files that a checkpoint owns alone are recorded by relative name and are not registered.
    """

    __slots__ = ("_files", "_highest_not_claimed")

    def __init__(self) -> None:
        self._files: dict[str, SharedFile] = {}
        self._highest_not_claimed = -1

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def __iter__(self) -> Iterator[SharedFile]:
        return iter(self._files.values())

    def register(
        self, metadata: CheckpointMetadata, checksums: Mapping[str, FileChecksum] | None
    ) -> None:
        """Note that a completed checkpoint uses its shared files.

        Checkpoints are registered in ascending order of their ids, so that the first to use a
        file is taken for its creator.

        Raises:
            CheckpointError: another file is known under the same path.
        """
        checkpoint_id = metadata.checkpoint_id
        handles = [stream for stream in streams_of(metadata) if isinstance(stream, FileHandle)]
        for handle in handles:
            known = self._files.get(handle.path)
            if known is not None and known.handle != handle:
                raise CheckpointError(
                    "Two different files of checkpoints have the same path.",
                    checkpoint=checkpoint_id,
                    path=handle.path,
                    size_bytes=handle.size,
                    known_size_bytes=known.handle.size,
                )
        for handle in handles:
            known = self._files.get(handle.path)
            if known is None:
                checksum = (checksums or {}).get(handle.path, FileChecksum(handle.size, None))
                self._files[handle.path] = SharedFile(
                    handle, checksum, checkpoint_id, checkpoint_id
                )
            else:
                known.last_used_by = max(known.last_used_by, checkpoint_id)

    def register_restored(
        self,
        metadata: CheckpointMetadata,
        checksums: Mapping[str, FileChecksum] | None,
        mode: RestoreMode,
    ) -> None:
        """Note the snapshot that the job starts from.

        Unless it is claimed, nothing of it is ever deleted. Raises as `register`.
        """
        if mode is not RestoreMode.CLAIM:
            self._highest_not_claimed = max(self._highest_not_claimed, metadata.checkpoint_id)
        self.register(metadata, checksums)

    def checksums(self, paths: Iterable[str]) -> dict[str, FileChecksum]:
        """Return the checksums of those of the files that are registered."""
        return {path: self._files[path].checksum for path in paths if path in self._files}

    def release_unused(self, lowest_retained: int) -> tuple[str, ...]:
        """Forget files that no checkpoint from this id on uses; return those to delete."""
        unused = [path for path, file in self._files.items() if file.last_used_by < lowest_retained]
        released = [self._files.pop(path) for path in unused]
        return tuple(
            file.handle.path for file in released if file.created_by > self._highest_not_claimed
        )
