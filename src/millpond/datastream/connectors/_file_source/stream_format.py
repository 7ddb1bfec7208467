"""The contract of formats: from the bytes of an input to records, and back to a position."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from millpond.datastream.connectors._file_source.input_file import InputFile

__all__ = ("BulkFormat", "RecordReader", "StreamFormat")


class RecordReader(ABC):
    """Reads the records of one input in order."""

    @abstractmethod
    def read(self, limit: int) -> list[Any]:
        """Return the next records: exactly `limit` unless the input ends.

        Raises:
            DataFileError: the input is damaged; names the file and the record.
        """

    @abstractmethod
    def position(self) -> Mapping[str, Any]:
        """Return where the next record begins, for `open`."""

    @abstractmethod
    def close(self) -> None:
        """Close the file; may be called twice."""


class BulkFormat(ABC):
    """A format that is read in blocks, such as a columnar one. Flink: BulkFormat."""

    @abstractmethod
    def open(self, file: InputFile, position: Mapping[str, Any] | None) -> RecordReader:
        """Start reading at a position of an earlier reader, or at the first record."""

    @staticmethod
    def parquet_format(columns: Sequence[str] | None = None) -> BulkFormat:
        """Return the format of Parquet files, whose records are dictionaries.

        Needs `pip install 'millpond[parquet]'`. A restored job skips row groups it has read.

        Args:
            columns: names of the columns that are read; None: all.
        """
        from millpond.datastream.connectors._file_source.parquet_format import ParquetFormat

        return ParquetFormat(columns)


class StreamFormat(ABC):
    """A format that is read record by record. Flink: StreamFormat.

    Beside PyFlink's text lines there are comma-separated values and JSON lines.
    """

    @abstractmethod
    def open(self, file: InputFile, position: Mapping[str, Any] | None) -> RecordReader:
        """Start reading at a position of an earlier reader, or at the first record."""

    @staticmethod
    def text_line_format(charset_name: str = "UTF-8") -> StreamFormat:
        r"""Return the format whose records are lines of text without their line ends.

        Lines end with ``\n`` or ``\r\n``.

        Raises:
            ConfigurationError: nobody knows the character set.
        """
        from millpond.datastream.connectors._file_source.line_format import TextLineFormat

        return TextLineFormat(charset_name)

    @staticmethod
    def csv_format(
        columns: Sequence[str] | None = None,
        *,
        delimiter: str = ",",
        charset_name: str = "UTF-8",
        null_values: Sequence[str] = (),
        converters: Mapping[str, Callable[[str], Any]] | None = None,
    ) -> StreamFormat:
        """Return the format whose records are dictionaries from column name to text.

        Args:
            columns: names of the columns; None: the first line holds them.
            delimiter: one character between fields.
            charset_name: name of a character set that contains ASCII.
            null_values: texts that stand for None.
            converters: functions that turn the text of a column into something else.
        """
        from millpond.datastream.connectors._file_source.csv_format import CsvFormat

        return CsvFormat(columns, delimiter, charset_name, null_values, converters)

    @staticmethod
    def json_lines_format() -> StreamFormat:
        """Return the format whose records are the JSON values of the lines."""
        from millpond.datastream.connectors._file_source.json_lines_format import JsonLinesFormat

        return JsonLinesFormat()
