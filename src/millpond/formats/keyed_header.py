"""`KeyedHeader`: the beginning of every keyed-state stream.

The rules are Flink's (KeyedBackendSerializationProxy, version 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millpond.errors import FormatError
from millpond.formats.buffer import Buffer, BufferWriter
from millpond.formats.serializer_snapshot import (
    SerializerSnapshot,
    read_wrapped_serializer_snapshot,
    write_wrapped_serializer_snapshot,
)
from millpond.formats.state_meta import (
    VALUE_SERIALIZER,
    StateMeta,
    StateMetaKind,
    read_state_meta,
    write_state_meta,
)
from millpond.formats.stream_reader import read_growing

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ("KeyedHeader", "read_keyed_header", "read_keyed_header_from", "write_keyed_header")

_VERSION = 6
_MAX_STATES = 0x7FFE


@dataclass(frozen=True, slots=True)
class KeyedHeader:
    """Serializer of the keys and all states; a state's id is its index in `states`.

    `compressed` means that the body is Snappy framed, one stream for each key group.
    """

    key_serializer: SerializerSnapshot
    states: tuple[StateMeta, ...]
    compressed: bool = False


def read_keyed_header(buffer: Buffer) -> KeyedHeader:
    """Read a header; afterwards the buffer stands at the first byte of the body.

    Raises:
        FormatError: the bytes are damaged or hold a serializer that is not known.
    """
    version = buffer.int32("the header of a keyed state stream")
    if version != _VERSION:
        raise buffer.error(
            "Unknown version of a keyed state stream.",
            hint="Flink 1.8 to 2.3 write version 6.",
            version=version,
        )
    compressed = buffer.boolean("the compression flag")
    key_serializer = read_wrapped_serializer_snapshot(buffer)
    states = tuple(read_state_meta(buffer) for _ in range(buffer.count("states", 14, int16=True)))
    names = [state.name for state in states]
    if len(set(names)) != len(names):
        raise buffer.error("Two states have the same name.", states=names)
    for state in states:
        timers = state.kind is StateMetaKind.PRIORITY_QUEUE
        if timers and state.serializers[VALUE_SERIALIZER].nested[0] != key_serializer:
            raise buffer.error(
                "Timers have other keys than the state of their operator.", state=state.name
            )
    return KeyedHeader(key_serializer, states, compressed)


def write_keyed_header(header: KeyedHeader) -> bytes:
    """Return the bytes of a header.

    Raises:
        FormatError: there are more states than a stream can hold, or a text is too long.
    """
    if len(header.states) > _MAX_STATES:
        raise FormatError(
            f"A keyed state stream holds at most {_MAX_STATES} states.", states=len(header.states)
        )
    out = BufferWriter()
    out.int32(_VERSION)
    out.uint8(int(header.compressed))
    write_wrapped_serializer_snapshot(out, header.key_serializer)
    out.int16(len(header.states))
    for state in header.states:
        write_state_meta(out, state)
    return out.to_bytes()


def read_keyed_header_from(stream: BinaryIO) -> tuple[KeyedHeader, int]:
    """Read the header of a stream and return it with the position of the body.

    Reads only as much of the stream as the header needs, in growing pieces.

    Raises:
        FormatError: as `read_keyed_header`.
    """
    return read_growing(stream, read_keyed_header)
