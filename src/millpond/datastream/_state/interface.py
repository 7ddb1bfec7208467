"""What user functions see of keyed and operator state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from millpond.datastream._state.descriptor import ListStateDescriptor, MapStateDescriptor

__all__ = (
    "AggregatingState",
    "AppendingState",
    "BroadcastState",
    "ListState",
    "MapState",
    "MergingState",
    "OperatorStateStore",
    "ReadOnlyBroadcastState",
    "ReducingState",
    "State",
    "ValueState",
)

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
IN = TypeVar("IN")
OUT = TypeVar("OUT")


class State(ABC):
    """Root of all state. Keyed state is that of the current record's or timer's key."""

    __slots__ = ()

    @abstractmethod
    def clear(self) -> None:
        """Delete it for the current key."""


class ValueState(State, Generic[T]):
    """One value."""

    __slots__ = ()

    @abstractmethod
    def value(self) -> T | None:
        """Return the value, or None when there is none."""

    @abstractmethod
    def update(self, value: T) -> None:
        """Replace the value; None deletes it."""


class AppendingState(State, Generic[IN, OUT]):
    """State that values are added to."""

    __slots__ = ()

    @abstractmethod
    def get(self) -> OUT | None:
        """Return what the added values make up."""

    @abstractmethod
    def add(self, value: IN) -> None:
        """Add a value."""


class MergingState(AppendingState[IN, OUT]):
    """Appending state that can be merged, as session windows need."""

    __slots__ = ()


class ReducingState(MergingState[T, T]):
    """One value that every added one is combined with; None when nothing was added."""

    __slots__ = ()


class AggregatingState(MergingState[IN, OUT]):
    """An accumulator that values are added to; `get` gives the result, None when empty."""

    __slots__ = ()


class ListState(MergingState[T, Iterable[T]]):
    """A list of elements; None is no element."""

    __slots__ = ()

    @abstractmethod
    def get(self) -> Iterable[T]:
        """Return the elements in order; an empty iterable when there are none."""

    @abstractmethod
    def update(self, values: Iterable[T]) -> None:
        """Replace the elements; no elements delete the list."""

    @abstractmethod
    def add_all(self, values: Iterable[T]) -> None:
        """Append elements."""

    def __iter__(self) -> Iterator[T]:
        return iter(self.get())


class MapState(State, Generic[K, V]):
    """A map that is read and written entry by entry. The order of entries is the store's."""

    __slots__ = ()

    @abstractmethod
    def get(self, key: K) -> V | None:
        """Return the value of a user key, or None."""

    @abstractmethod
    def put(self, key: K, value: V) -> None:
        """Set the value of a user key."""

    @abstractmethod
    def put_all(self, dict_value: Mapping[K, V] | Iterable[tuple[K, V]]) -> None:
        """Set several entries, given as a mapping or as pairs."""

    @abstractmethod
    def remove(self, key: K) -> None:
        """Delete an entry; nothing happens when there is none."""

    @abstractmethod
    def contains(self, key: K) -> bool:
        """Return whether there is an entry with this user key."""

    @abstractmethod
    def items(self) -> Iterable[tuple[K, V]]:
        """Return the entries."""

    @abstractmethod
    def keys(self) -> Iterable[K]:
        """Return the user keys."""

    @abstractmethod
    def values(self) -> Iterable[V]:
        """Return the values."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Return whether there are no entries."""

    def __getitem__(self, key: K) -> V | None:
        return self.get(key)

    def __setitem__(self, key: K, value: V) -> None:
        self.put(key, value)

    def __delitem__(self, key: K) -> None:
        self.remove(key)

    def __contains__(self, key: K) -> bool:
        return self.contains(key)

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys())


class ReadOnlyBroadcastState(State, Generic[K, V]):
    """Broadcast state where it must not be changed."""

    __slots__ = ()

    @abstractmethod
    def get(self, key: K) -> V | None:
        """Return the value of a key, or None."""

    @abstractmethod
    def contains(self, key: K) -> bool:
        """Return whether there is an entry with this key."""

    @abstractmethod
    def items(self) -> Iterable[tuple[K, V]]:
        """Return the entries."""

    @abstractmethod
    def keys(self) -> Iterable[K]:
        """Return the keys."""

    @abstractmethod
    def values(self) -> Iterable[V]:
        """Return the values."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Return whether there are no entries."""

    def __getitem__(self, key: K) -> V | None:
        return self.get(key)

    def __contains__(self, key: K) -> bool:
        return self.contains(key)

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys())


class BroadcastState(ReadOnlyBroadcastState[K, V]):
    """A map that is the same in every subtask: each must change it alike."""

    __slots__ = ()

    @abstractmethod
    def put(self, key: K, value: V) -> None:
        """Set the value of a key."""

    @abstractmethod
    def put_all(self, dict_value: Mapping[K, V] | Iterable[tuple[K, V]]) -> None:
        """Set several entries, given as a mapping or as pairs."""

    @abstractmethod
    def remove(self, key: K) -> None:
        """Delete an entry; nothing happens when there is none."""

    def __setitem__(self, key: K, value: V) -> None:
        self.put(key, value)

    def __delitem__(self, key: K) -> None:
        self.remove(key)


class OperatorStateStore(ABC):
    """Gives operator state to a user's function."""

    __slots__ = ()

    @abstractmethod
    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> BroadcastState[Any, Any]:
        """Return a map of which every subtask has its own, equal copy.

        Raises:
            StateTypeError: the name is registered as another kind.
        """

    @abstractmethod
    def get_list_state(self, state_descriptor: ListStateDescriptor) -> ListState[Any]:
        """Return a list whose elements are dealt to the subtasks when parallelism changes.

        Raises:
            StateTypeError: the name is registered as another kind.
        """

    @abstractmethod
    def get_union_list_state(self, state_descriptor: ListStateDescriptor) -> ListState[Any]:
        """Return a list of which every subtask gets all elements of all at a restore.

        Raises:
            StateTypeError: the name is registered as another kind.
        """
