"""A checkpoint or savepoint that is complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from millpond.checkpoint.reader import SnapshotSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.checkpoint.checksum import FileChecksum
    from millpond.checkpoint.location import CheckpointLocation
    from millpond.formats.handles import CheckpointMetadata

__all__ = ("NOT_ADDRESSABLE", "CompletedCheckpoint")

NOT_ADDRESSABLE = "<checkpoint-not-externally-addressable>"


@final
@dataclass(frozen=True, slots=True)
class CompletedCheckpoint:
    """What the job manager keeps of it.

    Attributes:
        checksums: of all files, those taken over from earlier checkpoints included; None for a
            snapshot that Flink wrote.
        metadata_size_bytes: length of `_metadata`, 0 if it stayed in memory.
    """

    checkpoint_id: int
    metadata: CheckpointMetadata
    location: CheckpointLocation
    checksums: Mapping[str, FileChecksum] | None
    metadata_size_bytes: int = 0

    @property
    def is_savepoint(self) -> bool:
        """Whether it belongs to the user, and is never deleted."""
        return self.location.is_savepoint

    @property
    def external_path(self) -> str:
        """The directory to restore from; Flink's placeholder text if there is none."""
        return self.location.directory or NOT_ADDRESSABLE

    @property
    def source(self) -> SnapshotSource:
        """What a reader needs; plain data."""
        return SnapshotSource(self.location.directory, self.checksums)
