"""`RegisteredState`: a state that an operator asked for: definition, table, state object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.formats.pyflink_serializers import keyed_state_meta
from millpond.state.contract.definition import StateDefinition, StateKind
from millpond.state.contract.ttl import TtlPolicy, stored_definition
from millpond.state.contract.ttl_states import ttl_state
from millpond.state.heap.list_state import HeapListState
from millpond.state.heap.map_state import HeapMapState
from millpond.state.heap.reducing_state import HeapAggregatingState, HeapReducingState
from millpond.state.heap.table import HeapTable
from millpond.state.heap.ttl_sweep import TtlSweep
from millpond.state.heap.value_state import heap_value_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.datastream.state import State
    from millpond.formats.state_meta import StateMeta
    from millpond.serialization.coder import Coder
    from millpond.state.contract.keyed_backend import KeyedStateBackend

__all__ = ("RegisteredState",)

_ATOMS = frozenset({int, float, str, bytes, bool, complex, type(None)})

_STATES: dict[StateKind, Callable[[StateDefinition, HeapTable, KeyedStateBackend], Any]] = {
    StateKind.VALUE: heap_value_state,
    StateKind.LIST: HeapListState,
    StateKind.MAP: HeapMapState,
    StateKind.REDUCING: HeapReducingState,
    StateKind.AGGREGATING: HeapAggregatingState,
}


@final
class RegisteredState:
    """One state of a backend.

    Attributes:
        definition: as the user declared it, TTL included.
        table: its entries.
        state: the object that users get.
        ttl: the policy, None without TTL.
        sweep: removes expired entries that nobody touches; None without background clean-up.
    """

    __slots__ = ("definition", "state", "sweep", "table", "ttl")

    def __init__(self, definition: StateDefinition, backend: KeyedStateBackend) -> None:
        self.definition = definition
        stored = definition if definition.ttl is None else stored_definition(definition)
        self.table = HeapTable(_copier(stored))
        self.state: State = _STATES[stored.kind](stored, self.table, backend)
        self.ttl: TtlPolicy | None = None
        self.sweep: TtlSweep | None = None
        if definition.ttl is not None:
            self.state = ttl_state(definition, self.state, backend)
            self.ttl = TtlPolicy.of(definition.ttl)
            if self.ttl.cleanup_size:
                self.sweep = TtlSweep(definition.kind, self.ttl, self.table)

    def meta(self) -> StateMeta:
        """Return the entry in a snapshot's header."""
        definition = self.definition
        return keyed_state_meta(
            definition.name,
            is_map=definition.kind == StateKind.MAP,
            ttl=self.ttl is not None,
            namespace=definition.namespace.kind,
            signature=definition.signature,
        )


def _copier(stored: StateDefinition) -> Callable[[Any], Any] | None:
    """Return what makes an entry independent of a frozen one; None if entries are immutable."""
    copy = _value_copier(stored.value_coder)
    if stored.kind == StateKind.LIST:
        if copy is None:
            return list.copy
        return lambda elements: [copy(element) for element in elements]
    if stored.kind == StateKind.MAP:
        if copy is None:
            return dict.copy
        return lambda entries: {key: copy(value) for key, value in entries.items()}
    return copy


def _value_copier(coder: Coder) -> Callable[[Any], Any] | None:
    if coder.immutable:
        return None

    def copy(value: Any) -> Any:
        return value if type(value) in _ATOMS else coder.copy(value)

    return copy
