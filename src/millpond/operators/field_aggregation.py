"""The rolling sum, min, max, min_by and max_by of a keyed stream."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, final

from millpond.common.types import Row
from millpond.datastream.operator_spec import AggregationKind, FieldAggregationSpec, ReduceSpec
from millpond.errors import InvalidProgramError
from millpond.operators.columnar_batch import ColumnarBatch
from millpond.operators.reduce import ReduceOperator
from millpond.state.contract.states import SupportsEntries

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from millpond.operators.batch import Batch
    from millpond.operators.columnar_sums import ColumnarSums

__all__ = ("FieldAggregationOperator", "reduce_of_field")


@final
class FieldAggregationOperator(ReduceOperator):
    """A reduce of a field; sums of tuples are added up without a call for each record."""

    def __init__(self, spec: FieldAggregationSpec) -> None:
        super().__init__(reduce_of_field(spec))
        self._sum_position: int | None = None
        position = spec.position
        if spec.kind is AggregationKind.SUM and isinstance(position, int) and position >= 0:
            self._sum_position = position
        self._sums: ColumnarSums | None = None

    def process_batch(self, batch: Batch) -> None:
        if isinstance(batch, ColumnarBatch) and self._sum_position is not None:
            results = self._sum_columns(batch, self._sum_position)
            if results is not None:
                self.output.emit(results)
                return
        self._write_back()
        super().process_batch(batch)

    def snapshot_state(self, checkpoint_id: int, timestamp_ms: int) -> None:
        super().snapshot_state(checkpoint_id, timestamp_ms)
        self._write_back()

    def _sum_columns(self, batch: ColumnarBatch, position: int) -> ColumnarBatch | None:
        entries = self._state.entries() if isinstance(self._state, SupportsEntries) else None
        if entries is None:
            return None
        if self._sums is None:
            from millpond.operators.columnar_sums import ColumnarSums

            self._sums = ColumnarSums(position, self._write_first)
        return self._sums.add(batch, entries)

    def _write_back(self) -> None:
        if self._sums is not None and isinstance(self._state, SupportsEntries):
            entries = self._state.entries()
            assert entries is not None
            self._sums.write_back(entries)

    def _write_first(self, key: Any, record: Any) -> None:
        backend = self.context.keyed_backend
        assert backend is not None
        backend.current_key = key
        self._state.update(record)

    def reduce_in_place(self, batch: Batch, entries: MutableMapping[Any, Any]) -> list[Any]:
        """Add up what is tuples here; hand the rest to the general way, record by record."""
        position = self._sum_position
        if position is None:
            return super().reduce_in_place(batch, entries)
        backend = self.context.keyed_backend
        assert backend is not None
        assert batch.keys is not None
        reduce, get, write = self._reduce, entries.get, self._state.update
        results: list[Any] = []
        key = None
        try:
            for key, value in zip(batch.keys, batch.values, strict=True):
                result = get(key)
                if type(result) is tuple is type(value) and position < len(result):
                    fields = [*result]
                    try:
                        fields[position] += value[position]
                    except (IndexError, TypeError):
                        reduce(result, value)  # raises, and says which field was meant
                        raise
                    result = entries[key] = tuple(fields)
                else:
                    backend.current_key = key
                    result = value if result is None else reduce(result, value)
                    write(result)
                results.append(result)
        except Exception:
            backend.current_key = key  # for the error, which names it
            raise
        return results


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
        fields = Row.of_kind(before.get_row_kind(), *before)
        names = before.get_field_names()
        if names is not None:
            fields.set_field_names(names)
        fields[position] = combined
        return fields
    if isinstance(before, list) and isinstance(position, int):
        return [*before[:position], combined, *before[position + 1 :]]
    return combined
