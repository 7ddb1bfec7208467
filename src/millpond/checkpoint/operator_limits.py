"""`operator_limits`: what a written savepoint holds that Apache Flink reads, but cannot use."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from millpond.formats.flink_limits import flink_limits
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.pyflink_serializers import MAP_OF_TTL_BYTES
from millpond.formats.savepoint_content import read_operator_content
from millpond.formats.state_meta import VALUE_SERIALIZER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from millpond.checkpoint.loading import LoadedCheckpoint
    from millpond.checkpoint.reader import CheckpointReader
    from millpond.formats.flink_limits import FlinkLimit
    from millpond.formats.handles import KeyedHandle, OperatorState, StreamHandle
    from millpond.formats.keyed_state import KeyedStateReader
    from millpond.formats.state_meta import StateMeta

__all__ = ("operator_limits",)


def operator_limits(loaded: LoadedCheckpoint, operator: OperatorState) -> list[FlinkLimit]:
    """Return them, each state once; none for a snapshot that Flink wrote.

    Reads the operator state and the headers of the keyed state. Keyed state itself is read only
    where a map has TTL, since Flink cannot hold None in it, and up to the first None.

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
            with _opened(handle, reader, operator.max_parallelism) as keyed:
                metas |= {meta.name: meta for meta in keyed.header.states}
                with_none |= _maps_with_none(keyed, with_none)
    return flink_limits(metas.values(), with_none)


def _maps_with_none(keyed: KeyedStateReader, known: set[str]) -> set[str]:
    """Return the names of further maps with TTL that hold None."""
    wanted = {
        number: meta.name
        for number, meta in enumerate(keyed.header.states)
        if meta.serializers.get(VALUE_SERIALIZER) == MAP_OF_TTL_BYTES and meta.name not in known
    }
    found: set[str] = set()
    for block in keyed.blocks() if wanted else ():
        if block.state_id in wanted and any(value[:1] == b"\1" for _, value in block.entries):
            found.add(wanted.pop(block.state_id))
            if not wanted:
                break
    return found


@contextlib.contextmanager
def _opened(
    handle: KeyedHandle, reader: CheckpointReader, max_parallelism: int
) -> Iterator[KeyedStateReader]:
    with contextlib.ExitStack() as streams:

        def opened(stream: StreamHandle) -> BinaryIO:
            return streams.enter_context(reader.open(stream))

        yield open_keyed_state(handle, opened, max_parallelism, check=False)
