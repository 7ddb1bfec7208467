"""Length and CRC-32C: what is recorded of every file of a checkpoint."""

from __future__ import annotations

from typing import NamedTuple, final

import google_crc32c

__all__ = ("FileChecksum", "RunningChecksum", "checksum_of")


class FileChecksum(NamedTuple):
    """What a file must be; `crc32c` is None for a file that Flink wrote and nobody summed."""

    size: int
    crc32c: int | None


@final
class RunningChecksum:
    """The checksum of bytes that come in pieces."""

    __slots__ = ("_crc32c", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._crc32c = 0

    def update(self, data: bytes) -> None:
        """Append bytes."""
        self._crc32c = google_crc32c.extend(self._crc32c, data)
        self._size += len(data)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._size

    def value(self) -> FileChecksum:
        """Return the checksum of everything so far."""
        return FileChecksum(self._size, self._crc32c)


def checksum_of(data: bytes) -> FileChecksum:
    """Return the checksum of bytes in memory."""
    return FileChecksum(len(data), google_crc32c.value(data))
