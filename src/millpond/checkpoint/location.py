"""Where one checkpoint or savepoint goes: plain data that may cross to the worker process."""

from __future__ import annotations

import random as random_module
from dataclasses import dataclass
from random import Random
from typing import final

from millpond.checkpoint.file_stream import FileSnapshotStreams
from millpond.checkpoint.inline_stream import InlineSnapshotStreams
from millpond.checkpoint.storage_failure import Retry
from millpond.filesystem import FileSystemResolver, get_file_system

__all__ = ("CheckpointLocation", "CheckpointStreams")

CheckpointStreams = FileSnapshotStreams | InlineSnapshotStreams


@final
@dataclass(frozen=True, slots=True)
class CheckpointLocation:
    """The directory of one checkpoint, and the limits for what is written there.

    Attributes:
        directory: URL of `chk-<n>` or of the savepoint; None when nothing is written at all.
        shared_directory: URL of `shared`; None for savepoints, which hold everything themselves.
        max_state_size_bytes: set for the job manager's memory: every stream goes inline, and a
            larger one is refused.
    """

    checkpoint_id: int
    directory: str | None
    shared_directory: str | None = None
    is_savepoint: bool = False
    inline_threshold_bytes: int = 20 * 1024
    write_buffer_bytes: int = 4096
    max_state_size_bytes: int | None = None

    def streams(
        self,
        *,
        resolve: FileSystemResolver = get_file_system,
        random: Random | None = None,
        retry: Retry | None = None,
    ) -> CheckpointStreams:
        """Return a writer for one subtask; its `checksums` belong into the acknowledgement.

        Args:
            resolve: how a URL becomes a file system.
            random: where file names come from; None is the system's randomness.
            retry: how often an upload is tried.
        """
        source = random or random_module.SystemRandom()
        if self.max_state_size_bytes is not None or self.directory is None:
            return InlineSnapshotStreams(self.max_state_size_bytes, source)
        return FileSnapshotStreams(
            self.directory,
            self.shared_directory,
            inline_threshold_bytes=self.inline_threshold_bytes,
            buffer_bytes=max(self.write_buffer_bytes, self.inline_threshold_bytes),
            resolve=resolve,
            random=source,
            retry=retry or Retry(),
        )
