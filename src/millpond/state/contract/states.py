"""What stores' state objects offer to operators beyond PyFlink's state interfaces.

Rules that every store follows, where Flink's Java, PyFlink and the stores themselves differ:

- A value of None means "absent": `ValueState.update(None)` clears, as in Java. (PyFlink stores
  it, which reads back the same.) `ReducingState.add(None)` and `AggregatingState.add(None)` clear,
  as on Flink's heap; a reduce function that returns None clears too.
- A None in a list is refused with StateError, as in Java, unless the elements are pickled: that
  type takes every object, in PyFlink too.
- `MapState` holds None values; `contains` is False for them and `get` returns None, as in
  PyFlink; they are iterated and counted by `is_empty`. `put_all` takes a dict or pairs; None
  changes nothing.
- A map iterator sees the keys of the moment of the call, less those removed meanwhile, with
  their values of now; it may `remove()` the entry it returned last.
- `ListState.get()` is an iterable of the moment of the call, which may be iterated repeatedly
  (TTL-filtered lists too).
- Objects that a state returned may be changed in place, but only `update` or `put` makes it so
  in every store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

__all__ = ("KeyedState", "MergeableState", "SupportsEntries")


class KeyedState(Protocol):
    """Every state object of a store: scoped by its backend's `current_key` and by a namespace.

    `current_namespace` is set by window operators before each access; it stays VOID_NAMESPACE
    where the definition says VOID. A namespace of None is refused with StateError elsewhere.
    """

    current_namespace: Any

    def clear(self) -> None:
        """Remove what is stored under the current key and namespace."""
        ...


@runtime_checkable
class MergeableState(Protocol):
    """List, reducing and aggregating state, which merging windows can unite."""

    def merge_namespaces(self, target: Any, sources: Iterable[Any]) -> None:
        """Move what the current key has in `sources` into `target`; the sources end empty.

        Lists are concatenated after the target's in the order of `sources`; values and
        accumulators are combined, the target's first.
        """
        ...


@runtime_checkable
class SupportsEntries(Protocol):
    """A state whose entries a built-in operator may read and write in its own loop.

    Saves the two calls a record that `value()` and `update()` cost.
    """

    def entries(self) -> MutableMapping[Any, Any] | None:
        """Return a mapping valid until the end of the batch, or None if there is none now.

        Keyed by the user's key where the namespace is VOID, else by (key, namespace). Only
        ``get(key)``, ``mapping[key] = value`` and ``update(pairs)`` with values that are not None
        may be used, and nothing checks that they fit the declared type before the next snapshot.
        The mapping may be another one in the next batch. The values of a map state are
        dictionaries, which are not changed, but replaced by others that are not empty.
        """
        ...

    def take(self, slots: Iterable[Any]) -> list[Any]:
        """Remove entries and return their values in order, None where there is none.

        `slots` are keys of the mapping of `entries`.
        """
        ...
