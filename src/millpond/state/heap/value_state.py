"""`HeapValueState`: one value a key, read and written by one dictionary operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.datastream.state import ValueState
from millpond.state.contract.declared_type import EXACT_TYPES, INTEGER_RANGES, fits
from millpond.state.heap.state import HeapState

if TYPE_CHECKING:
    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.heap.table import HeapTable

__all__ = ("HeapValueState", "heap_value_state")


class HeapValueState(HeapState, ValueState[Any]):
    """A value of a type that needs no check: pickled."""

    __slots__ = ("_fits",)

    def __init__(
        self, definition: StateDefinition, table: HeapTable, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, table, backend)
        self._fits = fits(definition.value_coder)

    def value(self) -> Any:
        """Return the value, None if there is none."""
        return self._entries.get(self._scope.current_key)

    def update(self, value: Any) -> None:
        """Set the value; None removes it."""
        if value is None:
            self.remove_entry(self._scope.current_key)
        else:
            self._entries[self._scope.current_key] = value

    def _update_checked(self, value: Any) -> None:
        if value is None:
            self.remove_entry(self._scope.current_key)
        else:
            if self._fits is not None and not self._fits(value):
                value = self.admit(value, self.definition.value_coder)
            self._entries[self._scope.current_key] = value


@final
class _CheckedValueState(HeapValueState):
    """A value of a composite type."""

    __slots__ = ()

    def update(self, value: Any) -> None:
        self._update_checked(value)


@final
class _ExactValueState(HeapValueState):
    """A value of a type whose instances all fit: floats, booleans."""

    __slots__ = ("_type",)

    def __init__(
        self, definition: StateDefinition, table: HeapTable, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, table, backend)
        self._type = EXACT_TYPES[definition.value_coder.signature]

    def update(self, value: Any) -> None:
        if type(value) is self._type:
            self._entries[self._scope.current_key] = value
        else:
            self._update_checked(value)


@final
class _TextValueState(HeapValueState):
    """A text; what is not ASCII may hold lone surrogates, which no coder takes."""

    __slots__ = ()

    def update(self, value: Any) -> None:
        if type(value) is str and value.isascii():
            self._entries[self._scope.current_key] = value
        else:
            self._update_checked(value)


@final
class _LongValueState(HeapValueState):
    """A 64-bit integer, the commonest type: its bounds are constants of the code."""

    __slots__ = ()

    def update(self, value: Any) -> None:
        # The interpreter has a fast comparison for integers of one digit (30 bits), which a
        # chain of comparisons does not use: 10 ns an update.
        if type(value) is int and (
            (value < 0x3FFFFFFF and value > -0x3FFFFFFF)
            or -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF
        ):
            self._entries[self._scope.current_key] = value
        else:
            self._update_checked(value)


@final
class _IntegerValueState(HeapValueState):
    """An integer of bounded size."""

    __slots__ = ("_high", "_low")

    def __init__(
        self, definition: StateDefinition, table: HeapTable, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, table, backend)
        self._low, self._high = INTEGER_RANGES[definition.value_coder.signature]

    def update(self, value: Any) -> None:
        if type(value) is int and self._low <= value <= self._high:
            self._entries[self._scope.current_key] = value
        else:
            self._update_checked(value)


def heap_value_state(
    definition: StateDefinition, table: HeapTable, backend: KeyedStateBackend
) -> HeapValueState:
    """Make the value state with the cheapest check of the declared type."""
    coder = definition.value_coder
    if coder.signature in EXACT_TYPES:
        return _ExactValueState(definition, table, backend)
    if coder.signature == "LONG":
        return _LongValueState(definition, table, backend)
    if coder.signature in INTEGER_RANGES:
        return _IntegerValueState(definition, table, backend)
    if coder.signature == "STRING":
        return _TextValueState(definition, table, backend)
    if fits(coder) is not None:
        return _CheckedValueState(definition, table, backend)
    return HeapValueState(definition, table, backend)
