"""The contract of bulk formats: a writer a part file that may hold records back until it ends."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO, final

if TYPE_CHECKING:
    from millpond.datastream.connectors._file_sink.storage import OpenPart

__all__ = ("BulkWriter", "BulkWriterFactory", "PartStream")


class BulkWriter(ABC):
    """Writes the records of one part file."""

    @abstractmethod
    def add_elements(self, values: list[Any]) -> None:
        """Take a batch of records."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is held back, footers too; the stream is closed by the caller."""


class BulkWriterFactory(ABC):
    """Makes the writer of a part file. Flink: BulkWriter.Factory."""

    @abstractmethod
    def create(self, stream: BinaryIO) -> BulkWriter:
        """Return a writer to a write-only stream that knows its position and cannot seek."""


@final
class PartStream(io.RawIOBase):
    """A part file as a write-only stream; closing it leaves the part to its owner."""

    def __init__(self, part: OpenPart) -> None:
        self._part = part
        self._position = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Append bytes."""
        content = bytes(data)
        self._part.write(content)
        self._position += len(content)
        return len(content)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._position
