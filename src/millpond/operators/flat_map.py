"""The flat-map operator."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.functions import FlatMapFunction
from millpond.operators.batch import Batch
from millpond.operators.operator import OperatorContext, user_code_error
from millpond.operators.user_function import UserFunctionOperator, bound_method, method_name

if TYPE_CHECKING:
    from millpond.datastream.operator_spec import FlatMapSpec

__all__ = ("FlatMapOperator",)


@final
class FlatMapOperator(UserFunctionOperator):
    """One record to any number of records."""

    def __init__(self, spec: FlatMapSpec) -> None:
        super().__init__(spec.function)
        self._flat_map = bound_method(spec.function, FlatMapFunction, "flat_map")

    def setup(self, context: OperatorContext) -> None:
        super().setup(context)
        self._backend = context.keyed_backend

    def process_batch(self, batch: Batch) -> None:
        flat_map, backend = self._flat_map, self._backend
        values: list[Any] = []
        timestamps: list[int] | None = None if batch.timestamps is None else []
        extend = values.extend
        try:
            for key, value, timestamp in zip(
                batch.keys or repeat(None),
                batch.values,
                batch.timestamps or repeat(0),
                strict=False,  # endless where there are none
            ):
                if backend is not None:
                    backend.current_key = key
                before = len(values)
                results = flat_map(value)
                if results is not None:
                    extend(results)
                    if timestamps is not None:
                        timestamps.extend(repeat(timestamp, len(values) - before))
        except Exception as error:
            user_code_error(error, self.context, method_name(self.function, "flat_map"))
        self.output.emit(Batch(values, timestamps))
