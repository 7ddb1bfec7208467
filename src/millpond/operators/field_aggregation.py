"""The rolling sum, min, max, min_by and max_by of a keyed stream."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from millpond.common.types import Row
from millpond.datastream.operator_spec import AggregationKind, FieldAggregationSpec, ReduceSpec
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("reduce_of_field",)


def reduce_of_field(spec: FieldAggregationSpec) -> ReduceSpec:
    """Express the aggregation of a field as a reduce.

    The other fields are those of the key's first record; the `…_by` kinds keep the whole record,
    the first of equals. A record that is no tuple, list or Row is its own only field.
    """
    return ReduceSpec(_function(spec.kind, spec.position), spec.value_type)


def _function(kind: AggregationKind, position: int | str) -> Callable[[Any, Any], Any]:
    if kind is AggregationKind.SUM:
        return _on_field(position, operator.add)
    if kind is AggregationKind.MIN:
        return _on_field(position, min)
    if kind is AggregationKind.MAX:
        return _on_field(position, max)
    if kind is AggregationKind.MIN_BY:
        return lambda a, b: b if _field(b, position) < _field(a, position) else a
    return lambda a, b: b if _field(b, position) > _field(a, position) else a


def _field(record: Any, position: int | str) -> Any:
    if isinstance(record, Row | tuple | list):
        try:
            return record[position]  # type: ignore[index]
        except (IndexError, KeyError, ValueError, TypeError) as error:
            raise InvalidProgramError(f"{record!r} has no field {position!r}.") from error
    return record


def _on_field(position: int | str, combine: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def reduce(before: Any, record: Any) -> Any:
        kind = type(before)
        if kind is tuple:
            try:
                fields = list(before)
                fields[position] = combine(fields[position], record[position])  # type: ignore[index]
                return tuple(fields)
            except (IndexError, KeyError, ValueError, TypeError):
                pass  # the general way raises it again, and says which field was meant
        elif kind is type(record) and kind in {int, float}:
            return combine(before, record)
        return _combine_any(before, record, position, combine)

    return reduce


def _combine_any(
    before: Any, record: Any, position: int | str, combine: Callable[[Any, Any], Any]
) -> Any:
    combined = combine(_field(before, position), _field(record, position))
    if isinstance(before, tuple) and isinstance(position, int):
        return (*before[:position], combined, *before[position + 1 :])
    if isinstance(before, Row):
        fields = Row(*before)
        fields.set_field_names(getattr(before, "_fields", []))
        fields[position] = combined
        return fields
    if isinstance(before, list) and isinstance(position, int):
        return [*before[:position], combined, *before[position + 1 :]]
    return combined
