"""`FileCompactStrategy` and `FileCompactor`: when finished parts are combined, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from millpond.errors import ConfigurationError, ConnectorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.datastream.connectors._file_sink.part_file import PendingPart
    from millpond.datastream.connectors._file_sink.storage import OpenPart, PartStorage

__all__ = ("FileCompactStrategy", "FileCompactor", "concatenate", "groups_to_compact")

_CHUNK_BYTES = 1 << 20


@final
class _Builder:
    def __init__(self) -> None:
        self._size_threshold = -1
        self._checkpoints = -1
        self._threads = 1

    def set_size_threshold(self, size_threshold: int) -> _Builder:
        """Combine the parts of a bucket when they have so many bytes together."""
        self._size_threshold = size_threshold
        return self

    def enable_compaction_on_checkpoint(self, num_checkpoints_before_compaction: int) -> _Builder:
        """Combine all parts that wait whenever so many checkpoints have passed.

        Raises:
            ConfigurationError: less than 1.
        """
        if num_checkpoints_before_compaction < 1:
            raise ConfigurationError(
                "The number of checkpoints before a compaction must be at least 1.",
                value=num_checkpoints_before_compaction,
            )
        self._checkpoints = num_checkpoints_before_compaction
        return self

    def set_num_compact_threads(self, num_compact_threads: int) -> _Builder:
        """Accept Flink's number of threads; each subtask combines its own parts at the barrier.

        Raises:
            ConfigurationError: less than 1.
        """
        if num_compact_threads < 1:
            raise ConfigurationError(
                "The number of compacting threads must be at least 1.", value=num_compact_threads
            )
        self._threads = num_compact_threads
        return self

    def build(self) -> FileCompactStrategy:
        """Return the strategy.

        Raises:
            ConfigurationError: neither a size nor a number of checkpoints is set.
        """
        if self._size_threshold < 0 and self._checkpoints < 1:
            raise ConfigurationError(
                "A compaction strategy needs a size threshold or a number of checkpoints.",
                hint="Call set_size_threshold or enable_compaction_on_checkpoint.",
            )
        return FileCompactStrategy(self._size_threshold, self._checkpoints, self._threads)


@final
@dataclass(frozen=True, slots=True)
class FileCompactStrategy:
    """When finished parts are combined; -1 is never. At the end of the input all of them are.

    Flink: FileCompactStrategy.
    """

    size_threshold_bytes: int = -1
    checkpoints_before_compaction: int = -1
    compact_threads: int = 1

    Builder = _Builder

    @staticmethod
    def builder() -> _Builder:
        """Return a builder; a size or a number of checkpoints must be set."""
        return _Builder()


@final
@dataclass(frozen=True, slots=True)
class FileCompactor:
    """How parts are combined; make one with the static methods. Flink: FileCompactor."""

    file_delimiter: bytes = b""
    combines: bool = True

    @staticmethod
    def concat_file_compactor(file_delimiter: bytes | None = None) -> FileCompactor:
        """Append the parts to one another, with a delimiter between them if one is given."""
        return FileCompactor(file_delimiter or b"")

    @staticmethod
    def identical_file_compactor() -> FileCompactor:
        """Leave each part as it is."""
        return FileCompactor(combines=False)


def groups_to_compact(
    strategy: FileCompactStrategy,
    compactor: FileCompactor,
    waiting: Sequence[PendingPart],
    *,
    everything: bool,
) -> tuple[list[list[PendingPart]], list[PendingPart]]:
    """Return the parts to combine, a list each, and those that wait on; all in their order."""
    if not compactor.combines:
        return [[part] for part in waiting], []
    ready: list[list[PendingPart]] = []
    collecting: dict[str, list[PendingPart]] = {}
    for part in waiting:
        group = collecting.setdefault(part.directory, [])
        group.append(part)
        if 0 <= strategy.size_threshold_bytes <= sum(member.length for member in group):
            ready.append(collecting.pop(part.directory))
    if everything:
        ready.extend(collecting.values())
        collecting = {}
    return ready, [part for group in collecting.values() for part in group]


def concatenate(
    storage: PartStorage, parts: Sequence[PendingPart], output: OpenPart, delimiter: bytes
) -> int:
    """Write parts one after the other; return how many bytes that were.

    Raises:
        ConnectorError: a part has another length than it had.
        OSError: the file system failed.
    """
    written = 0
    for number, part in enumerate(parts):
        if number:
            output.write(delimiter)
            written += len(delimiter)
        length = 0
        with storage.open(part.path) as source:
            while chunk := source.read(_CHUNK_BYTES):
                output.write(chunk)
                length += len(chunk)
        if length != part.length:
            raise ConnectorError(
                f"A part file has {length} bytes where the checkpoint says {part.length}.",
                hint="It was changed by somebody else.",
                path=part.path,
            )
        written += length
    return written
