"""The map operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.datastream.functions import MapFunction
from millpond.operators.batch import Batch
from millpond.operators.operator import OperatorContext, user_code_error
from millpond.operators.user_function import UserFunctionOperator, bound_method, method_name

if TYPE_CHECKING:
    from millpond.datastream.operator_spec import MapSpec

__all__ = ("MapOperator",)


@final
class MapOperator(UserFunctionOperator):
    """One record to one record."""

    def __init__(self, spec: MapSpec) -> None:
        super().__init__(spec.function)
        self._map = bound_method(spec.function, MapFunction, "map")

    def setup(self, context: OperatorContext) -> None:
        super().setup(context)
        self._backend = context.keyed_backend

    def process_batch(self, batch: Batch) -> None:
        map_record = self._map
        try:
            if self._backend is None:
                values = [map_record(value) for value in batch.values]
            else:
                values = self._map_keyed(batch)
        except Exception as error:
            user_code_error(error, self.context, method_name(self.function, "map"))
        self.output.emit(Batch(values, batch.timestamps))

    def _map_keyed(self, batch: Batch) -> list[object]:
        backend, map_record = self._backend, self._map
        assert backend is not None
        records = zip(batch.keys or (), batch.values, strict=True)
        return [map_record(value) for backend.current_key, value in records]
