"""`_metadata`: the file that lists everything a checkpoint or savepoint consists of.

Versions 2 to 6 are read; version 3 is written, which every Flink from 1.11 on reads and which needs
no Java serialization. The rules are Flink's (Checkpoints, MetadataV2Serializer to
MetadataV6Serializer).
"""

from __future__ import annotations

from dataclasses import replace

import mmh3

from millpond.errors import FormatError
from millpond.formats.buffer import Buffer, BufferWriter
from millpond.formats.handle_encoding import (
    read_keyed_handle,
    read_operator_state_handle,
    read_stream_handle,
    require_single,
    write_keyed_handle,
    write_operator_state_handle,
    write_stream_handle,
)
from millpond.formats.handles import (
    CheckpointMetadata,
    FileHandle,
    IncrementalHandle,
    InlineHandle,
    KeyedHandle,
    MasterState,
    OperatorState,
    RelativeFileHandle,
    SubtaskState,
)

__all__ = ("METADATA_FILE_NAME", "read_metadata", "write_metadata")

METADATA_FILE_NAME = "_metadata"

_MAGIC = 0x4960672D
_MASTER_STATE_MAGIC = 0xC96B1696 - (1 << 32)
_WRITTEN_VERSION = 3
_JAVA_OBJECT = bytes.fromhex("aced0005")
_MAX_PARALLELISM = 32768


def read_metadata(data: bytes) -> CheckpointMetadata:
    """Read a `_metadata` file of version 2 to 6.

    Raises:
        FormatError: it is no such file, is truncated or damaged, or lists state of a kind that
            cannot be read (changelog, merged files, in-flight data); the context has the offset.
    """
    buffer = Buffer(data)
    if buffer.remaining < 8 or buffer.int32() != _MAGIC:
        buffer.offset = 0
        raise buffer.error(
            "This is no Flink metadata file: the magic number is missing.",
            hint="Give the _metadata file of a checkpoint or savepoint, or its directory.",
        )
    version = buffer.int32("the version")
    if not 2 <= version <= 6:
        raise buffer.error(
            "Metadata of this version cannot be read.",
            hint="Versions 2 to 6 (Flink 1.3 to 2.3) can.",
            version=version,
        )
    checkpoint_id = buffer.int64("the checkpoint id")
    if checkpoint_id < 0:
        raise buffer.error("Negative checkpoint id.", checkpoint=checkpoint_id)
    masters = tuple(_read_master_state(buffer) for _ in range(buffer.count("master states", 8)))
    operators: dict[bytes, OperatorState] = {}
    for _ in range(buffer.count("operators", 24)):
        operator = _read_operator(buffer, version)
        if operator.operator_id in operators:
            raise buffer.error("An operator is listed twice.", operator=operator.operator_id.hex())
        operators[operator.operator_id] = operator
    properties = b""
    if version >= 4:
        if not buffer.data.startswith(_JAVA_OBJECT, buffer.offset):
            raise buffer.error("The checkpoint properties are no serialized Java object.")
        properties = buffer.take(buffer.remaining)
    else:
        buffer.expect_end("the operators")
    return CheckpointMetadata(
        checkpoint_id, tuple(operators.values()), masters, properties, version
    )


def write_metadata(metadata: CheckpointMetadata) -> bytes:
    """Return the bytes of a `_metadata` file of version 3.

    Names and uids of operators and the checkpoint properties are not in that version; Flink finds
    operators by id.

    Raises:
        FormatError: a subtask has several handles of one kind, or a text is too long.
    """
    out = BufferWriter()
    out.int32(_MAGIC)
    out.int32(_WRITTEN_VERSION)
    out.int64(metadata.checkpoint_id)
    out.int32(len(metadata.master_states))
    for master in metadata.master_states:
        _write_master_state(out, master)
    out.int32(len(metadata.operators))
    for operator in metadata.operators:
        _write_operator(out, operator)
    return out.to_bytes()


def _read_master_state(buffer: Buffer) -> MasterState:
    if buffer.int32("a master state") != _MASTER_STATE_MAGIC:
        raise buffer.error("A master state does not start with its magic number.")
    size = buffer.int32("the length of a master state")
    start = buffer.offset
    buffer.take(size, "a master state")
    inner = Buffer(buffer.data, start, start + size)
    version = inner.int32("the version of a master state")
    name = inner.utf("the name of a master state")
    data = inner.sized_bytes("a master state")
    inner.expect_end("a master state")
    return MasterState(name, version, data)


def _write_master_state(out: BufferWriter, master: MasterState) -> None:
    inner = BufferWriter()
    inner.int32(master.version)
    inner.utf(master.name)
    inner.sized_bytes(master.data)
    out.int32(_MASTER_STATE_MAGIC)
    out.sized_bytes(inner.to_bytes())


def _read_operator(buffer: Buffer, version: int) -> OperatorState:
    name = uid = ""
    if version >= 5:
        name = buffer.utf("the name of an operator")
        uid = buffer.utf("the uid of an operator")
    operator_id = buffer.take(16, "an operator id")
    if uid and mmh3.hash_bytes(uid.encode("utf-8", "surrogatepass"), 0) != operator_id:
        raise buffer.error(
            "The id of an operator is not that of its uid.", uid=uid, operator=operator_id.hex()
        )
    parallelism = buffer.int32("a parallelism")
    max_parallelism = buffer.int32("a max parallelism")
    if not 0 < parallelism <= max_parallelism <= _MAX_PARALLELISM:
        raise buffer.error(
            "Impossible parallelism.",
            operator=operator_id.hex(),
            parallelism=parallelism,
            max_parallelism=max_parallelism,
        )
    coordinator = None
    if version == 2:
        buffer.int32("a chain length")
    else:
        coordinator = _read_coordinator(buffer)
    number = buffer.int32("a number of subtasks")
    finished = number == -1 and version >= 3
    if not finished and not 0 <= number <= parallelism:
        raise buffer.error("Impossible number of subtasks.", subtasks=number)
    subtasks: dict[int, SubtaskState] = {}
    for _ in range(0 if finished else number):
        index = buffer.int32("a subtask index")
        ended = index < 0
        index = -(index + 1) if ended else index
        if index >= parallelism or index in subtasks:
            raise buffer.error("Impossible subtask index.", index=index, parallelism=parallelism)
        subtask = SubtaskState(finished=True) if ended else _read_subtask(buffer, version)
        _check_key_groups(buffer, subtask, index, parallelism, max_parallelism)
        subtasks[index] = subtask
    return OperatorState(
        operator_id, parallelism, max_parallelism, subtasks, coordinator, finished, name, uid
    )


def _write_operator(out: BufferWriter, operator: OperatorState) -> None:
    if len(operator.operator_id) != 16:
        raise FormatError("An operator id has 16 bytes.", operator=operator.operator_id.hex())
    out.raw(operator.operator_id)
    out.int32(operator.parallelism)
    out.int32(operator.max_parallelism)
    write_stream_handle(out, operator.coordinator)
    if operator.fully_finished:
        out.int32(-1)
        return
    out.int32(len(operator.subtasks))
    for index, subtask in operator.subtasks.items():
        if subtask.finished:
            out.int32(-(index + 1))
            continue
        out.int32(index)
        for handle in (subtask.operator_managed, subtask.operator_raw):
            out.int32(0 if handle is None else 1)
            if handle is not None:
                write_operator_state_handle(out, handle)
        for keyed in (subtask.keyed_managed, subtask.keyed_raw):
            write_keyed_handle(out, require_single(keyed, operator.operator_id.hex()))
        out.int32(0)
        out.int32(0)


def _read_coordinator(buffer: Buffer) -> InlineHandle | None:
    handle = read_stream_handle(buffer)
    if isinstance(handle, FileHandle | RelativeFileHandle):
        raise buffer.error("The state of an operator coordinator is not inline.")
    return handle


def _read_subtask(buffer: Buffer, version: int) -> SubtaskState:
    if version == 2:
        buffer.int64("a duration")
        if buffer.int32("a number of legacy states") != 0:
            raise buffer.error("State of Flink 1.1 cannot be read.")
    operator_managed = operator_raw = None
    if _is_there(buffer, "a managed operator state"):
        operator_managed = read_operator_state_handle(buffer)
    if _is_there(buffer, "a raw operator state"):
        operator_raw = read_operator_state_handle(buffer)
    keyed_managed = _as_tuple(read_keyed_handle(buffer))
    raw = read_keyed_handle(buffer)
    if isinstance(raw, IncrementalHandle):
        raise buffer.error("Raw keyed state is no RocksDB database.")
    keyed_raw = () if raw is None else (replace(raw, raw=True),)
    if version >= 3:
        for what in ("input channels", "result subpartitions"):
            if buffer.int32(f"a number of {what}") != 0:
                raise buffer.error(
                    f"In-flight data of {what} (unaligned checkpoint) is not supported.",
                    hint="Take a savepoint, or an aligned checkpoint.",
                )
    return SubtaskState(operator_managed, operator_raw, keyed_managed, keyed_raw)


def _is_there(buffer: Buffer, what: str) -> bool:
    flag = buffer.int32(what)
    if flag not in (0, 1):
        raise buffer.error(f"It is neither said that {what} is there nor that not.", flag=flag)
    return flag == 1


def _as_tuple(handle: KeyedHandle | None) -> tuple[KeyedHandle, ...]:
    return () if handle is None else (handle,)


def _check_key_groups(
    buffer: Buffer, subtask: SubtaskState, index: int, parallelism: int, max_parallelism: int
) -> None:
    # KeyGroupRangeAssignment.computeKeyGroupRangeForOperatorIndex.
    first = (index * max_parallelism + parallelism - 1) // parallelism
    last = ((index + 1) * max_parallelism - 1) // parallelism
    for handle in subtask.keyed:
        if (handle.first_key_group, handle.last_key_group) != (first, last):
            raise buffer.error(
                "The key groups of a subtask are not those that it owns.",
                key_groups=f"{handle.first_key_group} to {handle.last_key_group}",
                expected=f"{first} to {last}",
                max_parallelism=max_parallelism,
            )
