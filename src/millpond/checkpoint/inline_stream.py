"""Snapshot streams that end as bytes in the acknowledgement: the job manager's memory."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, final

from millpond.checkpoint.storage_failure import reported
from millpond.errors import StateSizeExceededError
from millpond.formats.handles import InlineHandle

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from millpond.checkpoint.checksum import FileChecksum
    from millpond.state.contract.snapshot import SnapshotScope

__all__ = ("InlineSnapshotStreams",)


@final
class InlineSnapshotStreams:
    """Streams of at most `max_state_size_bytes` each (MemCheckpointStreamFactory).

    Safe for several threads.
    """

    __slots__ = ("_max_state_size_bytes", "_random")

    def __init__(self, max_state_size_bytes: int | None, random: Random) -> None:
        self._max_state_size_bytes = max_state_size_bytes
        self._random = random

    @property
    def checksums(self) -> dict[str, FileChecksum]:
        """Files written: none, ever."""
        return {}

    def open(self, scope: SnapshotScope) -> _InlineOutput:
        """Start a new stream; who owns it makes no difference here."""
        del scope
        return _InlineOutput(self._max_state_size_bytes, self._random)

    def upload(self, path: Path, scope: SnapshotScope) -> InlineHandle:
        """Take in a finished local file.

        Raises:
            StateSizeExceededError: the file is larger than the limit.
            CheckpointStorageError: it cannot be read.
        """
        with reported("read the local file of a snapshot", str(path)):
            size = path.stat().st_size
            _check_size(size, self._max_state_size_bytes)
            data = path.read_bytes()
        output = self.open(scope)
        output.write(data)
        return InlineHandle(data, output.name)


@final
class _InlineOutput:
    __slots__ = ("_buffer", "_limit", "name")

    def __init__(self, limit: int | None, random: Random) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self.name = str(uuid.UUID(int=random.getrandbits(128), version=4))

    def write(self, data: bytes) -> None:
        _check_size(len(self._buffer) + len(data), self._limit)
        self._buffer += data

    @property
    def position(self) -> int:
        return len(self._buffer)

    def finish(self) -> InlineHandle | None:
        return InlineHandle(bytes(self._buffer), self.name) if self._buffer else None

    def abort(self) -> None:
        self._buffer.clear()


def _check_size(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise StateSizeExceededError(
            "The state of one subtask is larger than the job manager's memory takes.",
            hint=(
                "Keep checkpoints in files: FsStateBackend or RocksDBStateBackend with a "
                "directory (execution.checkpointing.dir), or raise MemoryStateBackend's limit."
            ),
            size_bytes=size,
            max_size_bytes=limit,
        )
