"""`StateMeta`: what the header of a state stream says of one state.

The rules are Flink's (StateMetaInfoSnapshotReadersWriters, versions 5 to 7).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from millpond.formats.serializer_classes import LIST, MAP, TIMER
from millpond.formats.serializer_snapshot import (
    SerializerSnapshot,
    read_wrapped_serializer_snapshot,
    write_wrapped_serializer_snapshot,
)

if TYPE_CHECKING:
    from millpond.formats.buffer import Buffer, BufferWriter

__all__ = (
    "DISTRIBUTION_MODE",
    "ELEMENT_ROWS",
    "KEYED_STATE_TYPE",
    "KEY_SERIALIZER",
    "NAMESPACE_SERIALIZER",
    "SIGNATURE",
    "VALUE_SERIALIZER",
    "StateMeta",
    "StateMetaKind",
    "read_state_meta",
    "write_state_meta",
)

KEYED_STATE_TYPE: Final = "KEYED_STATE_TYPE"
"""Option: VALUE, LIST, MAP, REDUCING or AGGREGATING."""

DISTRIBUTION_MODE: Final = "OPERATOR_STATE_DISTRIBUTION_MODE"
"""Option: SPLIT_DISTRIBUTE, UNION or BROADCAST."""

SIGNATURE: Final = "MILLPOND_SIGNATURE"
"""Option of our own: the declared Python type; Flink keeps options that it does not know."""

ELEMENT_ROWS: Final = "MILLPOND_ELEMENT_ROWS"
"""Option of our own RocksDB files: ``true`` for lists that have a row for each element."""

KEY_SERIALIZER: Final = "KEY_SERIALIZER"
NAMESPACE_SERIALIZER: Final = "NAMESPACE_SERIALIZER"
VALUE_SERIALIZER: Final = "VALUE_SERIALIZER"


_KEYED_STATE_TYPES = {"VALUE", "LIST", "MAP", "REDUCING", "AGGREGATING", "FOLDING", "UNKNOWN"}
_MODES = {"SPLIT_DISTRIBUTE", "UNION", "BROADCAST"}
_COLLECTIONS = {"LIST": LIST, "MAP": MAP}


class StateMetaKind(enum.IntEnum):
    """Where a state belongs."""

    KEY_VALUE = 0
    OPERATOR = 1
    BROADCAST = 2
    PRIORITY_QUEUE = 3


_ROLES = {
    StateMetaKind.KEY_VALUE: {VALUE_SERIALIZER, NAMESPACE_SERIALIZER},
    StateMetaKind.OPERATOR: {VALUE_SERIALIZER},
    StateMetaKind.BROADCAST: {VALUE_SERIALIZER, KEY_SERIALIZER},
    StateMetaKind.PRIORITY_QUEUE: {VALUE_SERIALIZER},
}


@dataclass(frozen=True, slots=True)
class StateMeta:
    """Name, kind, options and serializers of one state; unknown options are kept."""

    name: str
    kind: StateMetaKind
    options: dict[str, str] = field(default_factory=dict)
    serializers: dict[str, SerializerSnapshot] = field(default_factory=dict)


def read_state_meta(buffer: Buffer) -> StateMeta:
    """Read one state's entry in a header.

    Raises:
        FormatError: the bytes are damaged or of a kind that cannot be read.
    """
    name = buffer.utf("the name of a state")
    kind = buffer.int32("the kind of a state")
    if kind == 4:
        raise buffer.error(
            "State of Flink's asynchronous state API cannot be read.",
            hint="Only state of the classic API can.",
            state=name,
        )
    if not 0 <= kind <= StateMetaKind.PRIORITY_QUEUE:
        raise buffer.error("Unknown kind of state.", state=name, kind=kind)
    options: dict[str, str] = {}
    for _ in range(buffer.count("options of a state", 4)):
        option = buffer.utf("an option of a state")
        if option in options:
            raise buffer.error("An option of a state stands twice.", state=name, option=option)
        options[option] = buffer.utf("an option of a state")
    serializers: dict[str, SerializerSnapshot] = {}
    for _ in range(buffer.count("serializers of a state", 12)):
        role = buffer.utf("the role of a serializer")
        if role in serializers:
            raise buffer.error("A serializer of a state stands twice.", state=name, role=role)
        serializers[role] = read_wrapped_serializer_snapshot(buffer)
    meta = StateMeta(name, StateMetaKind(kind), options, serializers)
    problem = _problem(meta)
    if problem is not None:
        raise buffer.error(problem, state=name)
    return meta


def _problem(meta: StateMeta) -> str | None:
    """Return what is missing or contradicts itself; RegisteredStateMetaInfo writes all of it."""
    if set(meta.serializers) != _ROLES[meta.kind]:
        return "A state has other serializers than its kind needs."
    value = meta.serializers[VALUE_SERIALIZER]
    if meta.kind is StateMetaKind.PRIORITY_QUEUE:
        return None if value.class_name == TIMER else "A priority queue holds no timers."
    if meta.kind is not StateMetaKind.KEY_VALUE:
        mode = meta.options.get(DISTRIBUTION_MODE)
        fits = (mode == "BROADCAST") == (meta.kind is StateMetaKind.BROADCAST)
        return None if mode in _MODES and fits else "Unknown distribution mode."
    kind = meta.options.get(KEYED_STATE_TYPE)
    if kind not in _KEYED_STATE_TYPES:
        return "Unknown type of a keyed state."
    if _COLLECTIONS.get(kind, value.class_name) != value.class_name:
        return "The serializer of a state is not that of its type."
    return None


def write_state_meta(out: BufferWriter, meta: StateMeta) -> None:
    """Write one state's entry in a header."""
    out.utf(meta.name)
    out.int32(meta.kind)
    out.int32(len(meta.options))
    for option, value in meta.options.items():
        out.utf(option)
        out.utf(value)
    out.int32(len(meta.serializers))
    for role, snapshot in meta.serializers.items():
        out.utf(role)
        write_wrapped_serializer_snapshot(out, snapshot)
