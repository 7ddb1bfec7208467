"""`RowCodec`: values to the bytes of RocksDB rows and back; the bytes of canonical savepoints.

The layout is PyFlink's (`formats.pyflink_values`): a value is a chunk, that is an int length and
the encoded value; a map's value has a null flag in front. With TTL the time of the last use stands
before the length. A row of a list holds one chunk, of one or more elements.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, final

from millpond.errors import FormatError
from millpond.state.contract.ttl import TtlCoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from millpond.serialization.coder import Coder

__all__ = ("RowCodec", "split_list")

_INT = struct.Struct(">i")
_pack_int = _INT.pack
_unpack_int = _INT.unpack_from
_TIME = struct.Struct(">q")
_TTL_CHUNK = struct.Struct(">qi")
_DELIMITER = 0x2C
_CHUNK_ELEMENTS = 128
_CHUNK_BYTES = 16 * 1024


@final
class RowCodec:
    """Translates the values of one state. Safe for several threads.

    Attributes:
        coder: of values, list elements or map values; with TTL a `TtlCoder` of pairs.
        decode: the value of a chunk that holds one. Raises FormatError if the bytes are no chunk.
        decode_map_value: the same of a map's value.
        encode_map_value: a map's value, which may be None, to its row.
    """

    __slots__ = (
        "_encode",
        "_head",
        "_pack_number",
        "_size",
        "_struct_code",
        "_user_coder",
        "coder",
        "decode",
        "decode_map_value",
        "encode_map_value",
    )

    # Attributes in place of methods: numbers have cheaper ones.
    decode: Callable[[bytes], Any]
    decode_map_value: Callable[[bytes], Any]
    encode_map_value: Callable[[Any], bytes]

    def __init__(self, coder: Coder) -> None:
        self.coder = coder
        self._encode = coder.encode
        self._user_coder = coder.value_coder if isinstance(coder, TtlCoder) else None
        self._head = 4 if self._user_coder is None else 12
        # Numbers of a fixed length are packed and unpacked many at a time.
        self._struct_code = getattr(coder, "struct_code", None)
        self.decode = self._decode
        self.decode_map_value = self._decode_map_value
        self.encode_map_value = self._encode_map_value
        self._pack_number: Callable[[int, Any], bytes] | None = None
        if self._struct_code is not None and self._user_coder is None:
            packer = struct.Struct(f">i{self._struct_code}")
            self._size = packer.size - _INT.size
            self._pack_number = packer.pack
            self.decode = _number_decoder(packer, self._decode)
            in_map = struct.Struct(f">Bi{self._struct_code}")
            self.decode_map_value = _map_number_decoder(in_map, self._decode_map_value)
            self.encode_map_value = _map_number_encoder(in_map, self._encode_map_value)

    def encode(self, value: Any) -> bytes:
        """Return the chunk of one value."""
        data = self._encode(value)
        if self._user_coder is None:
            return _pack_int(len(data)) + data
        return data[:8] + _INT.pack(len(data) - 8) + data[8:]

    def encode_many(self, values: Iterable[Any]) -> list[bytes]:
        """Return the chunk of each value; cheaper than one by one."""
        if self._pack_number is not None:
            pack_number, size = self._pack_number, self._size
            return [pack_number(size, value) for value in values]
        if self._user_coder is None:
            encode, pack = self._encode, _pack_int
            return [pack(len(data := encode(value))) + data for value in values]
        return [self.encode(value) for value in values]

    def encode_elements(self, elements: list[Any]) -> list[bytes]:
        """Return the chunks, of one or more elements each, that hold a list."""
        if self._user_coder is not None:
            return [self.encode(element) for element in elements]
        chunks: list[bytes] = []
        for start in range(0, len(elements), _CHUNK_ELEMENTS):
            chunks += self._join(elements[start : start + _CHUNK_ELEMENTS])
        return chunks

    def _join(self, elements: list[Any]) -> list[bytes]:
        chunks: list[bytes] = []
        joined: list[bytes] = []
        size = 0
        for data in map(self._encode, elements):
            joined.append(data)
            size += len(data)
            if size >= _CHUNK_BYTES:
                chunks.append(_pack_int(size) + b"".join(joined))
                joined, size = [], 0
        if joined:
            chunks.append(_pack_int(size) + b"".join(joined))
        return chunks

    def _decode(self, row: bytes) -> Any:
        end = len(row)
        if self._user_coder is None and end >= 4 and _unpack_int(row)[0] == end - 4:
            value, value_end = self.coder.decode_from(row, 4)
        elif self._user_coder is None:
            raise FormatError("A stored value has an impossible length.", bytes=end)
        else:
            self._check(row)
            user_value, value_end = self._user_coder.decode_from(row, 12)
            value = _TTL_CHUNK.unpack_from(row)[0], user_value
        if value_end != end:
            raise FormatError("Bytes are left behind a value.", bytes=end - value_end)
        return value

    def decode_elements(self, row: bytes) -> list[Any]:
        """Return the elements of a chunk.

        Raises:
            FormatError: the bytes are no chunk.
        """
        end = self._check(row)
        elements: list[Any] = []
        offset = self._head
        if self._user_coder is None:
            if self._struct_code is not None:
                return self._unpack(row)
            decode_from = self.coder.decode_from
            while offset < end:
                element, offset = decode_from(row, offset)
                elements.append(element)
            return elements
        decode_from = self._user_coder.decode_from
        timestamp = _TTL_CHUNK.unpack_from(row)[0]
        while offset < end:
            element, offset = decode_from(row, offset)
            elements.append((timestamp, element))
        return elements

    def _unpack(self, row: bytes) -> list[Any]:
        code = self._struct_code
        count, rest = divmod(len(row) - self._head, struct.calcsize(f">{code}"))
        if rest:
            raise FormatError("Bytes are left behind the elements of a list.", bytes=rest)
        return list(struct.unpack_from(f">{count}{code}", row, self._head))

    def _check(self, row: bytes) -> int:
        head = self._head
        if len(row) < head or _INT.unpack_from(row, head - 4)[0] != len(row) - head:
            raise FormatError("A stored value has an impossible length.", bytes=len(row))
        return len(row)

    def _encode_map_value(self, value: Any) -> bytes:
        if self._user_coder is None:
            return b"\1" if value is None else b"\0" + self.encode(value)
        # Flink has no None under TTL; it reads the flag and ignores the time behind it.
        return b"\1" + _TIME.pack(value[0]) if value[1] is None else b"\0" + self.encode(value)

    def _decode_map_value(self, row: bytes) -> Any:
        if row[:1] == b"\0":
            return self._decode(row[1:])
        if row[:1] != b"\1":
            raise FormatError("A map value has no null flag.", bytes=len(row))
        if self._user_coder is None:
            return None
        return (_TTL_CHUNK.unpack_from(row + b"\0\0\0\0", 1)[0] if len(row) == 9 else 0), None

    def expired(self, row: bytes, not_after_ms: int, *, is_map: bool) -> bool:
        """Return whether a row with TTL was last used at or before a time."""
        offset = 1 if is_map else 0
        timestamp: int = int.from_bytes(row[offset : offset + 8], "big", signed=True)
        return len(row) >= offset + 8 and timestamp <= not_after_ms


def _number_decoder(
    packer: struct.Struct, general: Callable[[bytes], Any]
) -> Callable[[bytes], Any]:
    """Return what takes the usual row of a number apart in one step; `general` knows the others."""
    unpack, size = packer.unpack, packer.size - _INT.size

    def decode(row: bytes) -> Any:
        try:
            length, value = unpack(row)
        except struct.error:
            return general(row)
        return value if length == size else general(row)

    return decode


def _map_number_decoder(
    packer: struct.Struct, general: Callable[[bytes], Any]
) -> Callable[[bytes], Any]:
    """Do the same for a map's value, which a null flag stands before."""
    unpack, size = packer.unpack, packer.size - _INT.size - 1

    def decode(row: bytes) -> Any:
        try:
            is_null, length, value = unpack(row)
        except struct.error:
            return general(row)
        return value if length == size and not is_null else general(row)

    return decode


def _map_number_encoder(
    packer: struct.Struct, general: Callable[[Any], bytes]
) -> Callable[[Any], bytes]:
    pack, size = packer.pack, packer.size - _INT.size - 1

    def encode(value: Any) -> bytes:
        try:
            return pack(0, size, value)
        except (struct.error, OverflowError):
            # None, or what `general` has an error for.
            return general(value)

    return encode


def split_list(pieces: Iterable[bytes], *, ttl: bool) -> Iterator[bytes]:
    """Yield the chunks, lengths included, of a list as canonical snapshots join them.

    Raises:
        FormatError: the bytes are no list.
    """
    head = 12 if ttl else 4
    waiting: list[bytes] = []
    have, need = 0, head
    for piece in pieces:
        waiting.append(piece)
        have += len(piece)
        if have < need:
            continue
        data = b"".join(waiting)
        start = 0
        while start + head <= have:
            end = start + head + _length(data, start + head - 4)
            if end >= have:
                break
            if data[end] != _DELIMITER:
                raise FormatError("Something else than a comma stands between chunks.", offset=end)
            yield data[start:end]
            start = end + 1
        waiting = [data[start:]]
        have -= start
        need = head if have < head else head + _length(data, start + head - 4) + 1
    last = b"".join(waiting)
    if len(last) < head:
        raise FormatError("A list of chunks ends too early.", bytes=len(last))
    if _length(last, head - 4) != len(last) - head:
        raise FormatError("A chunk has an impossible length.", bytes=len(last))
    yield last


def _length(data: bytes, offset: int) -> int:
    length: int = _unpack_int(data, offset)[0]
    if length < 0:
        raise FormatError("A chunk has an impossible length.", length=length)
    return length
