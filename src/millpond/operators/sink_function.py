"""The operator of a user's `SinkFunction`."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, final

from millpond.datastream.functions import SinkFunction
from millpond.operators.batch import MIN_WATERMARK
from millpond.operators.operator import user_code_error
from millpond.operators.user_function import UserFunctionOperator, method_name

if TYPE_CHECKING:
    from millpond.datastream.operator_spec import SinkFunctionSpec
    from millpond.operators.batch import Batch

__all__ = ("SinkFunctionOperator",)


@final
class SinkFunctionOperator(UserFunctionOperator):
    """Calls `invoke` for each record."""

    function: SinkFunction

    def __init__(self, spec: SinkFunctionSpec) -> None:
        super().__init__(spec.function)

    def open(self) -> None:
        self._sink_context = _SinkContext(self)
        super().open()

    def process_batch(self, batch: Batch) -> None:
        context, invoke = self._sink_context, self.function.invoke
        try:
            for value, timestamp in zip(
                batch.values, batch.timestamps or repeat(None), strict=False
            ):
                context.record_timestamp = timestamp
                invoke(value, context)
        except Exception as error:
            user_code_error(error, self.context, method_name(self.function, "invoke"))

    def process_watermark(self, timestamp: int) -> None:
        self._sink_context.watermark = timestamp
        self.output.emit_watermark(timestamp)


@final
class _SinkContext(SinkFunction.Context):
    def __init__(self, operator: SinkFunctionOperator) -> None:
        self._clock = operator.context.clock
        self.record_timestamp: int | None = None
        self.watermark = MIN_WATERMARK

    def current_processing_time(self) -> int:
        return self._clock.now_ms()

    def current_watermark(self) -> int:
        return self.watermark

    def timestamp(self) -> int | None:
        return self.record_timestamp
