"""`MapStateIterator`: what `MapState.items()`, `keys()` and `values()` return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import length_hint
from typing import Any, Final, NoReturn, Protocol, final
from weakref import ref

from millpond.errors import StateError

__all__ = ("ABSENT", "MapStateIterator", "ShortMapIterator", "Walks")

ABSENT: Final[Any] = object()
"""What a look-up returns for a key that is not in the map; None is a value."""

_FEW_WALKS: Final = 8


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
            _refuse_remove()
        self._remove(self._last)
        self._last = ABSENT


class EntriesBySlot(Protocol):
    """A map state, as an iterator needs it: at a slot, whatever is current."""

    def entry_at(self, slot: Any, key: Any) -> Any:
        """Return a key's value, or ABSENT."""
        ...

    def remove_at(self, slot: Any, key: Any) -> None:
        """Remove a key; nothing happens if it is not there."""
        ...


@final
class ShortMapIterator(MapStateIterator):
    """The same over a map of few entries, which `for` walks through without a call a step.

    What `for` gets is a list's own iterator. It knows nothing of changes, so that the state must
    tell `Walks` of each; the steps that are left then look values up.
    """

    __slots__ = (
        "__weakref__",
        "_listed",
        "_place",
        "_removed_at",
        "_results",
        "_scanned",
        "_state",
        "_steps",
        "slot",
    )

    def __init__(
        self,
        keys: list[Any],
        results: list[Any],
        state: EntriesBySlot,
        slot: Any,
        shape: Callable[[Any, Any], Any],
    ) -> None:
        """Iterate over `keys`; `results` has what is returned for each, and is another list."""
        self._listed = keys
        self._results: list[Any] | None = results
        self._steps = iter(results)
        self._state = state
        self.slot = slot
        self._shape = shape
        self._place = self._scanned = self._removed_at = 0

    def __iter__(self) -> Iterator[Any]:  # noqa: PYI034 - a `for` needs no more of it
        return chain(self._steps, self._rest())

    def __next__(self) -> Any:
        for result in self._steps:
            return result
        for result in self._rest():
            return result
        raise StopIteration

    def remove(self) -> None:
        """Remove the entry that was returned last.

        Raises:
            StateError: nothing was returned yet, or it is removed already.
        """
        self._settle_place()
        place = self._place
        if place == self._removed_at:
            _refuse_remove()
        self._state.remove_at(self.slot, self._listed[place - 1])
        self._removed_at = place

    def outdate(self) -> None:
        """Return no more of the results: they may not be those of now."""
        if self._results is not None:
            self._settle_place()
            self._results.clear()
            self._results = None

    def _settle_place(self) -> None:
        """Set `_place` to the number of the key that was returned last, from 1."""
        if self._results is not None:
            self._place = self._scanned = len(self._results) - length_hint(self._steps)

    def _rest(self) -> Iterator[Any]:
        """Look up what is left, if something was changed."""
        if self._results is not None:
            return
        keys, entry_at, shape = self._listed, self._state.entry_at, self._shape
        while self._scanned < len(keys):
            key = keys[self._scanned]
            self._scanned += 1
            value = entry_at(self.slot, key)
            if value is not ABSENT:
                self._place = self._scanned
                yield shape(key, value)


@final
class Walks:
    """The iterations over short maps of one state that may still be under way.

    Attributes:
        under_way: empty if there is none; a state looks here before it tells of a change.
    """

    __slots__ = ("under_way",)

    def __init__(self) -> None:
        self.under_way: list[ref[ShortMapIterator]] = []

    def add(self, iterator: ShortMapIterator) -> ShortMapIterator:
        """Remember an iteration for as long as somebody holds it."""
        if len(self.under_way) > _FEW_WALKS:
            self._forget_dead()
        self.under_way.append(ref(iterator))
        return iterator

    def outdate(self, slot: Any) -> None:
        """Let the iterations over the map of a slot look up what is left."""
        self._forget_dead()
        for reference in self.under_way:
            walk = reference()
            if walk is not None and (walk.slot is slot or walk.slot == slot):
                walk.outdate()

    def _forget_dead(self) -> None:
        self.under_way[:] = [reference for reference in self.under_way if reference() is not None]


def _refuse_remove() -> NoReturn:
    raise StateError(
        "A map iterator's remove() was called without an entry to remove.",
        hint="Call it once after each step of the iteration.",
    )
