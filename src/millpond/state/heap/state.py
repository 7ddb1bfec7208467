"""What all state objects on heap share: where their entry is and how a value is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol, final

from millpond.errors import StateError
from millpond.state.contract.declared_type import admit, rounds
from millpond.state.contract.namespace import VOID, VOID_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.serialization.coder import Coder
    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.heap.table import HeapTable

__all__ = ("HeapState",)


class _Scope(Protocol):
    """What knows the key of the entry to use; the backend itself where there is no namespace."""

    @property
    def current_key(self) -> Any: ...


@final
class _NamespacedScope:
    """Pairs the backend's current key with the state's current namespace."""

    __slots__ = ("_backend", "_state")

    def __init__(self, backend: KeyedStateBackend, state: HeapState) -> None:
        self._backend = backend
        self._state = state

    @property
    def current_key(self) -> tuple[Any, Any]:
        state = self._state
        namespace = state.current_namespace
        if namespace is None:
            state.refuse_namespace()
        return self._backend.current_key, namespace


class HeapState:
    """One state object: a view of a table at the backend's current key.

    Attributes:
        current_namespace: set by window operators; VOID_NAMESPACE for other state.
    """

    __slots__ = ("_backend", "_entries", "_rounds", "_scope", "current_namespace", "definition")

    _entries: dict[Any, Any]
    _scope: _Scope

    def __init__(
        self, definition: StateDefinition, table: HeapTable, backend: KeyedStateBackend
    ) -> None:
        self.definition = definition
        self.current_namespace: Any = VOID_NAMESPACE
        self._backend = backend
        self._rounds = rounds(definition.value_coder)
        # The idiom of all accesses: self._entries.get(self._scope.current_key).
        self._scope = backend if definition.namespace is VOID else _NamespacedScope(backend, self)
        table.attach(self)

    def clear(self) -> None:
        """Remove the entry of the current key and namespace."""
        self.remove_entry(self._scope.current_key)

    def remove_entry(self, key: Any) -> None:
        """Remove an entry of the table."""
        # An empty dictionary's pop() does not hash, and so would let NO_KEY pass.
        hash(key)
        self._entries.pop(key, None)

    def entries(self) -> dict[Any, Any] | None:
        """Return the dictionary in use; see `SupportsEntries` for the rules."""
        return None if self._rounds else self._entries

    def take(self, slots: Iterable[Any]) -> list[Any]:
        """Remove entries of the table and return their values, None where there is none."""
        entries = self._entries
        if type(entries) is dict:
            return [entries.pop(slot, None) for slot in slots]
        taken = []
        for slot in slots:
            # An overlay copies what a snapshot still reads in get(), and not in pop().
            taken.append(entries.get(slot))
            entries.pop(slot, None)
        return taken

    def at(self, namespace: Any) -> Any:
        """Return the table's key for the current key and a namespace."""
        if self.definition.namespace is VOID:
            return self._backend.current_key
        if namespace is None:
            self.refuse_namespace()
        return self._backend.current_key, namespace

    def admit(self, value: Any, coder: Coder, part: str = "value") -> Any:
        """Return a value as it reads after a restore, or refuse it; see `declared_type.admit`."""
        parameters = self._backend.parameters
        return admit(
            coder,
            value,
            state=self.definition.name,
            operator=parameters.operator_name,
            key=self._backend.current_key,
            part=part,
        )

    def refuse_none(self, what: str) -> NoReturn:
        """Raise the error for None where the kind of state forbids it."""
        raise StateError(
            f"None cannot be {what}.",
            state=self.definition.name,
            operator=self._backend.parameters.operator_name,
        )

    def refuse_namespace(self) -> NoReturn:
        """Raise the error for state of a window that was used without a window."""
        raise StateError(
            f"State with {self.definition.namespace.kind} namespaces was used without a namespace.",
            hint="Set the state's current_namespace first.",
            state=self.definition.name,
            operator=self._backend.parameters.operator_name,
        )
