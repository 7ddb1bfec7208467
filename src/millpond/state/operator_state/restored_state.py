"""`RestoredOperatorState`: what one subtask gets of a snapshot, as bytes until registered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from millpond.errors import FormatError, SavepointMismatchError, SnapshotCorruptedError
from millpond.formats.operator_state import read_operator_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from millpond.formats.handles import DistributionMode, OperatorStateHandle
    from millpond.formats.state_meta import StateMeta
    from millpond.state.contract.snapshot import SnapshotReader

__all__ = (
    "RestoredOperatorState",
    "RestoredState",
    "StreamContent",
    "join_restored",
    "read_restored",
)

Element = Any
"""Bytes of a list element, or the (key, value) bytes of a broadcast entry."""


@dataclass(frozen=True, slots=True)
class RestoredState:
    """One state: its entry in the header, how it is dealt, and its elements in order."""

    meta: StateMeta
    mode: DistributionMode
    elements: list[Element] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RestoredOperatorState:
    """All operator states of one new subtask by the names that the streams give them."""

    states: Mapping[str, RestoredState]


@dataclass(frozen=True, slots=True)
class StreamContent:
    """One stream, read: headers, and the elements that start at each offset, by state."""

    metas: Mapping[str, StateMeta]
    elements: Mapping[str, Mapping[int, list[Element]]]


def read_restored(handle: OperatorStateHandle, reader: SnapshotReader) -> StreamContent:
    """Read a stream whole.

    Raises:
        SnapshotCorruptedError: it is missing or damaged.
        SavepointMismatchError: a state is not made of bytes, as those of Python are.
    """
    try:
        with reader.open(handle.stream) as stream:
            content = read_operator_state(stream, handle)
    except FormatError as error:
        raise SnapshotCorruptedError(
            f"The operator state in the snapshot is damaged: {error.message}",
            hint=error.hint or "Restore from an older checkpoint.",
            **error.context,
        ) from error
    header = content.header
    elements: dict[str, dict[int, list[Element]]] = {}
    for name, partition in handle.partitions.items():
        if name in content.broadcasts:
            entries = content.broadcasts[name]
            _check_bytes(name, (part for entry in entries for part in entry))
            elements[name] = {partition.offsets[0]: list(entries)} if partition.offsets else {}
        else:
            values = content.lists[name]
            _check_bytes(name, values)
            elements[name] = {
                offset: [value] for offset, value in zip(partition.offsets, values, strict=True)
            }
    return StreamContent({m.name: m for m in (*header.lists, *header.broadcasts)}, elements)


def join_restored(
    parts: Iterable[tuple[OperatorStateHandle, StreamContent]],
) -> RestoredOperatorState:
    """Return what the handles of one new subtask select of their streams, in order."""
    states: dict[str, RestoredState] = {}
    for handle, content in parts:
        for name, partition in handle.partitions.items():
            state = states.get(name)
            if state is None:
                state = states[name] = RestoredState(content.metas[name], partition.mode)
            for offset in partition.offsets:
                state.elements.extend(content.elements[name][offset])
    return RestoredOperatorState(states)


def _check_bytes(name: str, values: Iterable[Any]) -> None:
    for value in values:
        if not isinstance(value, bytes):
            raise SavepointMismatchError(
                f"An operator state of Java values of type {type(value).__name__} cannot be used.",
                hint="Only Python's operator state, and that of bytes, can be restored.",
                state=name,
            )
