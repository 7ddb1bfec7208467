"""`OperatorListState`: a list of one subtask that is not bound to a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, final

from millpond.datastream.state import ListState
from millpond.errors import StateError
from millpond.state.contract.declared_type import admit, fits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.formats.handles import DistributionMode
    from millpond.serialization.coder import Coder

__all__ = ("OperatorListState",)


@final
class OperatorListState(ListState[Any]):
    """Elements in the order they were added. Only the task thread uses it.

    Attributes:
        name: as registered.
        mode: SPLIT or UNION.
        coder: of one element.
    """

    __slots__ = ("_elements", "_fits", "_operator", "coder", "mode", "name")

    def __init__(
        self,
        name: str,
        mode: DistributionMode,
        coder: Coder,
        elements: list[Any],
        operator: str,
    ) -> None:
        self.name = name
        self.mode = mode
        self.coder = coder
        self._elements = elements
        self._fits = fits(coder)
        self._operator = operator

    def get(self) -> list[Any]:
        """Return the elements of now; a new list."""
        return self._elements[:]

    def add(self, value: Any) -> None:
        """Append an element."""
        self._elements.append(self._admitted(value))

    def add_all(self, values: Iterable[Any]) -> None:
        """Append elements; none of them if one does not fit."""
        self._elements.extend(self._checked(values))

    def update(self, values: Iterable[Any]) -> None:
        """Replace the elements."""
        self._elements = self._checked(values)

    def clear(self) -> None:
        """Remove all elements."""
        self._elements = []

    def capture(self) -> list[Any]:
        """Return what a snapshot must hold: immutable elements, or their bytes.

        Elements that could be changed in place are encoded here and now.
        """
        if self.coder.immutable:
            return self._elements[:]
        return [self.coder.encode(element) for element in self._elements]

    def _checked(self, values: Iterable[Any]) -> list[Any]:
        if values is None:
            self._refuse_none()
        return [self._admitted(value) for value in values]

    def _admitted(self, value: Any) -> Any:
        if self._fits is None or self._fits(value):
            return value
        if value is None:
            self._refuse_none()
        return admit(
            self.coder, value, state=self.name, operator=self._operator, part="list element"
        )

    def _refuse_none(self) -> NoReturn:
        raise StateError(
            "None cannot be an element of a list state.", state=self.name, operator=self._operator
        )
