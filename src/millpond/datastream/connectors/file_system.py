"""PyFlink's module path for file sources and sinks; private packages beside it hold the parts."""

from __future__ import annotations

from millpond.common.serialization import BulkWriter, BulkWriterFactory
from millpond.datastream.connectors._file_sink.bucket_assigner import BucketAssigner
from millpond.datastream.connectors._file_sink.compaction import (
    FileCompactor,
    FileCompactStrategy,
)
from millpond.datastream.connectors._file_sink.output_file_config import OutputFileConfig
from millpond.datastream.connectors._file_sink.rolling_policy import (
    DefaultRollingPolicy,
    OnCheckpointRollingPolicy,
    RollingPolicy,
)
from millpond.datastream.connectors._file_sink.sink import FileSink, StreamingFileSink
from millpond.datastream.connectors._file_source.file_enumerator import (
    FileEnumeratorProvider,
    FileSplitAssignerProvider,
)
from millpond.datastream.connectors._file_source.input_file import InputFile
from millpond.datastream.connectors._file_source.source import FileSource, FileSourceBuilder
from millpond.datastream.connectors._file_source.stream_format import (
    BulkFormat,
    RecordReader,
    StreamFormat,
)

__all__ = (
    # sources
    "BulkFormat",
    "FileEnumeratorProvider",
    "FileSource",
    "FileSourceBuilder",
    "FileSplitAssignerProvider",
    "InputFile",
    "RecordReader",
    "StreamFormat",
    # sinks
    "BucketAssigner",
    "BulkWriter",
    "BulkWriterFactory",
    "DefaultRollingPolicy",
    "FileCompactStrategy",
    "FileCompactor",
    "FileSink",
    "OnCheckpointRollingPolicy",
    "OutputFileConfig",
    "RollingPolicy",
    "StreamingFileSink",
)
