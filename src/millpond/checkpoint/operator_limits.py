"""`operator_limits`: what a written savepoint holds that Apache Flink reads, but cannot use."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from millpond.formats.flink_limits import flink_limits
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.savepoint_content import read_operator_content

if TYPE_CHECKING:
    from typing import BinaryIO

    from millpond.checkpoint.loading import LoadedCheckpoint
    from millpond.checkpoint.reader import CheckpointReader
    from millpond.formats.flink_limits import FlinkLimit
    from millpond.formats.handles import KeyedHandle, OperatorState, StreamHandle
    from millpond.formats.state_meta import StateMeta

__all__ = ("operator_limits",)


def operator_limits(loaded: LoadedCheckpoint, operator: OperatorState) -> list[FlinkLimit]:
    """Return them, each state once; none for a snapshot that Flink wrote.

    Reads the operator state and the headers of the keyed state, whatever the size of the latter.

    Raises:
        FormatError: a stream is damaged.
        SnapshotCorruptedError: a stream is not what its checksum says.
    """
    if loaded.is_from_flink:
        return []
    reader = loaded.reader
    metas: dict[str, StateMeta] = {}
    with_none: set[str] = set()
    for _, content in read_operator_content(operator, reader.open):
        for meta in content.header.lists:
            if content.lists.get(meta.name):
                metas[meta.name] = meta
        for meta in content.header.broadcasts:
            metas[meta.name] = meta
            if any(value == b"" for _, value in content.broadcasts.get(meta.name, ())):
                with_none.add(meta.name)
    for subtask in operator.subtasks.values():
        for handle in subtask.keyed_managed:
            for meta in _keyed_states(handle, reader, operator.max_parallelism):
                metas[meta.name] = meta
    return flink_limits(metas.values(), with_none)


def _keyed_states(
    handle: KeyedHandle, reader: CheckpointReader, max_parallelism: int
) -> tuple[StateMeta, ...]:
    with contextlib.ExitStack() as streams:

        def opened(stream: StreamHandle) -> BinaryIO:
            return streams.enter_context(reader.open(stream))

        return tuple(open_keyed_state(handle, opened, max_parallelism, check=False).header.states)
