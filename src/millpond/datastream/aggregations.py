"""`Aggregations`: counts, sums and extremes of fields over a window, built in."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.functions import AggregateFunction
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Aggregation", "Aggregations", "count", "max_of", "min_of", "sum_of")


@final
class Aggregation:
    """One figure of a window's records; made by `count`, `sum_of`, `min_of` and `max_of`.

    Attributes:
        kind: ``count``, ``sum``, ``min`` or ``max``.
        position: the field that it is of; None for a count.
        combine: makes one figure of two.
    """

    __slots__ = ("combine", "kind", "position")

    def __init__(self, kind: str, position: int | None, combine: Callable[[Any, Any], Any]) -> None:
        self.kind = kind
        self.position = position
        self.combine = combine

    def __repr__(self) -> str:
        return f"{self.kind}({'' if self.position is None else self.position})"


def count() -> Aggregation:
    """Count the records."""
    return Aggregation("count", None, operator.add)


def sum_of(position: int) -> Aggregation:
    """Add a field of the records up, from its first value on."""
    return Aggregation("sum", position, operator.add)


def min_of(position: int) -> Aggregation:
    """Find the smallest value of a field."""
    return Aggregation("min", position, min)


def max_of(position: int) -> Aggregation:
    """Find the largest value of a field."""
    return Aggregation("max", position, max)


@final
class Aggregations(AggregateFunction):
    """Aggregates records that are tuples to a tuple of figures, in the order given.

    The accumulator and the result are that tuple, so its type is both the accumulator type and
    the output type. It can be used wherever an AggregateFunction can; over tumbling event-time
    windows of a columnar source it works on whole columns.

    Cost: counts and sums, alone or one of each, cost a record about what a function written for
    them does; other combinations, and more of them, several times that.

    Raises:
        InvalidProgramError: no aggregation is given, or something that is none.
    """

    def __init__(self, *aggregations: Aggregation) -> None:
        if not aggregations or not all(isinstance(each, Aggregation) for each in aggregations):
            raise InvalidProgramError(
                "Aggregations needs at least one of count(), sum_of(n), min_of(n), max_of(n).",
                given=repr(aggregations),
            )
        self.aggregations = aggregations
        self._parts = [(each.position, each.combine) for each in aggregations]
        specialised = _specialised_add(aggregations)
        if specialised is not None:
            self.__dict__["add"] = specialised

    def __reduce__(self) -> tuple[type[Aggregations], tuple[Aggregation, ...]]:
        return Aggregations, self.aggregations

    @property
    def summed_position(self) -> int | None:
        """The field that is summed up if the figures are a count and a sum; else None."""
        kinds = [each.kind for each in self.aggregations]
        return self.aggregations[1].position if kinds == ["count", "sum"] else None

    def create_accumulator(self) -> tuple[Any, ...]:
        """Return the accumulator of no records."""
        return ()

    def add(self, value: Any, accumulator: tuple[Any, ...]) -> tuple[Any, ...]:
        """Add a record."""
        if not accumulator:
            return tuple([1 if p is None else value[p] for p, _ in self._parts])
        return tuple(
            [
                combine(before, 1 if position is None else value[position])
                for before, (position, combine) in zip(accumulator, self._parts, strict=True)
            ]
        )

    def get_result(self, accumulator: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the figures."""
        return accumulator

    def merge(self, acc_a: tuple[Any, ...], acc_b: tuple[Any, ...]) -> tuple[Any, ...]:
        """Combine the figures of two windows."""
        if not acc_a or not acc_b:
            return acc_a or acc_b
        return tuple(
            [combine(a, b) for a, b, (_, combine) in zip(acc_a, acc_b, self._parts, strict=True)]
        )


def _specialised_add(aggregations: tuple[Aggregation, ...]) -> Callable[[Any, Any], Any] | None:
    """Return `add` for the usual figures, without a loop over them; None for others."""
    position = next((each.position for each in aggregations if each.kind == "sum"), None)

    def add_count(value: Any, accumulator: Any) -> Any:
        return (accumulator[0] + 1,) if accumulator else (1,)

    def add_sum(value: Any, accumulator: Any) -> Any:
        return (accumulator[0] + value[position],) if accumulator else (value[position],)

    def add_count_and_sum(value: Any, accumulator: Any) -> Any:
        if not accumulator:
            return 1, value[position]
        number, total = accumulator
        return number + 1, total + value[position]

    def add_sum_and_count(value: Any, accumulator: Any) -> Any:
        if not accumulator:
            return value[position], 1
        total, number = accumulator
        return total + value[position], number + 1

    return {
        ("count",): add_count,
        ("sum",): add_sum,
        ("count", "sum"): add_count_and_sum,
        ("sum", "count"): add_sum_and_count,
    }.get(tuple(each.kind for each in aggregations))
