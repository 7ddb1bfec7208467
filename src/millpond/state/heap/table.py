"""`HeapTable`: the entries of one state, which can be frozen in constant time for a snapshot.

Idle, all entries are in one plain dictionary. Freezing puts an `Overlay` over it; when nobody
reads the frozen layers any more they are merged back, a bounded slice after each batch.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, final

from millpond.state.heap.change_log import ChangeLog
from millpond.state.heap.overlay import Overlay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ("FrozenTable", "HeapTable")

_MERGE_SLICE = 1024
_MAX_FROZEN_LAYERS = 6


class _Holder(Protocol):
    """A state object: holds the active dictionary, so that reading it costs one look-up."""

    _entries: dict[Any, Any]


@final
class FrozenTable:
    """The entries of a table at one moment; never changes and may be read by any thread."""

    __slots__ = ("_layers",)

    def __init__(self, layers: tuple[dict[Any, Any], ...]) -> None:
        self._layers = layers  # newest first

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Iterate over (key, value), each key once. Values must not be changed."""
        layers = self._layers
        if len(layers) == 1 and type(layers[0]) is dict:
            return iter(layers[0].items())  # the base, which has no deletions in it
        return self._newest_items()

    def pieces(self, size: int) -> Iterator[tuple[list[Any], list[Any]]]:
        """Iterate as `items` does, in lists of keys and of their values, up to `size` of each."""
        layers = self._layers
        for depth, layer in enumerate(layers):
            newer = layers[:depth]
            is_base = depth == len(layers) - 1 and type(layer) is dict  # it has no deletions in it
            keys, values = iter(layer.keys()), iter(layer.values())
            while piece := list(islice(keys, size)):
                stored = list(islice(values, size))
                if all(other.keys().isdisjoint(piece) for other in newer) and (
                    is_base or type(None) not in set(map(type, stored))
                ):
                    yield piece, stored
                    continue
                kept = [
                    (key, value)
                    for key, value in zip(piece, stored, strict=True)
                    if value is not None and not any(key in other for other in newer)
                ]
                if kept:
                    yield [key for key, _ in kept], [value for _, value in kept]

    def _newest_items(self) -> Iterator[tuple[Any, Any]]:
        layers = self._layers
        for depth, layer in enumerate(layers):
            newer = layers[:depth]
            if len(newer) < 2:
                # The commonest case, for which `any` would be several times as slow.
                hidden = newer[0] if newer else ()
                for key, value in layer.items():
                    if value is not None and key not in hidden:
                        yield key, value
                continue
            for key, value in layer.items():
                if value is not None and not any(key in other for other in newer):
                    yield key, value

    def oldest(self) -> dict[Any, Any]:
        """Return the bottom layer, which holds most entries, some of them outdated."""
        return self._layers[-1]


@final
class HeapTable:
    """The entries of one state.

    Only the task thread calls it; frozen tables go to other threads. No value is None.

    Attributes:
        active: the dictionary to read and write; another one after `freeze` and `merge`.
        log: what changed between snapshots; None unless `track` was called.
    """

    __slots__ = (
        "_copy_value",
        "_frozen",
        "_holders",
        "_size_after_merge",
        "_views",
        "_work",
        "active",
        "log",
    )

    def __init__(self, copy_value: Callable[[Any], Any] | None) -> None:
        """Make an empty table; `copy_value` is None where values are immutable."""
        self.active: dict[Any, Any] = {}
        self._copy_value = copy_value
        self._frozen: list[dict[Any, Any]] = []  # oldest first; empty when idle
        self._holders: list[_Holder] = []
        self._views: list[FrozenTable] = []
        self._work: Iterator[None] | None = None
        self._size_after_merge = 0
        self.log: ChangeLog | None = None

    def track(self) -> None:
        """Remember from now on which keys are written, for incremental checkpoints.

        An overlay takes all writes between two snapshots and becomes a layer of `log`.
        """
        self.log = ChangeLog()
        base = self.active
        self._frozen.append(base)
        self._activate(Overlay((base,), self._copy_of_shared()))

    def attach(self, holder: _Holder) -> None:
        """Keep ``holder._entries`` equal to `active`."""
        self._holders.append(holder)
        holder._entries = self.active  # noqa: SLF001 - what the protocol is for

    def freeze(self) -> FrozenTable:
        """Return the entries as they are now; O(1). Give it back with `release`."""
        if not self._views:
            self._work = None  # a merge into the base, which is frozen from now on
        if self.active or not self._frozen:
            if isinstance(self.active, Overlay):
                self.active.below = ()  # it must not keep layers alive that are replaced later
            self._frozen.append(self.active)
            if self.log is not None:
                self.log.append(self.active)
        view = FrozenTable(tuple(reversed(self._frozen)))
        self._views.append(view)
        self._activate(Overlay(view._layers, self._copy_value))  # noqa: SLF001 - the same module
        self._size_after_merge = 0
        return view

    def release(self, view: FrozenTable) -> None:
        """Let go of a frozen table that nobody reads any more."""
        self._views.remove(view)
        if not self._views:
            self._work = None
            if isinstance(self.active, Overlay):
                self.active.copy_value = self._copy_of_shared()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to merge."""
        if self.log is None:
            return not self._frozen
        return not self._views and len(self._frozen) == 1

    @property
    def is_empty(self) -> bool:
        """Whether there is certainly no entry. O(1)."""
        return not self.active and not any(self._frozen)

    @property
    def rough_size(self) -> int:
        """About how many entries there are; O(1), and too many where layers overlap."""
        return len(self.active) + sum(map(len, self._frozen))

    def merge(self) -> None:
        """Do one bounded slice of merging back, if there is something to merge."""
        if not self._frozen:
            return
        if self._views:
            self._size_after_merge = len(self.active)
            if self._work is None and len(self._frozen) > _MAX_FROZEN_LAYERS:
                self._work = self._unite(1)
        elif len(self._frozen) > 1:
            if self._work is None:
                self._work = self._sink(1)
        else:
            if self.log is None:
                self._merge_active()
            return
        if self._work is not None and next(self._work, self) is self:
            self._work = None

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Iterate over (key, value); the table must not change meanwhile."""
        return FrozenTable((self.active, *reversed(self._frozen))).items()

    def keys(self) -> list[Any]:
        """Return all keys as a list, so that the table may change. O(n)."""
        if not self._frozen:
            return list(self.active)
        return [key for key, _ in self.items()]

    def peek(self, key: Any) -> Any:
        """Return a value that will not be changed by the caller, without copying it."""
        active = self.active
        return active.peek(key) if isinstance(active, Overlay) else active.get(key)

    def __len__(self) -> int:
        if not self._frozen:
            return len(self.active)
        return sum(1 for _ in self.items())

    def _copy_of_shared(self) -> Callable[[Any], Any] | None:
        """Return what an overlay does with a value below it that no snapshot reads.

        It may be changed in place; where changes are tracked it must become one of the overlay's.
        """
        return None if self.log is None or self._copy_value is None else _same

    def _activate(self, active: dict[Any, Any]) -> None:
        self.active = active
        for holder in self._holders:
            holder._entries = active  # noqa: SLF001 - what the protocol is for

    def _relayer(self) -> None:
        """Tell the overlay that the frozen layers are other ones."""
        active = self.active
        if isinstance(active, Overlay):
            active.below = tuple(reversed(self._frozen))

    def _merge_active(self) -> None:
        """Move entries of the overlay into the base, more than a batch can have added."""
        active, base = self.active, self._frozen[0]
        count = _MERGE_SLICE + max(0, len(active) - self._size_after_merge)
        for _ in range(min(count, len(active))):
            key, value = active.popitem()
            if value is None:
                base.pop(key, None)
            else:
                base[key] = value
        self._size_after_merge = len(active)
        if not active:
            self._frozen.clear()
            self._activate(base)

    def _sink(self, index: int) -> Iterator[None]:
        """Merge a frozen layer into the base below it, which nobody reads any more."""
        base, layer = self._frozen[0], self._frozen[index]
        entries = iter(layer.items())
        while part := list(islice(entries, _MERGE_SLICE)):
            for key, value in part:
                if value is None:
                    base.pop(key, None)
                else:
                    base[key] = value
            yield
        del self._frozen[index]
        self._relayer()

    def _unite(self, index: int) -> Iterator[None]:
        """Replace two layers that snapshots still read by a new one, to bound their number."""
        united: dict[Any, Any] = {}
        for layer in self._frozen[index : index + 2]:
            entries = iter(layer.items())
            while part := list(islice(entries, _MERGE_SLICE)):
                united.update(part)
                yield
        self._frozen[index : index + 2] = [united]
        self._relayer()


def _same(value: Any) -> Any:
    return value
