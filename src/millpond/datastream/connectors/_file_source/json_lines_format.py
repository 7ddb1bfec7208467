"""JSON lines."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.connectors._file_source.input_file import InputFile, reading
from millpond.datastream.connectors._file_source.stream_format import RecordReader, StreamFormat
from millpond.errors import DataFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("JsonLinesFormat",)


@final
class JsonLinesFormat(StreamFormat):
    """Records are the JSON values of the lines; empty lines are skipped."""

    def open(self, file: InputFile, position: Mapping[str, Any] | None) -> RecordReader:
        """Start at the byte offset."""
        return _JsonLinesReader(file, position)


@final
class _JsonLinesReader(RecordReader):
    def __init__(self, file: InputFile, position: Mapping[str, Any] | None) -> None:
        import msgspec

        self._decode = msgspec.json.Decoder().decode
        self._decode_error = msgspec.DecodeError
        self._name = file.name
        self._offset: int = position["offset"] if position else 0
        self._line: int = position["record"] if position else 0
        self._stream = file.open(self._offset)

    def read(self, limit: int) -> list[Any]:
        values: list[Any] = []
        while len(values) < limit:
            with reading(self._name, "line", lambda: self._line + 1):
                lines = list(islice(self._stream, limit - len(values)))
            if not lines:
                break
            for line in lines:
                self._line += 1
                if not line.isspace():
                    values.append(self._value(line))
            self._offset += sum(map(len, lines))
        return values

    def position(self) -> Mapping[str, Any]:
        return {"offset": self._offset, "record": self._line}

    def close(self) -> None:
        self._stream.close()

    def _value(self, line: bytes) -> Any:
        try:
            return self._decode(line)
        except (self._decode_error, UnicodeError) as error:
            raise DataFileError(
                f"A line is not JSON: {error}.", file=self._name, line=self._line
            ) from error
