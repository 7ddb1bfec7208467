"""Function objects around plain callables, so that a lambda may stand for a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.datastream._functions.record import (
    FilterFunction,
    FlatMapFunction,
    KeySelector,
    MapFunction,
    Partitioner,
    ReduceFunction,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = (
    "FilterFunctionWrapper",
    "FlatMapFunctionWrapper",
    "FunctionWrapper",
    "KeySelectorFunctionWrapper",
    "MapFunctionWrapper",
    "PartitionerFunctionWrapper",
    "ReduceFunctionWrapper",
)


class FunctionWrapper:
    """Holds a callable."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self._func = func

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._func!r})"


@final
class MapFunctionWrapper(FunctionWrapper, MapFunction):
    """A map function from a callable."""

    def map(self, value: Any) -> Any:
        """Call it."""
        return self._func(value)


@final
class FlatMapFunctionWrapper(FunctionWrapper, FlatMapFunction):
    """A flat map function from a callable that returns an iterable."""

    def flat_map(self, value: Any) -> Iterable[Any] | None:
        """Call it."""
        records: Iterable[Any] | None = self._func(value)
        return records


@final
class FilterFunctionWrapper(FunctionWrapper, FilterFunction):
    """A filter function from a predicate."""

    def filter(self, value: Any) -> bool:
        """Call it."""
        return bool(self._func(value))


@final
class ReduceFunctionWrapper(FunctionWrapper, ReduceFunction):
    """A reduce function from a callable of two arguments."""

    def reduce(self, value1: Any, value2: Any) -> Any:
        """Call it."""
        return self._func(value1, value2)


@final
class KeySelectorFunctionWrapper(FunctionWrapper, KeySelector):
    """A key selector from a callable."""

    def get_key(self, value: Any) -> Any:
        """Call it."""
        return self._func(value)


@final
class PartitionerFunctionWrapper(FunctionWrapper, Partitioner):
    """A partitioner from a callable of (key, number of partitions)."""

    def partition(self, key: Any, num_partitions: int) -> int:
        """Call it."""
        return int(self._func(key, num_partitions))
