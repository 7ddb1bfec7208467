"""`HeapListState`: a list a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.datastream.state import ListState
from millpond.state.contract.declared_type import all_fit, fits
from millpond.state.heap.state import HeapState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.heap.table import HeapTable

__all__ = ("HeapListState",)


@final
class HeapListState(HeapState, ListState[Any]):
    """Elements in the order they were added; never an empty list."""

    __slots__ = ("_fits",)

    def __init__(
        self, definition: StateDefinition, table: HeapTable, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, table, backend)
        self._fits = fits(definition.value_coder)

    def get(self) -> list[Any]:
        """Return the elements of now; a new list. O(length)."""
        elements = self._entries.get(self._scope.current_key)
        return [] if elements is None else elements[:]

    def add(self, value: Any) -> None:
        """Append an element."""
        if self._fits is not None and not self._fits(value):
            if value is None:
                self.refuse_none("added to a list state")
            value = self.admit(value, self.definition.value_coder, "list element")
        key = self._scope.current_key
        elements = self._entries.get(key)
        if elements is None:
            self._entries[key] = [value]
        else:
            elements.append(value)

    def add_all(self, values: Iterable[Any]) -> None:
        """Append elements; none of them if one does not fit."""
        added = self._checked(values)
        key = self._scope.current_key
        elements = self._entries.get(key)
        if not added:
            return
        if elements is None:
            self._entries[key] = added
        else:
            elements.extend(added)

    def update(self, values: Iterable[Any]) -> None:
        """Replace the elements; an empty iterable removes them all."""
        elements = self._checked(values)
        key = self._scope.current_key
        if elements:
            self._entries[key] = elements
        else:
            self.remove_entry(key)

    def merge_namespaces(self, target: Any, sources: Iterable[Any]) -> None:
        """Move the lists of `sources` behind the list of `target`."""
        entries = self._entries
        merged: list[Any] = []
        for namespace in sources:
            key = self.at(namespace)
            elements = entries.get(key)
            if elements is not None:
                merged.extend(elements)
                entries.pop(key, None)
        if merged:
            key = self.at(target)
            elements = entries.get(key)
            if elements is None:
                entries[key] = merged
            else:
                elements.extend(merged)

    def _checked(self, values: Iterable[Any]) -> list[Any]:
        if values is None:
            self.refuse_none("the elements of a list state")
        elements = list(values)
        if all_fit(self.definition.value_coder, elements):
            return elements
        check = self._fits
        if check is not None:
            coder = self.definition.value_coder
            for place, element in enumerate(elements):
                if not check(element):
                    if element is None:
                        self.refuse_none("added to a list state")
                    elements[place] = self.admit(element, coder, "list element")
        return elements
