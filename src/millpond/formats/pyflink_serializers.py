"""Serializer snapshots and state entries that PyFlink's operators write into keyed streams.

The counterpart in Flink is its Python operators (AbstractExternalPythonFunctionOperator and
PythonTypeUtils): keys are rows of one field, states are lists or maps of bytes.
"""

from __future__ import annotations

from typing import Final

from millpond.errors import FormatError
from millpond.formats import serializer_classes as classes
from millpond.formats.buffer import BufferWriter
from millpond.formats.serializer_snapshot import SerializerSnapshot
from millpond.formats.state_meta import (
    DISTRIBUTION_MODE,
    KEY_SERIALIZER,
    KEYED_STATE_TYPE,
    NAMESPACE_SERIALIZER,
    SIGNATURE,
    VALUE_SERIALIZER,
    StateMeta,
    StateMetaKind,
)

__all__ = (
    "BYTES",
    "BYTE_ARRAY_WRAPPER",
    "LIST_OF_BYTES",
    "LIST_OF_TTL_BYTES",
    "LONG",
    "MAP_OF_BYTES",
    "MAP_OF_TTL_BYTES",
    "NAMESPACES",
    "PYTHON_STATE_PREFIX",
    "TTL_BYTES",
    "array_snapshot",
    "basic_snapshot",
    "broadcast_state_meta",
    "keyed_state_meta",
    "list_snapshot",
    "map_snapshot",
    "namespace_kind",
    "object_array_snapshot",
    "operator_list_state_meta",
    "row_snapshot",
    "timer_service_of",
    "timer_state_meta",
    "timer_state_name",
    "tuple_snapshot",
)

PYTHON_STATE_PREFIX: Final = "python-state-"
"""What PyFlink puts in front of the name of every state."""

_TIMER_STATE_PREFIX = "_timer_state/"
_TIMER_DOMAINS = ("processing", "event")


def basic_snapshot(name: str) -> SerializerSnapshot:
    """Return the snapshot of a basic Java serializer by its short name: ``Long``, ``SqlDate``."""
    return SerializerSnapshot(classes.basic_class(name))


def array_snapshot(name: str) -> SerializerSnapshot:
    """Return the snapshot of an array serializer: ``BytePrimitiveArray``, ``StringArray``."""
    return SerializerSnapshot(classes.array_class(name))


def object_array_snapshot(java_class: str, element: SerializerSnapshot) -> SerializerSnapshot:
    """Return the snapshot of an array of objects, for example of ``java.lang.Long``."""
    return SerializerSnapshot(classes.GENERIC_ARRAY, (element,), 1, _utf(java_class))


def row_snapshot(*fields: SerializerSnapshot) -> SerializerSnapshot:
    """Return the snapshot of a RowSerializer."""
    return SerializerSnapshot(classes.ROW, fields, 4, b"\x01")


def tuple_snapshot(*fields: SerializerSnapshot) -> SerializerSnapshot:
    """Return the snapshot of a TupleSerializer; Flink's tuples have 1 to 25 fields."""
    if not 0 < len(fields) <= 25:
        raise FormatError("Flink's tuples have 1 to 25 fields.", fields=len(fields))
    java_class = f"{classes.FLINK_TUPLE}{len(fields)}"
    return SerializerSnapshot(classes.TUPLE, fields, 2, _utf(java_class))


def list_snapshot(element: SerializerSnapshot) -> SerializerSnapshot:
    """Return the snapshot of a ListSerializer."""
    return SerializerSnapshot(classes.LIST, (element,), 1)


def map_snapshot(key: SerializerSnapshot, value: SerializerSnapshot) -> SerializerSnapshot:
    """Return the snapshot of a MapSerializer."""
    return SerializerSnapshot(classes.MAP, (key, value), 1)


def _utf(text: str) -> bytes:
    out = BufferWriter()
    out.utf(text)
    return out.to_bytes()


LONG: Final = SerializerSnapshot(classes.LONG)
BYTES: Final = SerializerSnapshot(classes.BYTES)
BYTE_ARRAY_WRAPPER: Final = SerializerSnapshot(classes.BYTE_ARRAY_WRAPPER)
TTL_BYTES: Final = SerializerSnapshot(classes.TTL, (LONG, BYTES), 2)
LIST_OF_BYTES: Final = list_snapshot(BYTES)
LIST_OF_TTL_BYTES: Final = list_snapshot(TTL_BYTES)
MAP_OF_BYTES: Final = map_snapshot(BYTE_ARRAY_WRAPPER, BYTES)
MAP_OF_TTL_BYTES: Final = map_snapshot(BYTE_ARRAY_WRAPPER, TTL_BYTES)

NAMESPACES: Final = {
    "void": SerializerSnapshot(classes.VOID_NAMESPACE),
    "time-window": SerializerSnapshot(classes.TABLE_TIME_WINDOW),
    "count-window": SerializerSnapshot(classes.COUNT_WINDOW),
    "global-window": SerializerSnapshot(classes.GLOBAL_WINDOW),
}
"""Snapshots of the namespace serializers, by the kind that `state.contract.namespace` names."""

_NAMESPACE_KINDS: Final = {
    **{snapshot.class_name: kind for kind, snapshot in NAMESPACES.items()},
    classes.STREAMING_TIME_WINDOW: "time-window",
}


def namespace_kind(snapshot: SerializerSnapshot) -> str:
    """Return the kind of a namespace serializer.

    Raises:
        FormatError: it is of no known kind.
    """
    kind = _NAMESPACE_KINDS.get(snapshot.class_name)
    if kind is None:
        raise FormatError("Unknown kind of namespace.", serializer=snapshot.class_name)
    return kind


def keyed_state_meta(
    name: str,
    *,
    is_map: bool,
    ttl: bool = False,
    namespace: str = "void",
    signature: str | None = None,
) -> StateMeta:
    """Return the entry of a user's state: maps as maps, all other kinds as lists of bytes.

    `name` is the user's, without prefix; `namespace` is a key of `NAMESPACES`.
    """
    if is_map:
        value = MAP_OF_TTL_BYTES if ttl else MAP_OF_BYTES
    else:
        value = LIST_OF_TTL_BYTES if ttl else LIST_OF_BYTES
    options = {KEYED_STATE_TYPE: "MAP" if is_map else "LIST"}
    if signature is not None:
        options[SIGNATURE] = signature
    serializers = {VALUE_SERIALIZER: value, NAMESPACE_SERIALIZER: NAMESPACES[namespace]}
    return StateMeta(PYTHON_STATE_PREFIX + name, StateMetaKind.KEY_VALUE, options, serializers)


def timer_state_name(service: str, domain: str) -> str:
    """Return the state name of a timer queue; `domain` is ``event`` or ``processing``."""
    return f"{_TIMER_STATE_PREFIX}{domain}_{service}"


def timer_service_of(state_name: str) -> tuple[str, str] | None:
    """Return (service, domain) of a timer queue's state name, None for other states."""
    if state_name.startswith(_TIMER_STATE_PREFIX):
        domain, _, service = state_name.removeprefix(_TIMER_STATE_PREFIX).partition("_")
        if domain in _TIMER_DOMAINS:
            return service, domain
    return None


def timer_state_meta(
    service: str, domain: str, key: SerializerSnapshot, namespace: str = "void"
) -> StateMeta:
    """Return the entry of a timer queue; `key` is the stream's key serializer."""
    timer = SerializerSnapshot(classes.TIMER, (key, NAMESPACES[namespace]), 2)
    name = timer_state_name(service, domain)
    return StateMeta(name, StateMetaKind.PRIORITY_QUEUE, {}, {VALUE_SERIALIZER: timer})


def broadcast_state_meta(name: str, signature: str | None = None) -> StateMeta:
    """Return the entry of a broadcast state; `name` is the user's, without prefix."""
    options = {DISTRIBUTION_MODE: "BROADCAST"}
    if signature is not None:
        options[SIGNATURE] = signature
    serializers = {VALUE_SERIALIZER: BYTES, KEY_SERIALIZER: BYTE_ARRAY_WRAPPER}
    return StateMeta(PYTHON_STATE_PREFIX + name, StateMetaKind.BROADCAST, options, serializers)


def operator_list_state_meta(
    name: str, *, union: bool = False, signature: str | None = None
) -> StateMeta:
    """Return the entry of an operator's list state of bytes; `name` is written as it is."""
    options = {DISTRIBUTION_MODE: "UNION" if union else "SPLIT_DISTRIBUTE"}
    if signature is not None:
        options[SIGNATURE] = signature
    return StateMeta(name, StateMetaKind.OPERATOR, options, {VALUE_SERIALIZER: BYTES})
