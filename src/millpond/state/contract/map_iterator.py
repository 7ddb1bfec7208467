"""`MapStateIterator`: what `MapState.items()`, `keys()` and `values()` return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, final

from millpond.errors import StateError

__all__ = ("ABSENT", "MapStateIterator")

ABSENT: Final[Any] = object()
"""What a look-up returns for a key that is not in the map; None is a value."""


@final
class MapStateIterator(Iterator[Any]):
    """Iterates over the keys a map had, looks their values up now, and can remove.

    The map may be changed meanwhile in any way: entries that are gone are skipped.
    """

    __slots__ = ("_keys", "_last", "_lookup", "_remove", "_shape")

    def __init__(
        self,
        keys: Iterable[Any],
        lookup: Callable[[Any], Any],
        remove: Callable[[Any], None],
        shape: Callable[[Any, Any], Any],
    ) -> None:
        """Iterate over `keys`.

        `lookup` returns a key's value or ABSENT, `shape` makes of (key, value) what is returned.
        """
        self._keys = iter(keys)
        self._lookup = lookup
        self._remove = remove
        self._shape = shape
        self._last: Any = ABSENT

    def __next__(self) -> Any:
        for key in self._keys:
            value = self._lookup(key)
            if value is not ABSENT:
                self._last = key
                return self._shape(key, value)
        raise StopIteration

    def remove(self) -> None:
        """Remove the entry that was returned last.

        Raises:
            StateError: nothing was returned yet, or it is removed already.
        """
        if self._last is ABSENT:
            raise StateError(
                "A map iterator's remove() was called without an entry to remove.",
                hint="Call it once after each step of the iteration.",
            )
        self._remove(self._last)
        self._last = ABSENT
