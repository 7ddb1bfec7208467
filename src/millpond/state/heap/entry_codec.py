"""`EntryCodec`: entries of a heap table to the rows of a canonical snapshot and back.

The layout is PyFlink's: all kinds but maps are lists of byte chunks, maps have a row an entry.
"""

from __future__ import annotations

import struct
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, final

from millpond.errors import FormatError
from millpond.formats.pyflink_values import (
    decode_chunks,
    decode_map_key,
    decode_map_value,
    decode_ttl_chunks,
    decode_ttl_map_value,
    encode_chunk,
    encode_chunks,
    encode_map_key,
    encode_map_value,
    encode_ttl_chunks,
    encode_ttl_map_value,
)
from millpond.state.contract.definition import StateDefinition, StateKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from millpond.serialization.coder import Coder

__all__ = ("EntryCodec",)

_CHUNK_BYTES = 1 << 20
_TIMESTAMP = struct.Struct(">q")
_timestamp_of = itemgetter(0)


@final
class EntryCodec:
    """Translates the values of one state; keys and namespaces are its caller's business.

    A row is (encoded map key, value); the map key is empty for kinds other than maps. Values
    with TTL are (milliseconds, value) pairs. Safe for several threads.
    """

    __slots__ = ("_coder", "_key_coder", "_kind", "_none_found", "_ttl")

    def __init__(
        self, definition: StateDefinition, none_found: Callable[[], None] | None = None
    ) -> None:
        """Make the codec of the state that the user declared.

        `none_found` is called by `rows` for None in a map with TTL, which Flink cannot hold.
        """
        self._none_found = none_found
        self._kind = definition.kind
        self._coder: Coder = definition.value_coder
        self._key_coder: Coder | None = definition.map_key_coder
        self._ttl = definition.ttl is not None

    def rows(self, entry: Any) -> Iterator[tuple[bytes, bytes]]:
        """Return the rows of one entry.

        Raises:
            SerializationError: a value does not fit the declared type.
        """
        if self._kind == StateKind.MAP:
            return self._map_rows(entry)
        if self._kind == StateKind.LIST:
            value = self._ttl_list(entry) if self._ttl else self._list(entry)
        elif self._ttl:
            value = encode_ttl_chunks([(entry[0], self._coder.encode(entry[1]))])
        else:
            value = encode_chunk(self._coder.encode(entry))
        return iter(((b"", value),))

    def load(self, before: Any, map_key: bytes, value: bytes) -> Any:
        """Return the entry that `before` (None at first) and one more row make.

        Raises:
            FormatError: the row has not this state's layout.
            SerializationError: the bytes are not of the declared type.
        """
        if self._kind == StateKind.MAP:
            entries = {} if before is None else before
            assert self._key_coder is not None
            entries[self._whole(self._key_coder, decode_map_key(map_key))] = self._map_value(value)
            return entries
        pairs = self._decode_ttl_chunks(value) if self._ttl else self._decode_chunks(value)
        if self._kind == StateKind.LIST:
            return [*before, *pairs] if before else pairs
        if len(pairs) != 1:
            raise FormatError(
                f"A state of one value a key holds {len(pairs)} values.", values=len(pairs)
            )
        return pairs[0]

    def _map_rows(self, entries: dict[Any, Any]) -> Iterator[tuple[bytes, bytes]]:
        assert self._key_coder is not None
        encode_key, encode = self._key_coder.encode, self._coder.encode
        for key, value in entries.items():
            row_key = encode_map_key(encode_key(key))
            if not self._ttl:
                yield row_key, encode_map_value(None if value is None else encode(value))
            elif value[1] is None:
                # Flink has no None here; it reads the flag and ignores the time behind it.
                if self._none_found is not None:
                    self._none_found()
                yield row_key, b"\1" + _TIMESTAMP.pack(value[0])
            else:
                yield row_key, encode_ttl_map_value(value[0], encode(value[1]))

    def _map_value(self, value: bytes) -> Any:
        if not self._ttl:
            data = decode_map_value(value)
            return None if data is None else self._whole(self._coder, data)
        if value[:1] == b"\1":
            timestamp = _TIMESTAMP.unpack_from(value, 1)[0] if len(value) == 9 else 0
            return timestamp, None
        pair = decode_ttl_map_value(value)
        if pair is None:
            raise FormatError("A map value with TTL has an impossible form.", bytes=len(value))
        return pair[0], self._whole(self._coder, pair[1])

    def _list(self, elements: list[Any]) -> bytes:
        encode = self._coder.encode
        whole = b"".join([encode(element) for element in elements])
        if len(whole) <= _CHUNK_BYTES:
            return encode_chunk(whole)
        return encode_chunks(self._bounded(map(encode, elements)))

    def _ttl_list(self, pairs: list[tuple[int, Any]]) -> bytes:
        encode = self._coder.encode
        return encode_ttl_chunks(
            (timestamp, chunk)
            for timestamp, group in groupby(pairs, _timestamp_of)
            for chunk in self._bounded(encode(element) for _, element in group)
        )

    @staticmethod
    def _bounded(encoded: Iterator[bytes]) -> Iterator[bytes]:
        """Join elements into chunks of bounded size."""
        chunk: list[bytes] = []
        size = 0
        for data in encoded:
            chunk.append(data)
            size += len(data)
            if size >= _CHUNK_BYTES:
                yield b"".join(chunk)
                chunk, size = [], 0
        if chunk:
            yield b"".join(chunk)

    def _decode_chunks(self, value: bytes) -> list[Any]:
        elements: list[Any] = []
        for chunk in decode_chunks(value):
            self._decode_into(elements, chunk)
        return elements

    def _decode_ttl_chunks(self, value: bytes) -> list[Any]:
        pairs: list[Any] = []
        for timestamp, chunk in decode_ttl_chunks(value):
            elements: list[Any] = []
            self._decode_into(elements, chunk)
            pairs.extend((timestamp, element) for element in elements)
        return pairs

    def _decode_into(self, elements: list[Any], chunk: bytes) -> None:
        decode_from = self._coder.decode_from
        offset, end = 0, len(chunk)
        while offset < end:
            element, offset = decode_from(chunk, offset)
            elements.append(element)

    @staticmethod
    def _whole(coder: Coder, data: bytes) -> Any:
        value, end = coder.decode_from(data, 0)
        if end != len(data):
            raise FormatError(
                f"Bytes are left behind a value of type {coder.signature}.", bytes=len(data) - end
            )
        return value
