"""`StateMeta`: what the header of a state stream says of one state.

The rules are Flink's (StateMetaInfoSnapshotReadersWriters, versions 5 to 7).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

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


class StateMetaKind(enum.IntEnum):
    """Where a state belongs."""

    KEY_VALUE = 0
    OPERATOR = 1
    BROADCAST = 2
    PRIORITY_QUEUE = 3


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
        options[option] = buffer.utf("an option of a state")
    serializers: dict[str, SerializerSnapshot] = {}
    for _ in range(buffer.count("serializers of a state", 12)):
        role = buffer.utf("the role of a serializer")
        serializers[role] = read_wrapped_serializer_snapshot(buffer)
    return StateMeta(name, StateMetaKind(kind), options, serializers)


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
