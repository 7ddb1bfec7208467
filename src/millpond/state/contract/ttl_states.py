"""The state objects with time to live that every store hands out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, final

from millpond.datastream.state import (
    AggregatingState,
    ListState,
    MapState,
    ReducingState,
    State,
    ValueState,
)
from millpond.errors import StateError, StateTypeError
from millpond.state.contract.declared_type import admit, fits
from millpond.state.contract.definition import StateDefinition, StateKind
from millpond.state.contract.map_iterator import ABSENT, MapStateIterator
from millpond.state.contract.ttl import TtlPolicy

if TYPE_CHECKING:
    from millpond.state.contract.keyed_backend import KeyedStateBackend

__all__ = ("ttl_state",)


def ttl_state(definition: StateDefinition, stored: Any, backend: KeyedStateBackend) -> State:
    """Wrap the plain state of `stored_definition(definition)` as the state the user asked for.

    Raises:
        StateTypeError: the definition has no TTL, or lacks its function.
    """
    if definition.ttl is None:
        raise StateTypeError("The state has no time to live.", state=definition.name)
    return _WRAPPERS[definition.kind](definition, stored, backend)


class _TtlState:
    """A state object around a plain one, whose values are (milliseconds, value) pairs."""

    __slots__ = (
        "_backend",
        "_clock",
        "_coder",
        "_fits",
        "_policy",
        "_stored",
        "_ttl_ms",
        "definition",
    )

    def __init__(
        self, definition: StateDefinition, stored: Any, backend: KeyedStateBackend
    ) -> None:
        assert definition.ttl is not None
        self.definition = definition
        self._stored = stored
        self._backend = backend
        self._clock = backend.parameters.clock
        self._policy = TtlPolicy.of(definition.ttl)
        self._ttl_ms = self._policy.ttl_ms
        self._coder = definition.value_coder
        self._fits = fits(definition.value_coder)

    @property
    def current_namespace(self) -> Any:
        """The namespace in use; the plain state's own."""
        return self._stored.current_namespace

    @current_namespace.setter
    def current_namespace(self, namespace: Any) -> None:
        self._stored.current_namespace = namespace

    def clear(self) -> None:
        """Remove what is stored under the current key and namespace."""
        self._stored.clear()

    def _admitted(self, value: Any, part: str = "value") -> Any:
        if self._fits is None or self._fits(value):
            return value
        return admit(
            self._coder,
            value,
            state=self.definition.name,
            operator=self._backend.parameters.operator_name,
            key=self._backend.current_key,
            part=part,
        )

    def _refuse_none(self, what: str) -> NoReturn:
        raise StateError(
            f"None cannot be {what}.",
            state=self.definition.name,
            operator=self._backend.parameters.operator_name,
        )


class _TtlCell(_TtlState):
    """One pair a key: values, reduced values, accumulators."""

    __slots__ = ()

    def _read(self) -> Any:
        """Return the value if it may be seen; refresh or remove it as the policy says."""
        pair = self._stored.value()
        if pair is None:
            return None
        now = self._clock.now_ms()
        if pair[0] + self._ttl_ms <= now:
            self._stored.clear()
            return pair[1] if self._policy.return_expired else None
        if self._policy.refresh_on_read:
            self._stored.update((now, pair[1]))
        return pair[1]

    def _read_unexpired(self) -> Any:
        pair = self._stored.value()
        if pair is None or pair[0] + self._ttl_ms <= self._clock.now_ms():
            return None
        return pair[1]

    def _write(self, value: Any) -> None:
        if value is None:
            self._stored.clear()
            return
        self._stored.update((self._clock.now_ms(), self._admitted(value)))

    def _merge(
        self, target: Any, sources: Iterable[Any], combine: Callable[[Any, Any], Any]
    ) -> None:
        stored, before = self._stored, self._stored.current_namespace
        merged = None
        try:
            for namespace in sources:
                stored.current_namespace = namespace
                value = self._read_unexpired()
                stored.clear()
                if value is not None:
                    merged = value if merged is None else combine(merged, value)
            if merged is not None:
                stored.current_namespace = target
                value = self._read_unexpired()
                self._write(merged if value is None else combine(value, merged))
        finally:
            stored.current_namespace = before


@final
class _TtlValueState(_TtlCell, ValueState[Any]):
    __slots__ = ()

    def value(self) -> Any:
        return self._read()

    def update(self, value: Any) -> None:
        self._write(value)


@final
class _TtlReducingState(_TtlCell, ReducingState[Any]):
    __slots__ = ("_reduce",)

    def __init__(
        self, definition: StateDefinition, stored: Any, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, stored, backend)
        if definition.reduce is None:
            raise StateTypeError("A reducing state needs a function.", state=definition.name)
        self._reduce = definition.reduce

    def get(self) -> Any:
        return self._read()

    def add(self, value: Any) -> None:
        if value is not None:
            stored = self._read_unexpired()
            if stored is not None:
                value = self._reduce(stored, value)
        self._write(value)

    def merge_namespaces(self, target: Any, sources: Iterable[Any]) -> None:
        self._merge(target, sources, self._reduce)


@final
class _TtlAggregatingState(_TtlCell, AggregatingState[Any, Any]):
    __slots__ = ("_aggregate",)

    def __init__(
        self, definition: StateDefinition, stored: Any, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, stored, backend)
        if definition.aggregate is None:
            raise StateTypeError("An aggregating state needs a function.", state=definition.name)
        self._aggregate = definition.aggregate

    def get(self) -> Any:
        accumulator = self._read()
        return None if accumulator is None else self._aggregate.get_result(accumulator)

    def add(self, value: Any) -> None:
        if value is None:
            self._stored.clear()
            return
        accumulator = self._read_unexpired()
        if accumulator is None:
            accumulator = self._aggregate.create_accumulator()
        self._write(self._aggregate.add(value, accumulator))

    def merge_namespaces(self, target: Any, sources: Iterable[Any]) -> None:
        self._merge(target, sources, self._aggregate.merge)


@final
class _TtlListState(_TtlState, ListState[Any]):
    """Each element has its own time."""

    __slots__ = ()

    def get(self) -> Iterable[Any]:
        stored = self._stored.get()
        now = self._clock.now_ms()
        policy = self._policy
        if not (isinstance(stored, list) or policy.refresh_on_read or policy.return_expired):
            # Too long to be held; what expired is left to the clean-up in the background.
            return _UnexpiredElements(stored, now - self._ttl_ms)
        pairs = list(stored)
        if not pairs:
            return pairs
        kept = [pair for pair in pairs if pair[0] + self._ttl_ms > now]
        if self._policy.refresh_on_read:
            self._stored.update([(now, pair[1]) for pair in kept])
        elif len(kept) < len(pairs):
            self._stored.update(kept)
        return [pair[1] for pair in (pairs if self._policy.return_expired else kept)]

    def add(self, value: Any) -> None:
        self._stored.add((self._clock.now_ms(), self._element(value)))

    def add_all(self, values: Iterable[Any]) -> None:
        self._stored.add_all(self._stamped(values))

    def update(self, values: Iterable[Any]) -> None:
        self._stored.update(self._stamped(values))

    def merge_namespaces(self, target: Any, sources: Iterable[Any]) -> None:
        self._stored.merge_namespaces(target, sources)

    def _stamped(self, values: Iterable[Any]) -> list[Any]:
        if values is None:
            self._refuse_none("the elements of a list state")
        now = self._clock.now_ms()
        return [(now, self._element(value)) for value in values]

    def _element(self, value: Any) -> Any:
        if value is None and self._fits is not None and not self._fits(value):
            self._refuse_none("added to a list state")
        return self._admitted(value, "list element")


@final
class _UnexpiredElements:
    """The elements of a long list that were alive at one moment; iterable again and again."""

    __slots__ = ("_not_after_ms", "_pairs")

    def __init__(self, pairs: Iterable[tuple[int, Any]], not_after_ms: int) -> None:
        self._pairs = pairs
        self._not_after_ms = not_after_ms

    def __iter__(self) -> Iterator[Any]:
        not_after_ms = self._not_after_ms
        return (value for time_ms, value in self._pairs if time_ms > not_after_ms)


@final
class _TtlMapState(_TtlState, MapState[Any, Any]):
    """Each entry has its own time."""

    __slots__ = ()

    def get(self, key: Any) -> Any:
        pair = self._visible(key)
        return None if pair is None else pair[1]

    def put(self, key: Any, value: Any) -> None:
        if value is not None:
            value = self._admitted(value, "map value")
        self._stored.put(key, (self._clock.now_ms(), value))

    def put_all(self, dict_value: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None) -> None:
        if dict_value is None:
            return
        pairs = dict_value.items() if isinstance(dict_value, Mapping) else dict_value
        for key, value in list(pairs):
            self.put(key, value)

    def remove(self, key: Any) -> None:
        self._stored.remove(key)

    def contains(self, key: Any) -> bool:
        pair = self._visible(key)
        return pair is not None and pair[1] is not None

    def items(self) -> MapStateIterator:
        return self._iterate(lambda key, pair: (key, pair[1]))

    def keys(self) -> MapStateIterator:
        return self._iterate(lambda key, _pair: key)

    def values(self) -> MapStateIterator:
        return self._iterate(lambda _key, pair: pair[1])

    def __iter__(self) -> MapStateIterator:
        return self.keys()

    def is_empty(self) -> bool:
        """Return whether there is no entry; expired ones count until removed, as in Flink."""
        return bool(self._stored.is_empty())

    def _visible(self, key: Any) -> tuple[int, Any] | None:
        """Return the pair if it may be seen; refresh or remove it as the policy says."""
        pair: tuple[int, Any] | None = self._stored.get(key)
        if pair is None:
            return None
        now = self._clock.now_ms()
        if pair[0] + self._ttl_ms <= now:
            self._stored.remove(key)
            return pair if self._policy.return_expired else None
        if self._policy.refresh_on_read:
            self._stored.put(key, (now, pair[1]))
        return pair

    def _iterate(self, shape: Callable[[Any, Any], Any]) -> MapStateIterator:
        # All accesses are made at the key and namespace of the moment of the call.
        backend, stored = self._backend, self._stored
        key, namespace = backend.current_key, stored.current_namespace

        def at_origin(access: Callable[[Any], Any], map_key: Any) -> Any:
            before, before_namespace = backend.current_key, stored.current_namespace
            backend.current_key, stored.current_namespace = key, namespace
            try:
                return access(map_key)
            finally:
                backend.current_key, stored.current_namespace = before, before_namespace

        def lookup(map_key: Any) -> Any:
            pair = at_origin(self._visible, map_key)
            return ABSENT if pair is None else pair

        def remove(map_key: Any) -> None:
            at_origin(stored.remove, map_key)

        return MapStateIterator(list(stored.keys()), lookup, remove, shape)


_WRAPPERS: dict[StateKind, Callable[[StateDefinition, Any, KeyedStateBackend], State]] = {
    StateKind.VALUE: _TtlValueState,
    StateKind.LIST: _TtlListState,
    StateKind.MAP: _TtlMapState,
    StateKind.REDUCING: _TtlReducingState,
    StateKind.AGGREGATING: _TtlAggregatingState,
}
