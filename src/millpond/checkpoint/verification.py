"""Reading a whole snapshot to prove that it can be restored, and saying all that is wrong."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.stream_walk import streams_of
from millpond.errors import CheckpointStorageError, ConfigurationError, SnapshotCorruptedError
from millpond.filesystem import get_file_system
from millpond.formats.handles import InlineHandle

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.errors import MillpondError
    from millpond.filesystem import FileSystemResolver
    from millpond.formats.handles import StreamHandle

__all__ = ("VerificationReport", "verify_checkpoint")


@final
@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What was read of one snapshot.

    Attributes:
        path: URL of its directory.
        checkpoint_id: None if not even the metadata can be read.
        files: number of files beside the metadata.
        size_bytes: their length, inline state included.
        has_checksums: False for a snapshot that Flink wrote and nobody sealed; only lengths were
            compared.
        errors: everything that is wrong; empty for a good one.
    """

    path: str
    checkpoint_id: int | None
    files: int
    size_bytes: int
    has_checksums: bool
    errors: tuple[MillpondError, ...]


def verify_checkpoint(
    url: str,
    *,
    threads: int = 4,
    progress: Callable[[int, int], None] | None = None,
    resolve: FileSystemResolver = get_file_system,
) -> VerificationReport:
    """Read every file of a snapshot and compare length and checksum.

    Args:
        url: the directory of the snapshot, or the `_metadata` file in it.
        threads: how many files are read at a time.
        progress: called in this thread with bytes done and bytes in all, after each file.
        resolve: how a URL becomes a file system.

    Raises:
        CheckpointNotFoundError: there is no complete snapshot.
    """
    if threads < 1:
        raise ConfigurationError("At least one thread is needed.", value=threads)
    try:
        loaded = load_checkpoint(url, resolve=resolve)
    except (SnapshotCorruptedError, CheckpointStorageError) as error:
        return VerificationReport(os.fspath(url), None, 0, 0, False, (error,))
    reader = loaded.source.reader(resolve=resolve)
    streams = dict.fromkeys(streams_of(loaded.metadata))
    files = [stream for stream in streams if not isinstance(stream, InlineHandle)]
    total = sum(stream.size for stream in streams)
    done = total - sum(stream.size for stream in files)

    def failure(handle: StreamHandle) -> MillpondError | None:
        try:
            reader.verify(handle)
        except (SnapshotCorruptedError, CheckpointStorageError) as error:
            return error
        return None

    errors: list[MillpondError] = []
    with ThreadPoolExecutor(threads, "millpond-verify") as pool:
        for handle, wrong in zip(files, pool.map(failure, files), strict=True):
            done += handle.size
            if wrong is not None:
                errors.append(wrong)
            if progress is not None:
                progress(done, total)
    return VerificationReport(
        loaded.external_path,
        loaded.metadata.checkpoint_id,
        len(files),
        total,
        loaded.source.checksums is not None,
        tuple(errors),
    )
