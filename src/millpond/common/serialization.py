"""Schemas of connectors: from values to bytes and back, and encoders of files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, BinaryIO, final

from millpond.common.typeinfo import TypeInformation, Types
from millpond.common.types import Row
from millpond.errors import SerializationError

__all__ = (
    "BulkWriter",
    "BulkWriterFactory",
    "ByteArraySchema",
    "DeserializationSchema",
    "Encoder",
    "RowFieldExtractorSchema",
    "SerializationSchema",
    "SimpleStringSchema",
)


class SerializationSchema(ABC):
    """Turns a value into the bytes of one message."""

    @abstractmethod
    def serialize(self, element: Any) -> bytes:
        """Return the bytes of the value.

        Raises:
            SerializationError: the value is not of the schema's type.
        """


class DeserializationSchema(ABC):
    """Turns the bytes of one message into a value."""

    @abstractmethod
    def deserialize(self, message: bytes) -> Any:
        """Return the value.

        Raises:
            SerializationError: the bytes hold no such value.
        """

    @abstractmethod
    def get_produced_type(self) -> TypeInformation:
        """Return the type of the values."""

    def is_end_of_stream(self, next_element: Any) -> bool:
        """Say whether the value ends the stream; by default none does."""
        return False


@final
class SimpleStringSchema(SerializationSchema, DeserializationSchema):
    """Strings as their bytes in one character set.

    Raises:
        LookupError: Python knows no such character set.
    """

    def __init__(self, charset: str = "UTF-8") -> None:
        "".encode(charset)
        self.charset = charset

    def serialize(self, element: Any) -> bytes:
        """Return the bytes of the string."""
        if not isinstance(element, str):
            raise _wrong_value("str", element)
        try:
            return element.encode(self.charset)
        except UnicodeError as error:
            message = f"A string cannot be written in {self.charset}: {error}."
            raise SerializationError(message) from error

    def deserialize(self, message: bytes) -> str:
        """Return the string."""
        try:
            return message.decode(self.charset)
        except UnicodeError as error:
            raise SerializationError(f"The bytes are no {self.charset} text: {error}.") from error

    def get_produced_type(self) -> TypeInformation:
        """Return STRING."""
        return Types.STRING()


@final
class ByteArraySchema(SerializationSchema, DeserializationSchema):
    """Bytes as they are."""

    def serialize(self, element: Any) -> bytes:
        """Return the bytes."""
        if not isinstance(element, (bytes, bytearray, memoryview)):
            raise _wrong_value("bytes", element)
        return bytes(element)

    def deserialize(self, message: bytes) -> bytes:
        """Return the bytes."""
        return message

    def get_produced_type(self) -> TypeInformation:
        """Return an array of BYTE."""
        return Types.PRIMITIVE_ARRAY(Types.BYTE())


@final
class RowFieldExtractorSchema(SerializationSchema):
    """One field of a row, which must be bytes; for keys of messages.

    Raises:
        ValueError: the index is negative.
    """

    def __init__(self, field_index: int) -> None:
        if field_index < 0:
            raise ValueError(f"The field index is negative: {field_index}.")
        self.field_index = field_index

    def serialize(self, element: Any) -> bytes:
        """Return the bytes of the field; nothing for None."""
        if not isinstance(element, Row) or len(element) <= self.field_index:
            raise _wrong_value(f"Row with a field {self.field_index}", element)
        field = element[self.field_index]
        if field is None:
            return b""
        if not isinstance(field, (bytes, bytearray)):
            raise _wrong_value("bytes", field)
        return bytes(field)


def _wrong_value(expected: str, value: object) -> SerializationError:
    return SerializationError(
        f"The schema takes a value of type {expected}.", value_type=type(value).__qualname__
    )


class Encoder(ABC):
    """Appends a value to a file."""

    @abstractmethod
    def encode(self, element: Any, stream: BinaryIO) -> None:
        """Write the bytes of the value."""

    @staticmethod
    def simple_string_encoder(charset_name: str = "UTF-8") -> Encoder:
        """Return the encoder that writes `str(value)` and a line feed.

        Raises:
            LookupError: Python knows no such character set.
        """
        return _SimpleStringEncoder(charset_name)


@final
class _SimpleStringEncoder(Encoder):
    def __init__(self, charset_name: str) -> None:
        "".encode(charset_name)
        self.charset_name = charset_name

    def encode(self, element: Any, stream: BinaryIO) -> None:
        stream.write(f"{element}\n".encode(self.charset_name))


class BulkWriter(ABC):
    """Writes the records of one part file; it may hold them back until the file ends."""

    @abstractmethod
    def add_elements(self, values: list[Any]) -> None:
        """Take a batch of records."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is held back, footers too; the stream is closed by the caller."""


class BulkWriterFactory(ABC):
    """Makes the writers of a bulk format for `FileSink.for_bulk_format`; derive from it.

    Flink: BulkWriter.Factory. PyFlink's wraps a Java one.
    """

    @abstractmethod
    def create(self, stream: BinaryIO) -> BulkWriter:
        """Return a writer to a write-only stream that knows its position and cannot seek."""
