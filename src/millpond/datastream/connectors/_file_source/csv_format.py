"""Comma-separated values."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, BinaryIO, final

from millpond.datastream.connectors._file_source.input_file import InputFile, reading
from millpond.datastream.connectors._file_source.line_format import codec_name
from millpond.datastream.connectors._file_source.stream_format import RecordReader, StreamFormat
from millpond.errors import ConfigurationError, DataFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ("CsvFormat",)


@final
class CsvFormat(StreamFormat):
    """Records are dictionaries; see `StreamFormat.csv_format`. Fields may hold line ends."""

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        delimiter: str = ",",
        charset_name: str = "UTF-8",
        null_values: Sequence[str] = (),
        converters: Mapping[str, Callable[[str], Any]] | None = None,
    ) -> None:
        self._columns = None if columns is None else tuple(columns)
        self._delimiter = delimiter
        self._codec = codec_name(charset_name)
        if self._codec.startswith(("utf-16", "utf-32")):
            raise ConfigurationError(
                f"CSV is not read in {charset_name}.", hint="Convert the file to UTF-8."
            )
        self._null_values = frozenset(null_values)
        self._converters = dict(converters or {})

    def open(self, file: InputFile, position: Mapping[str, Any] | None) -> RecordReader:
        """Start at the byte offset; the header is read first in any case."""
        return _CsvReader(
            file,
            position,
            columns=self._columns,
            delimiter=self._delimiter,
            codec=self._codec,
            null_values=self._null_values,
            converters=self._converters,
        )


@final
class _CsvReader(RecordReader):
    def __init__(
        self,
        file: InputFile,
        position: Mapping[str, Any] | None,
        *,
        columns: tuple[str, ...] | None,
        delimiter: str,
        codec: str,
        null_values: frozenset[str],
        converters: Mapping[str, Callable[[str], Any]],
    ) -> None:
        import csv

        self._name = file.name
        self._codec = codec
        self._null_values = null_values
        self._offset = 0
        self._record = 0
        self._csv_error: type[Exception] = csv.Error
        self._stream: BinaryIO = file.open()
        lines = self._lines()
        self._rows: Iterator[list[str]] = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            with self._reading():
                header = next(self._rows, []) if columns is None else columns
            self._columns = tuple(header)
            self._converters = self._checked(converters)
        except BaseException:
            self._stream.close()
            raise
        if position:
            self._record = position["record"]
            if position["offset"] != self._offset:
                self._stream.close()
                self._stream = file.open(position["offset"])
                self._offset = position["offset"]

    def read(self, limit: int) -> list[Any]:
        values: list[Any] = []
        with self._reading():
            for row in self._rows:
                if row:
                    values.append(self._value(row))
                    if len(values) == limit:
                        break
        return values

    def _value(self, row: list[str]) -> dict[str, Any]:
        self._record += 1
        if len(row) != len(self._columns):
            raise DataFileError(
                f"A row has {len(row)} fields where the file has {len(self._columns)} columns.",
                file=self._name,
                record=self._record,
            )
        value: dict[str, Any] = dict(zip(self._columns, row, strict=True))
        null_values = self._null_values
        if null_values and not null_values.isdisjoint(row):
            value = {name: None if text in null_values else text for name, text in value.items()}
        for name, convert in self._converters.items():
            if value[name] is not None:
                value[name] = self._converted(name, value[name], convert)
        return value

    def position(self) -> Mapping[str, Any]:
        return {"offset": self._offset, "record": self._record}

    def close(self) -> None:
        self._stream.close()

    def _lines(self) -> Iterator[str]:
        # The CSV reader asks for a line only when it needs one, so the offset is that of the
        # next record whenever it has returned one. The stream is looked up anew: it may be moved.
        while line := self._stream.readline():
            start = self._offset == 0
            self._offset += len(line)
            text = line.decode(self._codec)
            yield text.removeprefix("\ufeff") if start else text

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with reading(self._name, "record", lambda: self._record + 1):
            try:
                yield
            except self._csv_error as error:
                raise DataFileError(
                    f"A row is not CSV: {error}.", file=self._name, record=self._record + 1
                ) from error

    def _checked(
        self, converters: Mapping[str, Callable[[str], Any]]
    ) -> Mapping[str, Callable[[str], Any]]:
        for name in converters:
            if self._columns and name not in self._columns:
                raise DataFileError(
                    f"The file has no column {name!r}.",
                    hint=f"It has {', '.join(self._columns)}.",
                    file=self._name,
                )
        return converters

    def _converted(self, column: str, text: str, convert: Callable[[str], Any]) -> Any:
        try:
            return convert(text)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise DataFileError(
                f"The field {text!r} does not fit its column: {error}.",
                file=self._name,
                record=self._record,
                column=column,
            ) from error
