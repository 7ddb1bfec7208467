"""`RocksDBReducingState` and `RocksDBAggregatingState`: a value a key that additions change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.datastream.state import AggregatingState, ReducingState
from millpond.errors import StateTypeError
from millpond.state.rocksdb.value_state import ValueRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from millpond.datastream.functions import AggregateFunction
    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.rocksdb.database import ColumnFamily

__all__ = ("RocksDBAggregatingState", "RocksDBReducingState")


class _CombiningState(ValueRows):
    """Merges the values of namespaces."""

    __slots__ = ()

    def _merge(
        self, target: Any, sources: Iterable[Any], combine: Callable[[Any, Any], Any]
    ) -> None:
        merged = None
        for namespace in sources:
            slot = self.at(namespace)
            value = self._read(slot)
            if value is not None:
                merged = value if merged is None else combine(merged, value)
                self._store(slot, None)
        if merged is not None:
            slot = self.at(target)
            value = self._read(slot)
            self._store(slot, merged if value is None else combine(value, merged))


@final
class RocksDBReducingState(_CombiningState, ReducingState[Any]):
    """The reduction of everything added."""

    __slots__ = ("_reduce",)

    def __init__(
        self, definition: StateDefinition, family: ColumnFamily, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, family, backend)
        if definition.reduce is None:
            raise StateTypeError("A reducing state needs a function.", state=definition.name)
        self._reduce = definition.reduce

    def get(self) -> Any:
        """Return the reduced value, None if nothing was added."""
        return self._read(self._scope.current_key)

    def add(self, value: Any) -> None:
        """Combine the stored value with another one; the first is stored as it is."""
        slot = self._scope.current_key
        if value is not None:
            stored = self._read(slot)
            if stored is not None:
                value = self._reduce(stored, value)
        self._store(slot, value)

    def merge_namespaces(self, target: Any, sources: Iterable[Any]) -> None:
        """Combine the values of `sources` into `target`."""
        self._merge(target, sources, self._reduce)


@final
class RocksDBAggregatingState(_CombiningState, AggregatingState[Any, Any]):
    """The accumulator of everything added."""

    __slots__ = ("_aggregate",)

    def __init__(
        self, definition: StateDefinition, family: ColumnFamily, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, family, backend)
        if definition.aggregate is None:
            raise StateTypeError("An aggregating state needs a function.", state=definition.name)
        self._aggregate: AggregateFunction = definition.aggregate

    def get(self) -> Any:
        """Return the result for what was added, None if nothing was."""
        accumulator = self._read(self._scope.current_key)
        return None if accumulator is None else self._aggregate.get_result(accumulator)

    def add(self, value: Any) -> None:
        """Add a value to the accumulator; None removes the accumulator, as in PyFlink."""
        slot = self._scope.current_key
        if value is None:
            self._store(slot, None)
            return
        accumulator = self._read(slot)
        if accumulator is None:
            accumulator = self._aggregate.create_accumulator()
        self._store(slot, self._aggregate.add(value, accumulator))

    def merge_namespaces(self, target: Any, sources: Iterable[Any]) -> None:
        """Combine the accumulators of `sources` into `target`."""
        self._merge(target, sources, self._aggregate.merge)
