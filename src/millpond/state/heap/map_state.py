"""`HeapMapState`: a dictionary a key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

from millpond.datastream.state import MapState
from millpond.errors import SerializationError, StateTypeError
from millpond.state.contract.declared_type import encoder_error, fits, key_form
from millpond.state.contract.map_iterator import (
    ABSENT,
    MapStateIterator,
    ShortMapIterator,
    Walks,
)
from millpond.state.heap.state import HeapState

if TYPE_CHECKING:
    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.heap.table import HeapTable

__all__ = ("HeapMapState",)

_SHORT_MAP: Final = 1024


@final
class HeapMapState(HeapState, MapState[Any, Any]):
    """Entries of the user's keys and values; never an empty dictionary."""

    __slots__ = ("_fits_key", "_fits_value", "_key_coder", "_key_form", "_walks")

    def __init__(
        self, definition: StateDefinition, table: HeapTable, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, table, backend)
        if definition.map_key_coder is None:
            raise StateTypeError("A map state needs a type of keys.", state=definition.name)
        self._key_coder = definition.map_key_coder
        self._fits_key = fits(self._key_coder)
        self._key_form = key_form(self._key_coder)
        self._fits_value = fits(definition.value_coder)
        self._walks = Walks()

    def get(self, key: Any) -> Any:
        """Return a key's value, None if there is none."""
        entries = self._entries.get(self._scope.current_key)
        if entries is None:
            return None
        return entries.get(key if self._key_form is None else self._key_form(key))

    def put(self, key: Any, value: Any) -> None:
        """Set a key's value; None is a value."""
        if self._fits_key is not None and not self._fits_key(key):
            key = self.admit(key, self._key_coder, "map key")
        if value is not None and self._fits_value is not None and not self._fits_value(value):
            value = self.admit(value, self.definition.value_coder, "map value")
        address = self._scope.current_key
        if self._walks.under_way:
            self._walks.outdate(address)
        entries = self._entries.get(address)
        try:
            if entries is None:
                self._entries[address] = {key: value}
            else:
                entries[key] = value
        except TypeError as error:
            self._refuse_unhashable(key, error)

    def put_all(self, dict_value: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None) -> None:
        """Set the values of several keys, given as a dictionary or as pairs."""
        if dict_value is None:
            return
        pairs = dict_value.items() if isinstance(dict_value, Mapping) else dict_value
        for key, value in list(pairs):
            self.put(key, value)

    def remove(self, key: Any) -> None:
        """Remove a key; nothing happens if it is not there."""
        if self._key_form is not None:
            key = self._key_form(key)
        self.remove_at(self._scope.current_key, key)

    def entry_at(self, slot: Any, key: Any) -> Any:
        """Return a key's value in the map of a slot, or ABSENT."""
        entries = self._entries.get(slot)
        return ABSENT if entries is None else entries.get(key, ABSENT)

    def remove_at(self, slot: Any, key: Any) -> None:
        """Remove a key from the map of a slot; nothing happens if it is not there."""
        if self._walks.under_way:
            self._walks.outdate(slot)
        entries = self._entries.get(slot)
        if entries is not None and entries.pop(key, ABSENT) is not ABSENT and not entries:
            self._entries.pop(slot, None)

    def remove_entry(self, key: Any) -> None:
        """Remove a whole map."""
        if self._walks.under_way:
            self._walks.outdate(key)
        super().remove_entry(key)

    def contains(self, key: Any) -> bool:
        """Return whether a key has a value other than None, as PyFlink does."""
        return self.get(key) is not None

    def items(self) -> MapStateIterator:
        """Iterate over (key, value) pairs; the iterator can `remove()`."""
        return self._iterate(_pair)

    def keys(self) -> MapStateIterator:
        """Iterate over the keys; the iterator can `remove()`."""
        return self._iterate(_key)

    def values(self) -> MapStateIterator:
        """Iterate over the values; the iterator can `remove()`."""
        return self._iterate(_value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._iterate(_key))

    def is_empty(self) -> bool:
        """Return whether there is no entry."""
        return self._entries.get(self._scope.current_key) is None

    def _iterate(self, shape: Callable[[Any, Any], Any]) -> MapStateIterator:
        # The iterator stays with the key and namespace of now, whatever is current later.
        slot = self._scope.current_key
        entries = self._entries.get(slot)
        if entries is None:
            keys, results = [], []
        elif len(entries) > _SHORT_MAP:
            lookup, remove = partial(self.entry_at, slot), partial(self.remove_at, slot)
            return MapStateIterator(list(entries), lookup, remove, shape)
        else:
            keys = list(entries)
            if shape is _pair:
                results = list(entries.items())
            else:
                results = list(entries.values()) if shape is _value else keys[:]
        return self._walks.add(ShortMapIterator(keys, results, self, slot, shape))

    def _refuse_unhashable(self, key: Any, error: TypeError) -> NoReturn:
        raise encoder_error(
            SerializationError("Map keys must be hashable."),
            self._key_coder,
            key,
            state=self.definition.name,
            operator=self._backend.parameters.operator_name,
            key=self._backend.current_key,
            part="map key",
        ) from error


def _pair(key: Any, value: Any) -> tuple[Any, Any]:
    return key, value


def _key(key: Any, value: Any) -> Any:
    return key


def _value(key: Any, value: Any) -> Any:
    return value
