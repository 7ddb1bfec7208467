"""Whether a state of a snapshot is the one that an operator declares now.

Snapshots of Millpond record each state's signature. In Flink's own ones there is none: there the
serializers tell maps, TTL and namespaces, and all other kinds are lists of bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.errors import SerializerIncompatibleError, StateTypeError
from millpond.formats.pyflink_serializers import (
    LIST_OF_BYTES,
    LIST_OF_TTL_BYTES,
    MAP_OF_BYTES,
    MAP_OF_TTL_BYTES,
    namespace_kind,
)
from millpond.formats.state_meta import (
    NAMESPACE_SERIALIZER,
    SIGNATURE,
    VALUE_SERIALIZER,
    StateMeta,
    StateMetaKind,
)
from millpond.state.contract.definition import StateDefinition, StateKind

if TYPE_CHECKING:
    from millpond.state.contract.namespace import NamespaceSerializer

__all__ = ("check_registered", "check_restored", "check_restored_timers")


def check_registered(known: StateDefinition, wanted: StateDefinition, operator: str) -> None:
    """Check that a second registration of a name is of the same kind and types.

    Raises:
        StateTypeError: it is not; names both.
    """
    if known.signature == wanted.signature and known.namespace is wanted.namespace:
        return
    raise StateTypeError(
        f"The state is registered as {_described(known)} and cannot be used as "
        f"{_described(wanted)}.",
        hint="Use one name for one state.",
        state=wanted.name,
        operator=operator,
    )


def check_restored(meta: StateMeta, definition: StateDefinition, operator: str) -> None:
    """Check that a restored state is what is declared, as far as the snapshot tells.

    Raises:
        StateTypeError: it is of another kind; names both.
        SerializerIncompatibleError: it is of another type, or has TTL where none is declared or
            the other way round, or other namespaces; names both.
    """
    found = meta.options.get(SIGNATURE)
    if found is None:
        _check_serializer(meta, definition, operator)
    elif found != definition.signature:
        same_kind = found.partition("<")[0] == definition.kind
        raise (SerializerIncompatibleError if same_kind else StateTypeError)(
            f"The snapshot holds {found} and cannot be used as {definition.signature}.",
            hint="Declare the state as it was, or give the new one another name.",
            state=definition.name,
            operator=operator,
        )
    _check_namespace(meta, definition.namespace, definition.name, operator)


def check_restored_timers(meta: StateMeta, namespace: NamespaceSerializer, operator: str) -> None:
    """Check that restored timers have the declared namespaces.

    Raises:
        SerializerIncompatibleError: they have not; names both.
    """
    timer = meta.serializers.get(VALUE_SERIALIZER)
    if (
        meta.kind is not StateMetaKind.PRIORITY_QUEUE
        or timer is None
        or len(timer.nested) != 2
        or namespace_kind(timer.nested[1]) != namespace.kind
    ):
        raise SerializerIncompatibleError(
            f"The snapshot's timers have no {namespace.kind} namespaces.",
            state=meta.name,
            operator=operator,
        )


def _check_serializer(meta: StateMeta, definition: StateDefinition, operator: str) -> None:
    if definition.kind == StateKind.MAP:
        expected = MAP_OF_BYTES if definition.ttl is None else MAP_OF_TTL_BYTES
    else:
        expected = LIST_OF_BYTES if definition.ttl is None else LIST_OF_TTL_BYTES
    found = meta.serializers.get(VALUE_SERIALIZER)
    if found == expected:
        return
    names = {
        LIST_OF_BYTES: "a list of bytes",
        LIST_OF_TTL_BYTES: "a list of bytes with TTL",
        MAP_OF_BYTES: "a map of bytes",
        MAP_OF_TTL_BYTES: "a map of bytes with TTL",
    }
    described = "no value" if found is None else names.get(found, found.class_name)
    raise SerializerIncompatibleError(
        f"The snapshot holds {described} and cannot be used as {definition.signature}.",
        hint="State of Java functions and of PyFlink's thread mode cannot be read.",
        state=definition.name,
        operator=operator,
    )


def _check_namespace(
    meta: StateMeta, namespace: NamespaceSerializer, state: str, operator: str
) -> None:
    snapshot = meta.serializers.get(NAMESPACE_SERIALIZER)
    kind = "void" if snapshot is None else namespace_kind(snapshot)
    if kind != namespace.kind:
        raise SerializerIncompatibleError(
            f"The snapshot holds the state for {kind} namespaces, not for {namespace.kind} ones.",
            state=state,
            operator=operator,
        )


def _described(definition: StateDefinition) -> str:
    if definition.namespace.kind == "void":
        return definition.signature
    return f"{definition.signature} of {definition.namespace.kind} namespaces"
