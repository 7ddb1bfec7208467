"""Functions that bring the records of two streams together, by window or by interval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from millpond.datastream._functions.function import Function

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("CoGroupFunction", "FlatJoinFunction", "JoinFunction", "ProcessJoinFunction")


class JoinFunction(Function):
    """Makes one result of each pair of records with the same key and window (Java Flink's)."""

    @abstractmethod
    def join(self, first: Any, second: Any) -> Any:
        """Return the result for a pair."""


class FlatJoinFunction(Function):
    """Makes any number of results of each pair of records with the same key and window."""

    @abstractmethod
    def join(self, first: Any, second: Any) -> Iterable[Any] | None:
        """Yield or return the results for a pair."""


class CoGroupFunction(Function):
    """Computes results from all records of two streams with the same key and window."""

    @abstractmethod
    def co_group(self, first: list[Any], second: list[Any]) -> Iterable[Any] | None:
        """Yield or return the results; one of the two lists may be empty, for an outer join."""


class ProcessJoinFunction(Function):
    """Makes results of each pair whose timestamps are near enough (Java Flink's interval join).

    A result ``(output_tag, value)`` goes to that side output.
    """

    class Context(ABC):
        """What `process_element` may ask."""

        @abstractmethod
        def get_left_timestamp(self) -> int:
            """Return the timestamp of the left record in ms."""

        @abstractmethod
        def get_right_timestamp(self) -> int:
            """Return the timestamp of the right record in ms."""

        @abstractmethod
        def get_timestamp(self) -> int:
            """Return the timestamp of the results: the larger of the two."""

    @abstractmethod
    def process_element(
        self, left: Any, right: Any, ctx: ProcessJoinFunction.Context
    ) -> Iterable[Any] | None:
        """Yield or return the results for a pair."""
