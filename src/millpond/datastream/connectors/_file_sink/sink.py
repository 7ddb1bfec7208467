"""`FileSink`: records in part files, each exactly once, visible when a checkpoint covers them."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, final

from millpond.datastream.connectors._file_sink.bucket_assigner import (
    BasePathBucketAssigner,
    BucketAssigner,
)
from millpond.datastream.connectors._file_sink.commit import commit_parts
from millpond.datastream.connectors._file_sink.encoding import (
    BulkEncoding,
    Encoding,
    RowEncoding,
)
from millpond.datastream.connectors._file_sink.output_file_config import OutputFileConfig
from millpond.datastream.connectors._file_sink.part_file import PendingPart
from millpond.datastream.connectors._file_sink.rolling_policy import (
    OnCheckpointRollingPolicy,
    RollingPolicy,
)
from millpond.datastream.connectors._file_sink.storage import PartStorage, open_storage
from millpond.datastream.connectors._file_sink.writer import Compaction, FileWriter, PartLayout
from millpond.datastream.connectors.base import StreamTransformer, SupportsPreprocessing
from millpond.datastream.connectors.sink import Committable, Sink, SinkWriter, SinkWriterContext
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.common.serialization import BulkWriterFactory, Encoder
    from millpond.datastream.connectors._file_sink.compaction import (
        FileCompactor,
        FileCompactStrategy,
    )

__all__ = ("FileSink", "FileSinkBuilder", "StreamingFileSink")

SinkT = TypeVar("SinkT", bound="FileSink")


def _unique_name() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class _Settings:
    base_path: str
    encoding: Encoding
    bucket_assigner: BucketAssigner
    rolling_policy: RollingPolicy
    output_file_config: OutputFileConfig
    compaction: Compaction | None


class FileSink(Sink, SupportsPreprocessing):
    """Writes records into part files below a directory, exactly once.

    A part is written under a hidden name (it begins with a dot), made durable at the barrier, and
    renamed to ``part-<unique>-<number>`` when the checkpoint that covers it is complete. Without
    checkpointing that happens at the end of the input. Build one with `for_row_format` or
    `for_bulk_format`. Flink: FileSink.
    """

    def __init__(
        self,
        settings: _Settings,
        *,
        open_storage: Callable[[str], tuple[PartStorage, str]] = open_storage,
        new_name: Callable[[], str] = _unique_name,
    ) -> None:
        self._settings = settings
        self._open_storage = open_storage
        self._new_name = new_name

    @classmethod
    def for_row_format(
        cls,
        base_path: str | os.PathLike[str],
        encoder: Encoder | Callable[[Any], bytes],
    ) -> FileSinkBuilder[Self]:
        """Return a builder of a sink that writes record by record.

        Args:
            base_path: directory or URL below which parts appear.
            encoder: `Encoder.simple_string_encoder()`, an `Encoder` of your own, or a function
                from a record to its bytes.
        """
        return FileSinkBuilder(cls, base_path, RowEncoding(encoder))

    @classmethod
    def for_bulk_format(
        cls, base_path: str | os.PathLike[str], writer_factory: BulkWriterFactory
    ) -> FileSinkBuilder[Self]:
        """Return a builder of a sink whose parts end at every checkpoint."""
        return FileSinkBuilder(cls, base_path, BulkEncoding(writer_factory))

    def get_transformer(self) -> StreamTransformer | None:
        """Return None: records are written as they come."""
        return None

    def create_writer(self, context: SinkWriterContext, restored: Sequence[Any]) -> SinkWriter:
        """Make the writer of one subtask. Raises ConnectorError."""
        settings = self._settings
        storage, path = self._open_storage(settings.base_path)
        layout = PartLayout(
            path,
            settings.encoding,
            settings.bucket_assigner,
            settings.rolling_policy,
            settings.output_file_config,
            settings.compaction,
            self._new_name,
        )
        return FileWriter(layout, storage, context, restored)

    def commit(self, committables: Sequence[Committable]) -> None:
        """Rename finished parts to their final names. Raises ConnectorError."""
        storage, _ = self._open_storage(self._settings.base_path)
        commit_parts(storage, [PendingPart.decode(fields) for fields in committables])


@final
class StreamingFileSink(FileSink):
    """`FileSink` under the name of Flink before 1.12; `add_sink` takes it."""


@final
class FileSinkBuilder(Generic[SinkT]):
    """Builds a `FileSink`.

    Row formats start with Flink's default rolling policy: 128 MiB, 60 s old, or 60 s silent.
    """

    def __init__(
        self, sink: type[SinkT], base_path: str | os.PathLike[str], encoding: Encoding
    ) -> None:
        self._sink = sink
        self._base_path = os.fspath(base_path)
        self._encoding = encoding
        self._bucket_assigner: BucketAssigner = BasePathBucketAssigner()
        self._rolling_policy: RollingPolicy = (
            RollingPolicy.default_rolling_policy()
            if encoding.can_resume
            else OnCheckpointRollingPolicy()
        )
        self._output_file_config = OutputFileConfig()
        self._compaction: Compaction | None = None

    def with_bucket_check_interval(self, interval: int) -> FileSinkBuilder[SinkT]:
        """Accept Flink's interval in ms; here age is looked at with every batch and barrier.

        Raises:
            ConfigurationError: the interval is not positive.
        """
        if interval <= 0:
            raise ConfigurationError("The bucket check interval must be positive.", value=interval)
        return self

    def with_bucket_assigner(self, assigner: BucketAssigner) -> FileSinkBuilder[SinkT]:
        """Set which directory a record goes to."""
        self._bucket_assigner = assigner
        return self

    def with_rolling_policy(self, rolling_policy: RollingPolicy) -> FileSinkBuilder[SinkT]:
        """Set when parts end.

        Raises:
            ConfigurationError: a bulk format cannot go on with a part after a checkpoint.
        """
        if not self._encoding.can_resume and not isinstance(
            rolling_policy, OnCheckpointRollingPolicy
        ):
            raise ConfigurationError(
                "Part files of a bulk format end at every checkpoint.",
                hint="Use RollingPolicy.on_checkpoint_rolling_policy().",
            )
        self._rolling_policy = rolling_policy
        return self

    def with_output_file_config(
        self, output_file_config: OutputFileConfig
    ) -> FileSinkBuilder[SinkT]:
        """Set what part files are called."""
        self._output_file_config = output_file_config
        return self

    def enable_compact(
        self, strategy: FileCompactStrategy, compactor: FileCompactor
    ) -> FileSinkBuilder[SinkT]:
        """Combine finished parts into larger ones before they become visible.

        Raises:
            ConfigurationError: parts of a bulk format would be appended to one another.
        """
        if compactor.combines and not self._encoding.can_resume:
            raise ConfigurationError(
                "Part files of a bulk format cannot be appended to one another.",
                hint="Use FileCompactor.identical_file_compactor(), or checkpoint less often.",
            )
        self._compaction = (strategy, compactor)
        return self

    def disable_compact(self) -> FileSinkBuilder[SinkT]:
        """Combine nothing; parts that wait in a restored checkpoint become visible as they are."""
        self._compaction = None
        return self

    def build(self) -> SinkT:
        """Return the sink; nothing is opened yet."""
        settings = _Settings(
            self._base_path,
            self._encoding,
            self._bucket_assigner,
            self._rolling_policy,
            self._output_file_config,
            self._compaction,
        )
        return self._sink(settings)
