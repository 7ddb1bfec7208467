"""Operator-state streams: list states and broadcast states of one subtask.

The rules are Flink's (OperatorBackendSerializationProxy, versions 5 and 6, and
DefaultOperatorStateBackendSnapshotStrategy).
"""

from __future__ import annotations

import io
import itertools
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from millpond.errors import FormatError
from millpond.formats.buffer import Buffer, BufferWriter
from millpond.formats.handles import DistributionMode, OperatorStateHandle, OperatorStatePartition
from millpond.formats.java_values import java_decoder
from millpond.formats.snappy_frames import (
    STREAM_IDENTIFIER,
    frame_stream_start,
    frames,
    read_frame,
)
from millpond.formats.state_meta import (
    DISTRIBUTION_MODE,
    KEY_SERIALIZER,
    VALUE_SERIALIZER,
    StateMeta,
    StateMetaKind,
    read_state_meta,
    write_state_meta,
)
from millpond.formats.stream_reader import read_exactly, stream_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import BinaryIO

    from millpond.formats.byte_output import ByteOutput

__all__ = (
    "OperatorStateContent",
    "OperatorStateHeader",
    "read_operator_state",
    "read_operator_state_header",
    "write_operator_state",
    "write_operator_state_header",
)

_VERSIONS = (5, 6)
_WRITTEN_VERSION = 6
_MODES = {
    "SPLIT_DISTRIBUTE": DistributionMode.SPLIT,
    "UNION": DistributionMode.UNION,
    "BROADCAST": DistributionMode.BROADCAST,
}
_pack_int = struct.Struct(">i").pack


@dataclass(frozen=True, slots=True)
class OperatorStateHeader:
    """The states of an operator-state stream; `compressed` means a Snappy framed body."""

    lists: tuple[StateMeta, ...] = ()
    broadcasts: tuple[StateMeta, ...] = ()
    compressed: bool = False


@dataclass(frozen=True, slots=True)
class OperatorStateContent:
    """What a stream holds, by name of the state.

    Elements, keys and values are decoded by their Java serializers: bytes in PyFlink's and in our
    own streams.
    """

    header: OperatorStateHeader
    lists: dict[str, list[Any]] = field(default_factory=dict)
    broadcasts: dict[str, list[tuple[Any, Any]]] = field(default_factory=dict)


def read_operator_state_header(buffer: Buffer) -> OperatorStateHeader:
    """Read a header; afterwards the buffer stands at the first byte of the body.

    Raises:
        FormatError: the bytes are damaged or hold a serializer that is not known.
    """
    version = buffer.int32("the header of an operator state stream")
    if version not in _VERSIONS:
        raise buffer.error("Unknown version of an operator state stream.", version=version)
    compressed = buffer.boolean("the compression flag") if version >= 6 else False
    groups = []
    names: set[str] = set()
    for kind in (StateMetaKind.OPERATOR, StateMetaKind.BROADCAST):
        metas = []
        for _ in range(buffer.count("operator states", 14, int16=True)):
            meta = read_state_meta(buffer)
            if meta.kind is not kind or meta.name in names:
                raise buffer.error(
                    "An operator state is of an impossible kind, or stands twice.", state=meta.name
                )
            names.add(meta.name)
            metas.append(meta)
        groups.append(tuple(metas))
    return OperatorStateHeader(groups[0], groups[1], compressed)


def write_operator_state_header(header: OperatorStateHeader) -> bytes:
    """Return the bytes of a header."""
    out = BufferWriter()
    out.int32(_WRITTEN_VERSION)
    out.uint8(int(header.compressed))
    for metas in (header.lists, header.broadcasts):
        out.int16(len(metas))
        for meta in metas:
            write_state_meta(out, meta)
    return out.to_bytes()


def write_operator_state(
    out: ByteOutput,
    header: OperatorStateHeader,
    lists: Mapping[str, Iterable[bytes]],
    broadcasts: Mapping[str, Sequence[tuple[bytes, bytes]]],
) -> dict[str, OperatorStatePartition]:
    """Write a whole stream of states whose elements, keys and values are bytes.

    Every state of the header is written, with what `lists` and `broadcasts` hold under its name.
    Returns the partitions of the stream's OperatorStateHandle. One element is in memory at a time.

    Raises:
        FormatError: an element is longer than 2^31-1 bytes.
    """
    if out.position != 0:
        raise FormatError("An operator state stream starts its file.", offset=out.position)
    out.write(write_operator_state_header(header))
    if header.compressed:
        out.write(frame_stream_start())
    partitions: dict[str, OperatorStatePartition] = {}
    for meta in header.lists:
        offsets = []
        for element in lists.get(meta.name, ()):
            offsets.append(out.position)
            _write(out, _sized(element, meta.name), header)
        partitions[meta.name] = OperatorStatePartition(_mode(meta), tuple(offsets))
    for meta in header.broadcasts:
        offset = out.position
        entries = broadcasts.get(meta.name, ())
        pieces = [_pack_int(len(entries))]
        for key, value in entries:
            pieces.append(_sized(key, meta.name))
            pieces.append(_sized(value, meta.name))
        _write(out, b"".join(pieces), header)
        partitions[meta.name] = OperatorStatePartition(DistributionMode.BROADCAST, (offset,))
    return partitions


def read_operator_state(stream: BinaryIO, handle: OperatorStateHandle) -> OperatorStateContent:
    """Read a whole stream. It is in memory at once, as operator state always is.

    Raises:
        FormatError: the stream is damaged, or does not hold what the handle lists.
    """
    stream.seek(0)
    data = read_exactly(stream, stream_size(stream), "an operator state stream")
    buffer = Buffer(data)
    header = read_operator_state_header(buffer)
    content = OperatorStateContent(
        header,
        {meta.name: [] for meta in header.lists},
        {meta.name: [] for meta in header.broadcasts},
    )
    ends = _ends(handle, buffer.offset + _skipped(data, buffer.offset, header), len(data))
    metas = {meta.name: meta for meta in (*header.lists, *header.broadcasts)}
    if set(metas) != set(handle.partitions):
        raise buffer.error(
            "The stream holds other states than are listed.",
            states=sorted(metas),
            listed=sorted(handle.partitions),
        )
    for name, partition in handle.partitions.items():
        meta = metas[name]
        if _mode(meta) is not partition.mode:
            raise buffer.error("A state is listed with another distribution mode.", state=name)
        for at in partition.offsets:
            try:
                _read_element(content, meta, _piece(data, at, ends[at], header))
            except FormatError as error:
                raise FormatError(
                    f"An operator state is damaged: {error.message}", offset=at, state=name
                ) from error
    return content


def _read_element(content: OperatorStateContent, meta: StateMeta, piece: bytes) -> None:
    if meta.kind is StateMetaKind.BROADCAST:
        content.broadcasts[meta.name].extend(_broadcast_entries(piece, meta))
        return
    element, end = java_decoder(meta.serializers[VALUE_SERIALIZER])(piece, 0)
    _expect_end(piece, end)
    content.lists[meta.name].append(element)


def _expect_end(piece: bytes, end: int) -> None:
    if end != len(piece):
        raise FormatError("Bytes are left after an element.", offset=end)


def _skipped(data: bytes, body: int, header: OperatorStateHeader) -> int:
    """Return what stands between the header and the first element: a framed stream's identifier."""
    if not header.compressed:
        return 0
    if not data.startswith(STREAM_IDENTIFIER, body):
        raise FormatError("A Snappy stream does not start with its identifier.", offset=body)
    return len(STREAM_IDENTIFIER)


def _mode(meta: StateMeta) -> DistributionMode:
    mode = _MODES.get(meta.options.get(DISTRIBUTION_MODE, "SPLIT_DISTRIBUTE"))
    if mode is None:
        raise FormatError("Unknown distribution mode.", state=meta.name)
    return mode


def _sized(data: bytes, state: str) -> bytes:
    try:
        return _pack_int(len(data)) + data
    except struct.error:
        raise FormatError(
            "Flink cannot hold an element of more than 2^31-1 bytes.", state=state, bytes=len(data)
        ) from None


def _write(out: ByteOutput, data: bytes, header: OperatorStateHeader) -> None:
    if not header.compressed:
        out.write(data)
        return
    # Every element starts a chunk, so that an offset can be a position in the file.
    for frame in frames(data):
        out.write(frame)


def _ends(handle: OperatorStateHandle, body: int, size: int) -> dict[int, int]:
    """Return where the element that starts at an offset ends at the latest."""
    offsets = sorted(at for part in handle.partitions.values() for at in part.offsets)
    # Elements that share bytes could multiply a small file; bytes in no element could be anything.
    if (offsets or [size])[0] != body:
        raise FormatError(
            "The elements of an operator state do not follow its header.", offset=body
        )
    ends = dict(itertools.pairwise([*offsets, size]))
    for at, end in ends.items():
        if at >= end:
            raise FormatError("Elements overlap in an operator state stream.", offset=at)
    if len(ends) != len(offsets):
        raise FormatError("Elements overlap in an operator state stream.", offset=body)
    return ends


def _piece(data: bytes, start: int, end: int, header: OperatorStateHeader) -> bytes:
    if not header.compressed:
        return data[start:end]
    piece = io.BytesIO(data[start:end])
    plain = []
    while piece.tell() < end - start:
        plain.append(read_frame(piece))
    return b"".join(plain)


def _broadcast_entries(piece: bytes, meta: StateMeta) -> list[tuple[Any, Any]]:
    decode_key = java_decoder(meta.serializers[KEY_SERIALIZER])
    decode_value = java_decoder(meta.serializers[VALUE_SERIALIZER])
    buffer = Buffer(piece)
    count = buffer.count("broadcast entries")
    at = buffer.offset
    entries = []
    for _ in range(count):
        key, at = decode_key(piece, at)
        value, at = decode_value(piece, at)
        entries.append((key, value))
    _expect_end(piece, at)
    keys = [key for key, _ in entries if isinstance(key, bytes)]
    if len(set(keys)) != len(keys):
        raise FormatError("A key stands twice in a broadcast state.", offset=buffer.offset)
    return entries
