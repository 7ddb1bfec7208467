"""`HeapBroadcastState`: a map of which every subtask has its own, equal copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.state import BroadcastState, ReadOnlyBroadcastState
from millpond.errors import SerializationError, StateError
from millpond.state.contract.declared_type import admit, encoder_error, fits, key_form

if TYPE_CHECKING:
    from millpond.serialization.coder import Coder

__all__ = ("HeapBroadcastState", "ReadOnlyView")


@final
class HeapBroadcastState(BroadcastState[Any, Any]):
    """A dictionary in memory. Only the task thread uses it.

    Attributes:
        name: as registered.
        key_coder: of the keys.
        value_coder: of the values.
    """

    __slots__ = (
        "_entries",
        "_fits_key",
        "_fits_value",
        "_key_form",
        "_operator",
        "key_coder",
        "name",
        "value_coder",
    )

    def __init__(
        self,
        name: str,
        key_coder: Coder,
        value_coder: Coder,
        entries: dict[Any, Any],
        operator: str,
    ) -> None:
        self.name = name
        self.key_coder = key_coder
        self.value_coder = value_coder
        self._entries = entries
        self._fits_key = fits(key_coder)
        self._key_form = key_form(key_coder)
        self._fits_value = fits(value_coder)
        self._operator = operator

    def get(self, key: Any) -> Any:
        """Return the value of a key, None if there is none."""
        return self._entries.get(key if self._key_form is None else self._key_form(key))

    def contains(self, key: Any) -> bool:
        """Return whether there is an entry with this key."""
        return (key if self._key_form is None else self._key_form(key)) in self._entries

    def put(self, key: Any, value: Any) -> None:
        """Set the value of a key."""
        if self._fits_key is not None and not self._fits_key(key):
            key = self._admit(self.key_coder, key, "map key")
        if value is not None and self._fits_value is not None and not self._fits_value(value):
            value = self._admit(self.value_coder, value, "map value")
        try:
            self._entries[key] = value
        except TypeError as error:
            raise encoder_error(
                SerializationError("Map keys must be hashable."),
                self.key_coder,
                key,
                state=self.name,
                operator=self._operator,
                part="map key",
            ) from error

    def put_all(self, dict_value: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None) -> None:
        """Set several entries, given as a mapping or as pairs; None changes nothing."""
        if dict_value is None:
            return
        pairs = dict_value.items() if isinstance(dict_value, Mapping) else dict_value
        for key, value in list(pairs):
            self.put(key, value)

    def remove(self, key: Any) -> None:
        """Delete an entry; nothing happens when there is none."""
        self._entries.pop(key if self._key_form is None else self._key_form(key), None)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Iterate over the entries of now; the state may be changed meanwhile."""
        return iter(list(self._entries.items()))

    def keys(self) -> Iterator[Any]:
        """Iterate over the keys of now; the state may be changed meanwhile."""
        return iter(list(self._entries))

    def values(self) -> Iterator[Any]:
        """Iterate over the values of now; the state may be changed meanwhile."""
        return iter(list(self._entries.values()))

    def is_empty(self) -> bool:
        """Return whether there are no entries."""
        return not self._entries

    def clear(self) -> None:
        """Delete all entries."""
        self._entries.clear()

    def capture(self) -> list[tuple[Any, Any]]:
        """Return what a snapshot must hold: immutable keys and values, or their bytes.

        Entries that could be changed in place are encoded here and now.
        """
        if self.key_coder.immutable and self.value_coder.immutable:
            return list(self._entries.items())
        return [self.encode_entry(key, value) for key, value in self._entries.items()]

    def encode_entry(self, key: Any, value: Any) -> tuple[bytes, bytes]:
        """Return the bytes of an entry; None as a value is no bytes at all, as Flink has none."""
        return self.key_coder.encode(key), b"" if value is None else self.value_coder.encode(value)

    def _admit(self, coder: Coder, value: Any, part: str) -> Any:
        return admit(coder, value, state=self.name, operator=self._operator, part=part)


@final
class ReadOnlyView(ReadOnlyBroadcastState[Any, Any]):
    """A broadcast state as those see it who must not change it."""

    __slots__ = ("_state",)

    def __init__(self, state: ReadOnlyBroadcastState[Any, Any]) -> None:
        self._state = state

    def get(self, key: Any) -> Any:
        """Return the value of a key, None if there is none."""
        return self._state.get(key)

    def contains(self, key: Any) -> bool:
        """Return whether there is an entry with this key."""
        return self._state.contains(key)

    def items(self) -> Iterable[tuple[Any, Any]]:
        """Iterate over the entries of now."""
        return self._state.items()

    def keys(self) -> Iterable[Any]:
        """Iterate over the keys of now."""
        return self._state.keys()

    def values(self) -> Iterable[Any]:
        """Iterate over the values of now."""
        return self._state.values()

    def is_empty(self) -> bool:
        """Return whether there are no entries."""
        return self._state.is_empty()

    def clear(self) -> None:
        """Refuse."""
        raise StateError("This broadcast state can only be read here.")
