"""Functions over single records: map, flat map, filter, reduce, aggregate, key, partition."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, final

from millpond.datastream._functions.function import Function

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = (
    "AggregateFunction",
    "CoFlatMapFunction",
    "CoMapFunction",
    "FilterFunction",
    "FlatMapFunction",
    "KeySelector",
    "MapFunction",
    "NullByteKeySelector",
    "Partitioner",
    "ReduceFunction",
)


class MapFunction(Function):
    """Turns one record into one record."""

    @abstractmethod
    def map(self, value: Any) -> Any:
        """Return the record that takes the place of `value`."""


class CoMapFunction(Function):
    """Turns one record of either input into one record."""

    @abstractmethod
    def map1(self, value: Any) -> Any:
        """Return the record that takes the place of a record of the first input."""

    @abstractmethod
    def map2(self, value: Any) -> Any:
        """Return the record that takes the place of a record of the second input."""


class FlatMapFunction(Function):
    """Turns one record into any number of records."""

    @abstractmethod
    def flat_map(self, value: Any) -> Iterable[Any] | None:
        """Yield or return the records that take the place of `value`."""


class CoFlatMapFunction(Function):
    """Turns one record of either input into any number of records."""

    @abstractmethod
    def flat_map1(self, value: Any) -> Iterable[Any] | None:
        """Yield or return the records for a record of the first input."""

    @abstractmethod
    def flat_map2(self, value: Any) -> Iterable[Any] | None:
        """Yield or return the records for a record of the second input."""


class FilterFunction(Function):
    """Keeps some records."""

    @abstractmethod
    def filter(self, value: Any) -> bool:
        """Return whether to keep the record."""


class ReduceFunction(Function):
    """Combines two values of one type into one; it must be associative."""

    @abstractmethod
    def reduce(self, value1: Any, value2: Any) -> Any:
        """Return the combination; `value1` came first."""


class AggregateFunction(Function):
    """Adds values to an accumulator, whose type may differ from theirs and from the result's."""

    @abstractmethod
    def create_accumulator(self) -> Any:
        """Return a new accumulator that nothing was added to."""

    @abstractmethod
    def add(self, value: Any, accumulator: Any) -> Any:
        """Return the accumulator with the value in it; it may be the given one, changed."""

    @abstractmethod
    def get_result(self, accumulator: Any) -> Any:
        """Return the result of what was accumulated."""

    @abstractmethod
    def merge(self, acc_a: Any, acc_b: Any) -> Any:
        """Return one accumulator for two; it may be one of them. Needed for session windows."""


class KeySelector(Function):
    """Extracts the key of a record."""

    @abstractmethod
    def get_key(self, value: Any) -> Any:
        """Return the record's key; the same for equal records."""


@final
class NullByteKeySelector(KeySelector):
    """Gives every record the same key."""

    def get_key(self, value: Any) -> int:
        """Return 0."""
        return 0


class Partitioner(Function):
    """Chooses a record's subtask by its key."""

    @abstractmethod
    def partition(self, key: Any, num_partitions: int) -> int:
        """Return the index of the subtask, from 0 to `num_partitions` - 1."""
