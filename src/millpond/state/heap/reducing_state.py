"""`HeapReducingState` and `HeapAggregatingState`: one value a key that additions change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.datastream.state import AggregatingState, ReducingState
from millpond.errors import StateTypeError
from millpond.state.contract.declared_type import fits
from millpond.state.heap.state import HeapState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from millpond.datastream.functions import AggregateFunction
    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.heap.table import HeapTable

__all__ = ("HeapAggregatingState", "HeapReducingState")


class _CombiningState(HeapState):
    """Stores a value or accumulator, checked against the declared type."""

    __slots__ = ("_fits",)

    def __init__(
        self, definition: StateDefinition, table: HeapTable, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, table, backend)
        self._fits = fits(definition.value_coder)

    def _store(self, key: Any, value: Any) -> None:
        if value is None:
            self.remove_entry(key)
        else:
            if self._fits is not None and not self._fits(value):
                value = self.admit(value, self.definition.value_coder)
            self._entries[key] = value

    def _merge(
        self, target: Any, sources: Iterable[Any], combine: Callable[[Any, Any], Any]
    ) -> None:
        entries = self._entries
        merged = None
        for namespace in sources:
            key = self.at(namespace)
            value = entries.get(key)
            if value is not None:
                merged = value if merged is None else combine(merged, value)
                entries.pop(key, None)
        if merged is not None:
            key = self.at(target)
            value = entries.get(key)
            self._store(key, merged if value is None else combine(value, merged))


@final
class HeapReducingState(_CombiningState, ReducingState[Any]):
    """The reduction of everything added."""

    __slots__ = ("_reduce",)

    def __init__(
        self, definition: StateDefinition, table: HeapTable, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, table, backend)
        if definition.reduce is None:
            raise StateTypeError("A reducing state needs a function.", state=definition.name)
        self._reduce = definition.reduce

    def get(self) -> Any:
        """Return the reduced value, None if nothing was added."""
        return self._entries.get(self._scope.current_key)

    def add(self, value: Any) -> None:
        """Combine the stored value with another one; the first is stored as it is."""
        key = self._scope.current_key
        if value is not None:
            stored = self._entries.get(key)
            if stored is not None:
                value = self._reduce(stored, value)
        if value is None or (self._fits is not None and not self._fits(value)):
            self._store(key, value)
        else:
            self._entries[key] = value

    def merge_namespaces(self, target: Any, sources: Iterable[Any]) -> None:
        """Combine the values of `sources` into `target`."""
        self._merge(target, sources, self._reduce)


@final
class HeapAggregatingState(_CombiningState, AggregatingState[Any, Any]):
    """The accumulator of everything added."""

    __slots__ = ("_aggregate",)

    def __init__(
        self, definition: StateDefinition, table: HeapTable, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, table, backend)
        if definition.aggregate is None:
            raise StateTypeError("An aggregating state needs a function.", state=definition.name)
        self._aggregate: AggregateFunction = definition.aggregate

    def get(self) -> Any:
        """Return the result for what was added, None if nothing was."""
        accumulator = self._entries.get(self._scope.current_key)
        return None if accumulator is None else self._aggregate.get_result(accumulator)

    def add(self, value: Any) -> None:
        """Add a value to the accumulator; None removes the accumulator, as in PyFlink."""
        key = self._scope.current_key
        if value is None:
            self.remove_entry(key)
            return
        accumulator = self._entries.get(key)
        if accumulator is None:
            accumulator = self._aggregate.create_accumulator()
        self._store(key, self._aggregate.add(value, accumulator))

    def merge_namespaces(self, target: Any, sources: Iterable[Any]) -> None:
        """Combine the accumulators of `sources` into `target`."""
        self._merge(target, sources, self._aggregate.merge)
