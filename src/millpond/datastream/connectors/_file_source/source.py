"""`FileSource`: records of files, each read once from start to end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.connectors._file_source.file_enumerator import FileEnumerator
from millpond.datastream.connectors._file_source.input_file import InputFile
from millpond.datastream.connectors.source import Records, Source, Split, SplitReader
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from millpond.clock import Clock
    from millpond.common.time import Duration
    from millpond.datastream.connectors._file_source.stream_format import (
        BulkFormat,
        RecordReader,
        StreamFormat,
    )

__all__ = ("FileSource", "FileSourceBuilder")


@final
class FileSource(Source):
    """Reads files; a split is a file or a member of a zip archive.

    The position holds the record's number and byte offset, so a restarted reader goes straight to
    the next record; in packed files it reads over what comes before. Flink: FileSource.
    """

    has_timestamps = False

    def __init__(
        self,
        format: StreamFormat | BulkFormat,
        paths: Sequence[str],
        enumerator: FileEnumerator,
        discovery_interval_ms: int | None,
    ) -> None:
        self._format = format
        self._paths = tuple(paths)
        self._enumerator = enumerator
        self._discovery_interval_ms = discovery_interval_ms
        self.bounded = discovery_interval_ms is None

    @staticmethod
    def for_record_stream_format(
        stream_format: StreamFormat, *paths: str | os.PathLike[str]
    ) -> FileSourceBuilder:
        """Return a builder of a source that reads files, or directories, record by record."""
        return FileSourceBuilder(stream_format, paths)

    @staticmethod
    def for_bulk_file_format(
        bulk_format: BulkFormat, *paths: str | os.PathLike[str]
    ) -> FileSourceBuilder:
        """Return a builder of a source that reads files, or directories, in blocks."""
        return FileSourceBuilder(bulk_format, paths)

    def splits(self, parallelism: int) -> Sequence[Split]:
        """Return a split an input, in the order of the paths and by name.

        Raises:
            DataFileError: a path does not exist, or an archive is damaged.
        """
        inputs = self._enumerator.enumerate(self._paths, missing_allowed=not self.bounded)
        return tuple(Split(file.name, {"url": file.url, "member": file.member}) for file in inputs)

    def open_split(
        self,
        split: Split,
        position: Mapping[str, Any] | None,
        clock: Clock,
    ) -> SplitReader:
        """Open a file after the last record returned. Raises DataFileError."""
        file = InputFile(split.payload["url"], split.payload["member"])
        return _FileSplitReader(self._format.open(file, position))

    @property
    def discovery_interval_ms(self) -> int | None:
        """How often to look for new files; None: only at the start."""
        return self._discovery_interval_ms


@final
class FileSourceBuilder:
    """Builds a `FileSource`."""

    def __init__(
        self, format: StreamFormat | BulkFormat, paths: Sequence[str | os.PathLike[str]]
    ) -> None:
        if not paths:
            raise ConfigurationError("A file source needs one path at least.")
        self._format = format
        self._paths = [os.fspath(path) for path in paths]
        self._enumerator = FileEnumerator()
        self._discovery_interval_ms: int | None = None

    def monitor_continuously(self, discovery_interval: Duration) -> FileSourceBuilder:
        """Never end: look for new files again and again. Raises ConfigurationError."""
        interval_ms = discovery_interval.to_millis()
        if interval_ms <= 0:
            raise ConfigurationError("The discovery interval must be positive.", value=interval_ms)
        self._discovery_interval_ms = interval_ms
        return self

    def process_static_file_set(self) -> FileSourceBuilder:
        """Read the files that are there at the start, then end; this is the default."""
        self._discovery_interval_ms = None
        return self

    def set_file_enumerator(self, file_enumerator: FileEnumerator) -> FileSourceBuilder:
        """Set what finds the files."""
        self._enumerator = file_enumerator
        return self

    def set_split_assigner(self, split_assigner: None) -> FileSourceBuilder:
        """Accept PyFlink's assigner; files come to subtasks in turn in any case."""
        return self

    def build(self) -> FileSource:
        """Return the source; nothing is opened yet."""
        return FileSource(self._format, self._paths, self._enumerator, self._discovery_interval_ms)


@final
class _FileSplitReader(SplitReader):
    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._finished = False

    def read(self, limit: int) -> Records | None:
        values = self._reader.read(limit)
        self._finished = len(values) < limit
        return Records(values) if values else None

    @property
    def finished(self) -> bool:
        return self._finished

    def position(self) -> Mapping[str, Any]:
        return self._reader.position()

    def close(self) -> None:
        self._reader.close()
