"""The filter operator."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.functions import FilterFunction
from millpond.operators.batch import Batch
from millpond.operators.operator import OperatorContext, user_code_error
from millpond.operators.user_function import UserFunctionOperator, bound_method, method_name

if TYPE_CHECKING:
    from millpond.datastream.operator_spec import FilterSpec

__all__ = ("FilterOperator",)


@final
class FilterOperator(UserFunctionOperator):
    """Keeps the records that the user's function is true for."""

    def __init__(self, spec: FilterSpec) -> None:
        super().__init__(spec.function)
        self._keep = bound_method(spec.function, FilterFunction, "filter")

    def setup(self, context: OperatorContext) -> None:
        super().setup(context)
        self._backend = context.keyed_backend

    def process_batch(self, batch: Batch) -> None:
        try:
            if self._backend is None:
                selected = [self._keep(value) for value in batch.values]
            else:
                selected = self._select_keyed(batch)
        except Exception as error:
            user_code_error(error, self.context, method_name(self.function, "filter"))
        timestamps = batch.timestamps
        self.output.emit(
            Batch(
                list(compress(batch.values, selected)),
                None if timestamps is None else list(compress(timestamps, selected)),
            )
        )

    def _select_keyed(self, batch: Batch) -> list[Any]:
        backend, keep = self._backend, self._keep
        assert backend is not None
        records = zip(batch.keys or (), batch.values, strict=True)
        return [keep(value) for backend.current_key, value in records]
