"""`RestoredState`: rows of one state as a snapshot held them, until somebody registers it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from millpond.errors import FormatError, SavepointMismatchError, SnapshotCorruptedError
from millpond.formats.handles import IncrementalHandle
from millpond.formats.heap_increments import is_heap_increments
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.state_meta import SIGNATURE
from millpond.state.contract.key_group import KeyGroupRange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from millpond.formats.handles import KeyedHandle, StreamHandle
    from millpond.formats.keyed_header import KeyedHeader
    from millpond.formats.keyed_state import KeyedStateReader
    from millpond.formats.serializer_snapshot import SerializerSnapshot
    from millpond.formats.state_meta import StateMeta
    from millpond.state.contract.snapshot import SnapshotReader
    from millpond.state.heap.key_groups import KeyGroups

__all__ = ("RestoredState", "read_restored_states")

Rows = list[tuple[bytes, bytes]]


@final
@dataclass(slots=True)
class RestoredState:
    """A state that nobody asked for yet: its entry in the header and its rows, undecoded.

    `rows` maps a key group to (composite key, value) rows; nobody changes the lists.
    """

    meta: StateMeta
    rows: dict[int, Rows] = field(default_factory=dict)

    def all_rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the rows of all key groups."""
        for rows in self.rows.values():
            yield from rows


def read_restored_states(
    handles: tuple[KeyedHandle, ...],
    reader: SnapshotReader,
    key_groups: KeyGroups,
    key_serializer: SerializerSnapshot,
) -> dict[str, RestoredState]:
    """Read what the handles hold for a range of key groups, by the name in their headers.

    All layouts are read but the files of Millpond's own RocksDB store. `key_serializer` is what
    the snapshot's must equal.

    Raises:
        SavepointMismatchError: the keys were written with another serializer, or a handle is of a
            kind that heap state cannot be restored from.
        SnapshotCorruptedError: a stream is missing, damaged or has the wrong checksum.
    """
    try:
        return _read_all(handles, reader, key_groups, key_serializer)
    except FormatError as error:
        raise SnapshotCorruptedError(
            f"The keyed state in the snapshot is damaged: {error.message}",
            hint=error.hint or "Restore from an older checkpoint.",
            **{**error.context, "operator": key_groups.operator_name},
        ) from error


def _read_all(
    handles: tuple[KeyedHandle, ...],
    reader: SnapshotReader,
    key_groups: KeyGroups,
    key_serializer: SerializerSnapshot,
) -> dict[str, RestoredState]:
    states: dict[str, RestoredState] = {}
    for handle in handles:
        owned = KeyGroupRange(handle.first_key_group, handle.last_key_group)
        if key_groups.range.intersect(owned).count:
            with ExitStack() as opened:

                def open_stream(stream: StreamHandle, opened: ExitStack = opened) -> BinaryIO:
                    return opened.enter_context(reader.open(stream))

                body = open_keyed_state(
                    handle,
                    open_stream,
                    key_groups.max_parallelism,
                    check=not reader.has_checksums,
                )
                _check_header(body.header, handle, key_serializer, key_groups.operator_name)
                _read(body, key_groups.range, states)
    return states


def _read(
    body: KeyedStateReader, key_groups: KeyGroupRange, states: dict[str, RestoredState]
) -> None:
    by_id = [states.setdefault(meta.name, RestoredState(meta)) for meta in body.header.states]
    for state, meta in zip(by_id, body.header.states, strict=True):
        if state.meta != meta:
            raise FormatError("Two streams of one operator disagree on a state.", state=meta.name)
    for key_group, state_id, rows in body.blocks(key_groups):
        by_id[state_id].rows.setdefault(key_group, []).extend(rows)


def _check_header(
    header: KeyedHeader, handle: KeyedHandle, key_serializer: SerializerSnapshot, operator: str
) -> None:
    if header.states and not _same(header.key_serializer, key_serializer):
        raise SavepointMismatchError(
            "The keys in the snapshot are of another type.",
            hint="The key type of key_by must be the one that the snapshot was taken with.",
            snapshot=header.key_serializer.class_name,
            declared=key_serializer.class_name,
            operator=operator,
        )
    # Flink's files have no signatures; ours have lists in many rows, which only our store knows.
    is_rocksdb = isinstance(handle, IncrementalHandle) and not is_heap_increments(handle)
    if is_rocksdb and any(SIGNATURE in meta.options for meta in header.states):
        raise SavepointMismatchError(
            "Heap state cannot be restored from the files of the RocksDB store.",
            hint="Take a savepoint in canonical format, which every store reads.",
            operator=operator,
        )


def _same(found: SerializerSnapshot, declared: SerializerSnapshot) -> bool:
    """Compare classes alone: older versions of Flink recorded less beside them."""
    return (
        found.class_name == declared.class_name
        and len(found.nested) == len(declared.nested)
        and all(map(_same, found.nested, declared.nested))
    )
