"""Parquet files, by pyarrow."""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, final

from millpond.datastream.connectors._file_source.input_file import InputFile, reading
from millpond.datastream.connectors._file_source.stream_format import BulkFormat, RecordReader
from millpond.errors import DataFileError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ("ParquetFormat",)

_BATCH_ROWS = 2048


@final
class ParquetFormat(BulkFormat):
    """Records are dictionaries from column name to value; see `BulkFormat.parquet_format`."""

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self._columns = None if columns is None else list(columns)

    def open(self, file: InputFile, position: Mapping[str, Any] | None) -> RecordReader:
        """Start at the record; row groups before it are not read."""
        return _ParquetReader(file, position["record"] if position else 0, self._columns)


@final
class _ParquetReader(RecordReader):
    def __init__(self, file: InputFile, record: int, columns: list[str] | None) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            raise MissingDependencyError(
                "Parquet files need pyarrow, which is not installed.",
                hint="Run: pip install 'millpond[parquet]'",
            ) from error
        self._name = file.name
        self._record = record
        self._arrow_error: type[Exception] = pa.ArrowException
        self._stream: BinaryIO = file.open()
        try:
            with self._reading():
                self._file = parquet.ParquetFile(self._stream)
            self._check(columns)
        except BaseException:
            self._stream.close()
            raise
        self._rows = self._from(record, columns)

    def read(self, limit: int) -> list[Any]:
        with self._reading():
            values = list(islice(self._rows, limit))
        self._record += len(values)
        return values

    def position(self) -> Mapping[str, Any]:
        return {"record": self._record}

    def close(self) -> None:
        self._stream.close()

    def _from(self, record: int, columns: list[str] | None) -> Iterator[dict[str, Any]]:
        skip = record
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if skip >= rows:
                skip -= rows
                continue
            for batch in self._file.iter_batches(_BATCH_ROWS, [group], columns):
                yield from batch.slice(skip).to_pylist()
                skip = max(0, skip - batch.num_rows)
        if skip:
            raise DataFileError(
                "An input file is shorter than when the checkpoint was taken.",
                file=self._name,
                record=record,
            )

    def _check(self, columns: list[str] | None) -> None:
        present = self._file.schema_arrow.names
        for column in columns or ():
            if column not in present:
                raise DataFileError(
                    f"The file has no column {column!r}.",
                    hint=f"It has {', '.join(present)}.",
                    file=self._name,
                )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with reading(self._name, "record", lambda: self._record + 1):
            try:
                yield
            except self._arrow_error as error:
                raise DataFileError(
                    f"A Parquet file cannot be read: {str(error).rstrip('.')}.",
                    hint="The file may be truncated or damaged; fetch it again.",
                    file=self._name,
                    record=self._record + 1,
                ) from error
