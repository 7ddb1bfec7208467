"""Bytes of handles inside `_metadata`: stream, keyed-state and operator-state handles.

The rules are Flink's (MetadataV2V3SerializerBase).
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from millpond.errors import FormatError
from millpond.formats.handles import (
    DistributionMode,
    FileHandle,
    IncrementalHandle,
    InlineHandle,
    KeyedHandle,
    KeyGroupsHandle,
    OperatorStateHandle,
    OperatorStatePartition,
    RelativeFileHandle,
    StreamHandle,
)

if TYPE_CHECKING:
    from millpond.formats.buffer import Buffer, BufferWriter

__all__ = (
    "read_keyed_handle",
    "read_operator_state_handle",
    "read_stream_handle",
    "write_keyed_handle",
    "write_operator_state_handle",
    "write_stream_handle",
)

_NULL = 0
_INLINE = 1
_FILE = 2
_KEY_GROUPS = 3
_PARTITIONABLE_OPERATOR_STATE = 4
_INCREMENTAL = 5
_RELATIVE_FILE = 6
_SAVEPOINT_KEY_GROUPS = 7
_INCREMENTAL_WITH_ID = 11
_KEY_GROUPS_WITH_ID = 12
_MERGED_FILE_OPERATOR_STATE = 17

_CHANGELOG_TYPES = frozenset({8, 9, 10, 13, 14})
_MERGED_FILE_TYPES = frozenset({15, 16})
_MAX_KEY_GROUPS = 32768
_TAKE_CANONICAL = "Take a savepoint in canonical format instead (flink savepoint --type canonical)."


def read_stream_handle(buffer: Buffer) -> StreamHandle | None:
    """Read one stream handle, None where the file holds no stream.

    Raises:
        FormatError: the bytes end early, or are of a kind that cannot be read.
    """
    kind = buffer.uint8("a stream handle")
    if kind == _NULL:
        return None
    if kind == _INLINE:
        name = buffer.utf("the name of an inline stream")
        return InlineHandle(buffer.sized_bytes("an inline stream"), name)
    if kind == _FILE:
        size = _size(buffer)
        return FileHandle(buffer.utf("the path of a file"), size)
    if kind == _RELATIVE_FILE:
        name = _relative_name(buffer)
        return RelativeFileHandle(name, _size(buffer))
    if kind in _MERGED_FILE_TYPES:
        raise buffer.error(
            "State in merged checkpoint files is not supported.",
            hint=_TAKE_CANONICAL,
            handle_type=kind,
        )
    raise buffer.error("Unknown kind of stream handle.", handle_type=kind)


def write_stream_handle(out: BufferWriter, handle: StreamHandle | None) -> None:
    """Write one stream handle."""
    match handle:
        case None:
            out.uint8(_NULL)
        case InlineHandle():
            out.uint8(_INLINE)
            out.utf(handle.name)
            out.sized_bytes(handle.data)
        case FileHandle():
            out.uint8(_FILE)
            out.int64(handle.size)
            out.utf(handle.path)
        case RelativeFileHandle():
            out.uint8(_RELATIVE_FILE)
            out.utf(handle.name)
            out.int64(handle.size)


def read_keyed_handle(buffer: Buffer) -> KeyedHandle | None:
    """Read one keyed-state handle, None where there is no keyed state.

    Raises:
        FormatError: the bytes end early, or are of a kind that cannot be read.
    """
    kind = buffer.uint8("a keyed-state handle")
    if kind == _NULL:
        return None
    if kind in (_KEY_GROUPS, _SAVEPOINT_KEY_GROUPS, _KEY_GROUPS_WITH_ID):
        return _read_key_groups(buffer, kind)
    if kind in (_INCREMENTAL, _INCREMENTAL_WITH_ID):
        return _read_incremental(buffer, kind)
    if kind in _CHANGELOG_TYPES:
        raise buffer.error(
            "State of the changelog state backend is not supported.",
            hint=_TAKE_CANONICAL,
            handle_type=kind,
        )
    raise buffer.error("Unknown kind of keyed-state handle.", handle_type=kind)


def write_keyed_handle(out: BufferWriter, handle: KeyedHandle | None) -> None:
    """Write one keyed-state handle, in the oldest form that holds all of it."""
    match handle:
        case None:
            out.uint8(_NULL)
        case KeyGroupsHandle():
            out.uint8(_SAVEPOINT_KEY_GROUPS if handle.savepoint else _KEY_GROUPS)
            out.int32(handle.first_key_group)
            out.int32(len(handle.offsets))
            out.int64_array(handle.offsets)
            write_stream_handle(out, handle.stream)
        case IncrementalHandle():
            out.uint8(_INCREMENTAL_WITH_ID)
            out.int64(handle.checkpoint_id)
            out.utf(handle.backend_id)
            out.int32(handle.first_key_group)
            out.int32(handle.key_group_count)
            out.int64(handle.checkpointed_size)
            write_stream_handle(out, handle.meta)
            _write_files(out, handle.shared)
            _write_files(out, handle.private)
            # Flink wants an id; the same handle must always give the same bytes.
            name = f"{handle.backend_id}/{handle.checkpoint_id}/{handle.first_key_group}"
            out.utf(str(uuid.uuid5(uuid.NAMESPACE_URL, name)))


def read_operator_state_handle(buffer: Buffer) -> OperatorStateHandle:
    """Read one operator-state handle.

    Raises:
        FormatError: the bytes end early, or are of a kind that cannot be read.
    """
    kind = buffer.uint8("an operator-state handle")
    if kind == _NULL:
        raise buffer.error("An operator state is said to be there, and is not.")
    if kind == _MERGED_FILE_OPERATOR_STATE:
        raise buffer.error(
            "Operator state in merged checkpoint files is not supported.",
            hint=_TAKE_CANONICAL,
            handle_type=kind,
        )
    if kind != _PARTITIONABLE_OPERATOR_STATE:
        raise buffer.error("Unknown kind of operator-state handle.", handle_type=kind)
    partitions: dict[str, OperatorStatePartition] = {}
    for _ in range(buffer.count("operator states", 7)):
        name = buffer.utf("the name of an operator state")
        mode = buffer.uint8("a distribution mode")
        if mode > DistributionMode.BROADCAST:
            raise buffer.error("Unknown distribution mode.", mode=mode, state=name)
        offsets = buffer.int64_array(buffer.count("offsets", 8))
        if name in partitions:
            raise buffer.error("An operator state is listed twice.", state=name)
        partitions[name] = OperatorStatePartition(DistributionMode(mode), offsets)
    stream = _require_stream(buffer)
    for name, partition in partitions.items():
        _check_offsets(buffer, partition.offsets, stream, state=name)
    return OperatorStateHandle(partitions, stream)


def write_operator_state_handle(out: BufferWriter, handle: OperatorStateHandle) -> None:
    """Write one operator-state handle."""
    out.uint8(_PARTITIONABLE_OPERATOR_STATE)
    out.int32(len(handle.partitions))
    for name, partition in handle.partitions.items():
        out.utf(name)
        out.uint8(partition.mode)
        out.int32(len(partition.offsets))
        out.int64_array(partition.offsets)
    write_stream_handle(out, handle.stream)


def _read_key_groups(buffer: Buffer, kind: int) -> KeyGroupsHandle:
    first, count = _read_range(buffer)
    offsets = buffer.int64_array(count, "key group offsets")
    stream = _require_stream(buffer)
    _check_offsets(buffer, offsets, stream)
    if kind == _KEY_GROUPS_WITH_ID:
        buffer.utf("the id of a handle")
    return KeyGroupsHandle(first, offsets, stream, savepoint=kind == _SAVEPOINT_KEY_GROUPS)


def _read_incremental(buffer: Buffer, kind: int) -> IncrementalHandle:
    checkpoint_id = buffer.int64("the checkpoint id of an incremental handle")
    backend_id = buffer.utf("the backend id of an incremental handle")
    first, count = _read_range(buffer)
    recorded = buffer.int64("the checkpointed size") if kind == _INCREMENTAL_WITH_ID else None
    meta = _require_stream(buffer)
    shared = _read_files(buffer)
    private = _read_files(buffer)
    if kind == _INCREMENTAL_WITH_ID:
        buffer.utf("the id of a handle")
    if recorded is None:
        recorded = meta.size + sum(handle.size for _, handle in (*shared, *private))
    return IncrementalHandle(
        checkpoint_id, backend_id, first, count, meta, shared, private, recorded
    )


def _read_range(buffer: Buffer) -> tuple[int, int]:
    first = buffer.int32("a key group")
    count = buffer.int32("a number of key groups")
    if first < 0 or count < 0 or first + count > _MAX_KEY_GROUPS:
        raise buffer.error("Impossible range of key groups.", first=first, count=count)
    return first, count


def _read_files(buffer: Buffer) -> tuple[tuple[str, StreamHandle], ...]:
    files: list[tuple[str, StreamHandle]] = []
    for _ in range(buffer.count("files", 3)):
        name = buffer.utf("a local file name")
        if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
            raise buffer.error("A local file name is no plain name.", name=name)
        files.append((name, _require_stream(buffer)))
    return tuple(files)


def _write_files(out: BufferWriter, files: tuple[tuple[str, StreamHandle], ...]) -> None:
    out.int32(len(files))
    for name, handle in files:
        out.utf(name)
        write_stream_handle(out, handle)


def _require_stream(buffer: Buffer) -> StreamHandle:
    stream = read_stream_handle(buffer)
    if stream is None:
        raise buffer.error("A state handle has no stream.")
    return stream


def _check_offsets(
    buffer: Buffer, offsets: tuple[int, ...], stream: StreamHandle, state: str | None = None
) -> None:
    if offsets and (min(offsets) < 0 or max(offsets) > stream.size):
        raise buffer.error(
            "An offset is outside of the state stream.", stream_bytes=stream.size, state=state
        )


def _size(buffer: Buffer) -> int:
    size = buffer.int64("a file size")
    if size < 0:
        raise buffer.error("Negative file size.", size=size)
    return size


def _relative_name(buffer: Buffer) -> str:
    name = buffer.utf("the name of a file")
    # The name is joined to the snapshot's directory and must not lead out of it.
    if not name or name.startswith("/") or "\\" in name or "\0" in name:
        raise buffer.error("A relative file name leads out of the snapshot.", name=name)
    if ".." in name.split("/"):
        raise buffer.error("A relative file name leads out of the snapshot.", name=name)
    return name


def require_single(handles: tuple[KeyedHandle, ...], operator: str) -> KeyedHandle | None:
    """Return the only handle, which is all that `_metadata` can hold for one subtask.

    Raises:
        FormatError: there are several.
    """
    if len(handles) > 1:
        raise FormatError(
            "_metadata holds one keyed-state handle for each subtask.",
            hint="Write all key groups of a subtask into one stream.",
            operator=operator,
            handles=len(handles),
        )
    return handles[0] if handles else None
