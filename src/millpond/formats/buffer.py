"""`Buffer` and `BufferWriter`: Java's DataInput and DataOutput over bytes, with bounds checks."""

from __future__ import annotations

import struct
from typing import final

from millpond.errors import FormatError
from millpond.formats.modified_utf8 import decode_modified_utf8, encode_modified_utf8

__all__ = ("Buffer", "BufferWriter")

_SHORT = struct.Struct(">h")
_UNSIGNED_SHORT = struct.Struct(">H")
_INT = struct.Struct(">i")
_LONG = struct.Struct(">q")


@final
class Buffer:
    """Reads big-endian values from bytes, in order.

    Every method moves `offset` forward and raises FormatError, with the offset, where the bytes end
    too early or hold an impossible value. No method allocates more than the bytes that are there.

    Attributes:
        data: all bytes.
        offset: where the next value starts.
        end: where the readable part ends.
        exhausted: a read wanted more bytes than there are.
        origin: what is added to an offset when an error names it (position of `data` in a file).
    """

    __slots__ = ("data", "end", "exhausted", "offset", "origin")

    def __init__(
        self, data: bytes, offset: int = 0, end: int | None = None, origin: int = 0
    ) -> None:
        self.data = data
        self.offset = offset
        self.end = len(data) if end is None else min(end, len(data))
        self.exhausted = False
        self.origin = origin

    @property
    def remaining(self) -> int:
        """Bytes left."""
        return self.end - self.offset

    def error(self, message: str, *, hint: str | None = None, **context: object) -> FormatError:
        """Return the error to raise for what was read last; it names the current offset."""
        return FormatError(message, hint=hint, offset=self.origin + self.offset, **context)

    def _advance(self, size: int, what: str) -> int:
        start = self.offset
        if size < 0 or size > self.end - start:
            self.exhausted = size >= 0
            raise self.error(
                f"The bytes end inside {what}.", wanted_bytes=size, remaining_bytes=self.remaining
            )
        self.offset = start + size
        return start

    def uint8(self, what: str = "a byte") -> int:
        """Read one byte, 0 to 255."""
        return self.data[self._advance(1, what)]

    def int16(self, what: str = "a short") -> int:
        """Read two bytes, signed."""
        value: int = _SHORT.unpack_from(self.data, self._advance(2, what))[0]
        return value

    def uint16(self, what: str = "a short") -> int:
        """Read two bytes, unsigned."""
        value: int = _UNSIGNED_SHORT.unpack_from(self.data, self._advance(2, what))[0]
        return value

    def int32(self, what: str = "an int") -> int:
        """Read four bytes, signed."""
        value: int = _INT.unpack_from(self.data, self._advance(4, what))[0]
        return value

    def int64(self, what: str = "a long") -> int:
        """Read eight bytes, signed."""
        value: int = _LONG.unpack_from(self.data, self._advance(8, what))[0]
        return value

    def int64_array(self, count: int, what: str = "an array of longs") -> tuple[int, ...]:
        """Read `count` longs."""
        if count < 0:
            raise self.error(f"Negative count in {what}.", count=count)
        start = self._advance(8 * count, what)
        return struct.unpack_from(f">{count}q", self.data, start)

    def take(self, size: int, what: str = "bytes") -> bytes:
        """Read `size` bytes."""
        start = self._advance(size, what)
        return self.data[start : start + size]

    def sized_bytes(self, what: str = "bytes") -> bytes:
        """Read an int length and that many bytes."""
        return self.take(self.int32(what), what)

    def utf(self, what: str = "text") -> str:
        """Read a two-byte length and modified UTF-8 (DataInput.readUTF)."""
        data = self.take(self.uint16(what), what)
        try:
            return decode_modified_utf8(data)
        except FormatError as error:
            raise self.error(f"{what} is not modified UTF-8.") from error

    def boolean(self, what: str = "a boolean") -> bool:
        """Read one byte that is 0 or 1."""
        value = self.uint8(what)
        if value > 1:
            raise self.error(f"{what} is neither 0 nor 1.", value=value)
        return value == 1

    def count(self, what: str, minimum_size: int = 1, *, int16: bool = False) -> int:
        """Read how many elements follow; each takes at least `minimum_size` bytes.

        A count that cannot be true is refused here, before anything is allocated for it.
        """
        number = self.int16(what) if int16 else self.int32(what)
        if number < 0 or number * minimum_size > self.remaining:
            self.exhausted = number >= 0
            raise self.error(
                f"Impossible number of {what}.", count=number, remaining_bytes=self.remaining
            )
        return number

    def expect_end(self, what: str) -> None:
        """Raise FormatError if bytes are left."""
        if self.offset != self.end:
            raise self.error(f"Bytes are left after {what}.", remaining_bytes=self.remaining)


@final
class BufferWriter:
    """Builds bytes of big-endian values.

    Attributes:
        data: what was written so far.
    """

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def uint8(self, value: int) -> None:
        """Write one byte, 0 to 255."""
        self.data.append(value)

    def int16(self, value: int) -> None:
        """Write two bytes, signed."""
        self.data += _SHORT.pack(value)

    def uint16(self, value: int) -> None:
        """Write two bytes, unsigned."""
        self.data += _UNSIGNED_SHORT.pack(value)

    def int32(self, value: int) -> None:
        """Write four bytes, signed."""
        self.data += _INT.pack(value)

    def int64(self, value: int) -> None:
        """Write eight bytes, signed."""
        self.data += _LONG.pack(value)

    def int64_array(self, values: tuple[int, ...]) -> None:
        """Write longs, one after the other, without their number."""
        self.data += struct.pack(f">{len(values)}q", *values)

    def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.data += data

    def sized_bytes(self, data: bytes) -> None:
        """Write an int length and the bytes."""
        self.data += _INT.pack(len(data))
        self.data += data

    def utf(self, text: str) -> None:
        """Write a two-byte length and modified UTF-8 (DataOutput.writeUTF).

        Raises:
            FormatError: the text takes more than 65535 bytes.
        """
        data = encode_modified_utf8(text)
        if len(data) > 0xFFFF:
            raise FormatError(
                "Flink's text fields hold at most 65535 bytes.", bytes=len(data), text=text[:40]
            )
        self.data += _UNSIGNED_SHORT.pack(len(data))
        self.data += data

    def to_bytes(self) -> bytes:
        """Return everything as immutable bytes."""
        return bytes(self.data)
