"""`Overlay`: the dictionary that takes a table's writes while what is below it is frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Overlay",)

_ABSENT: Any = object()


@final
class Overlay(dict[Any, Any]):
    """Reads fall through to the frozen layers; writes, and deletions as None, stay here.

    State objects use it exactly as the plain dictionary that they have when nothing is frozen:
    ``get(key)``, ``[key] = value``, ``pop(key, None)``. No state stores None, hence None marks
    a deletion.

    Attributes:
        below: frozen layers, newest first.
        copy_value: copies a value before it leaves a frozen layer; None where values are
            immutable or nobody reads the layers any more.
    """

    __slots__ = ("below", "copy_value")

    below: tuple[dict[Any, Any], ...]
    copy_value: Callable[[Any], Any] | None

    def __init__(
        self, below: tuple[dict[Any, Any], ...], copy_value: Callable[[Any], Any] | None
    ) -> None:
        super().__init__()
        self.below = below
        self.copy_value = copy_value

    def __missing__(self, key: Any) -> Any:
        for layer in self.below:
            # Not layer[key]: a frozen layer was an overlay itself and must not look further.
            value = dict.get(layer, key, _ABSENT)
            if value is not _ABSENT:
                if value is None or self.copy_value is None:
                    return value
                value = self[key] = self.copy_value(value)
                return value
        return None

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the newest value of a key."""
        value = self[key]
        return default if value is None else value

    def pop(self, key: Any, *default: Any) -> Any:
        """Delete a key and return the value it had, which may belong to a frozen layer."""
        value = dict.get(self, key, _ABSENT)
        for layer in self.below:
            below = dict.get(layer, key, _ABSENT)
            if below is not _ABSENT:
                if below is None:
                    break
                self[key] = None
                return below if value is _ABSENT else value
        if value is _ABSENT:
            return None
        del self[key]
        return value

    def peek(self, key: Any) -> Any:
        """Return the newest value without copying it; the caller must not change it."""
        value = dict.get(self, key, _ABSENT)
        if value is not _ABSENT:
            return value
        for layer in self.below:
            value = dict.get(layer, key, _ABSENT)
            if value is not _ABSENT:
                return value
        return None
