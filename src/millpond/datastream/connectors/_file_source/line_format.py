"""Lines of text."""

from __future__ import annotations

import codecs
import io
from itertools import islice
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.connectors._file_source.input_file import InputFile, reading
from millpond.datastream.connectors._file_source.stream_format import RecordReader, StreamFormat
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("TextLineFormat", "codec_name")


def codec_name(charset_name: str) -> str:
    """Return Python's name of a character set. Raises ConfigurationError."""
    try:
        return codecs.lookup(charset_name).name
    except LookupError as error:
        raise ConfigurationError(
            f"Nobody knows the character set {charset_name!r}.", hint="The usual one is UTF-8."
        ) from error


@final
class TextLineFormat(StreamFormat):
    """Records are lines; see `StreamFormat.text_line_format`."""

    def __init__(self, charset_name: str = "UTF-8") -> None:
        self._codec = codec_name(charset_name)

    def open(self, file: InputFile, position: Mapping[str, Any] | None) -> RecordReader:
        """Start at the byte offset, or at the line number where bytes do not tell lines apart."""
        if self._codec.startswith(("utf-16", "utf-32")):
            return _WideLineReader(file, self._codec, position)
        return _LineReader(file, self._codec, position)


@final
class _LineReader(RecordReader):
    """Character sets in which the byte 10 is nothing but a line end."""

    def __init__(self, file: InputFile, codec: str, position: Mapping[str, Any] | None) -> None:
        self._name = file.name
        self._codec = codec
        self._offset: int = position["offset"] if position else 0
        self._record: int = position["record"] if position else 0
        self._stream = file.open(self._offset)

    def read(self, limit: int) -> list[Any]:
        with reading(self._name, "line", lambda: self._record + 1):
            lines = list(islice(self._stream, limit))
            data = b"".join(lines)
            text = data.decode(self._codec)
        if not lines:
            return []
        self._offset += len(data)
        self._record += len(lines)
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        values = text.split("\n")
        if not values[-1]:
            values.pop()
        return values

    def position(self) -> Mapping[str, Any]:
        return {"offset": self._offset, "record": self._record}

    def close(self) -> None:
        self._stream.close()


@final
class _WideLineReader(RecordReader):
    """Character sets of two or four bytes a character: a line is found by reading on to it."""

    def __init__(self, file: InputFile, codec: str, position: Mapping[str, Any] | None) -> None:
        self._name = file.name
        self._stream = io.TextIOWrapper(file.open(), encoding=codec, newline="\n")
        self._record = 0
        while position and self._record < position["record"]:
            if not self.read(min(position["record"] - self._record, 65_536)):
                break

    def read(self, limit: int) -> list[Any]:
        with reading(self._name, "line", lambda: self._record + 1):
            lines = list(islice(self._stream, limit))
        self._record += len(lines)
        return [line.removesuffix("\n").removesuffix("\r") for line in lines]

    def position(self) -> Mapping[str, Any]:
        return {"record": self._record}

    def close(self) -> None:
        self._stream.close()
