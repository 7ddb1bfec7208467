"""From records to the bytes of a part file: row encoders and bulk writers behind one shape."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO, cast, final

from millpond.common.serialization import BulkWriter, BulkWriterFactory, Encoder
from millpond.datastream.connectors._file_sink.part_stream import PartStream
from millpond.errors import MillpondError, UserCodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.datastream.connectors._file_sink.storage import OpenPart

__all__ = ("BulkEncoding", "Encoding", "PartEncoder", "RowEncoding")


class PartEncoder(ABC):
    """Encodes the records of one part file."""

    @property
    @abstractmethod
    def written(self) -> int:
        """How many bytes it gave to the part."""

    @abstractmethod
    def write(self, values: list[Any]) -> None:
        """Write a batch, or hold it back."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is held back."""


class Encoding(ABC):
    """How part files are encoded.

    Attributes:
        can_resume: whether a part may be gone on with after any record.
    """

    can_resume: bool

    @abstractmethod
    def open(self, part: OpenPart) -> PartEncoder:
        """Return the encoder of a part."""


@final
class RowEncoding(Encoding):
    """One record after the other.

    Args:
        encoder: an `Encoder`, or a function from a record to its bytes.
    """

    can_resume = True

    def __init__(self, encoder: Encoder | Callable[[Any], bytes]) -> None:
        self._encoder = encoder

    def open(self, part: OpenPart) -> PartEncoder:
        """Return the encoder of a part."""
        return _RowPartEncoder(part, self._encoder)


@final
class _RowPartEncoder(PartEncoder):
    def __init__(self, part: OpenPart, encoder: Encoder | Callable[[Any], bytes]) -> None:
        self._part = part
        self._encoder = encoder
        self._written = 0

    @property
    def written(self) -> int:
        return self._written

    def write(self, values: list[Any]) -> None:
        try:
            data = self._encoded(values)
        except MillpondError:
            raise
        except Exception as error:
            raise UserCodeError(
                f"The encoder of the file sink raised {type(error).__name__}: {error}.",
                hint="Map the records to what the encoder takes, for example text.",
            ) from error
        self._part.write(data)
        self._written += len(data)

    def finish(self) -> None:
        """Do nothing: every record is written at once."""

    def _encoded(self, values: list[Any]) -> bytes:
        encoder = self._encoder
        if not isinstance(encoder, Encoder):
            return b"".join(map(encoder, values))
        buffer = io.BytesIO()
        for value in values:
            encoder.encode(value, buffer)
        return buffer.getvalue()


@final
class BulkEncoding(Encoding):
    """A format that is complete only when the part ends."""

    can_resume = False

    def __init__(self, factory: BulkWriterFactory) -> None:
        self._factory = factory

    def open(self, part: OpenPart) -> PartEncoder:
        """Return the encoder of a part."""
        stream = PartStream(part)
        return _BulkPartEncoder(stream, self._factory.create(cast("BinaryIO", stream)))


@final
class _BulkPartEncoder(PartEncoder):
    def __init__(self, stream: PartStream, writer: BulkWriter) -> None:
        self._stream = stream
        self._writer = writer

    @property
    def written(self) -> int:
        return self._stream.tell()

    def write(self, values: list[Any]) -> None:
        self._writer.add_elements(values)

    def finish(self) -> None:
        self._writer.finish()
