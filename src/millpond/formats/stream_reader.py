"""Reading from a seekable stream in pieces: bounded memory, every end checked."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TypeVar

from millpond.errors import FormatError
from millpond.formats.buffer import Buffer

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

__all__ = ("read_exactly", "read_growing", "stream_size")

ValueT = TypeVar("ValueT")

_FIRST_PIECE = 1 << 16
_LARGEST_PIECE = 1 << 28


def stream_size(stream: BinaryIO) -> int:
    """Return the length of a seekable stream in bytes; its position is kept."""
    position = stream.tell()
    size = stream.seek(0, io.SEEK_END)
    stream.seek(position)
    return size


def read_exactly(stream: BinaryIO, size: int, what: str) -> bytes:
    """Read `size` bytes from the current position.

    Raises:
        FormatError: the stream ends before. Nothing is allocated for bytes that are not there.
    """
    pieces: list[bytes] = []
    missing = size
    while missing > 0:
        piece = stream.read(min(missing, 1 << 20))
        if not piece:
            raise FormatError(
                f"The stream ends inside {what}.", offset=stream.tell(), missing_bytes=missing
            )
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_growing(stream: BinaryIO, parse: Callable[[Buffer], ValueT]) -> tuple[ValueT, int]:
    """Parse something of unknown length at the current position.

    Returns what `parse` returned and the number of bytes that it took. The stream is read in
    growing pieces until `parse` has enough (256 MiB at most), so a huge stream is not read whole.

    Raises:
        FormatError: what `parse` raised.
    """
    start = stream.tell()
    rest = stream_size(stream) - start
    size = _FIRST_PIECE
    while True:
        stream.seek(start)
        data = read_exactly(stream, min(size, rest), "a header")
        buffer = Buffer(data, origin=start)
        try:
            value = parse(buffer)
        except FormatError:
            if not buffer.exhausted or size >= min(rest, _LARGEST_PIECE):
                raise
            size *= 4
            continue
        return value, buffer.offset
