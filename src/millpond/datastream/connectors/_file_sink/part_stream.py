"""`PartStream`: the file that a bulk writer writes to."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from millpond.datastream.connectors._file_sink.storage import OpenPart

__all__ = ("PartStream",)


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
