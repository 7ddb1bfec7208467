"""The operators of process functions, with keys and without."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, final

from millpond.operators.operator import user_code_error
from millpond.operators.process_context import KeyedContext, UnkeyedContext, UnkeyedTimerService
from millpond.operators.results import emit_results
from millpond.operators.timer_calls import TimerCalls
from millpond.operators.timer_service import InternalTimerService, KeyedTimerService
from millpond.operators.user_function import UserFunctionOperator, method_name
from millpond.state.contract.keyed_backend import NO_KEY

if TYPE_CHECKING:
    from millpond.datastream.functions import KeyedProcessFunction, ProcessFunction
    from millpond.operators.batch import Batch

__all__ = ("KeyedProcessOperator", "ProcessOperator")


@final
class ProcessOperator(UserFunctionOperator):
    """Calls a process function for each record of a stream without keys."""

    function: ProcessFunction

    def open(self) -> None:
        self._timer_service = UnkeyedTimerService(self.context.clock)
        self._process_context = UnkeyedContext(self._timer_service)
        super().open()

    def process_batch(self, batch: Batch) -> None:
        context, process = self._process_context, self.function.process_element
        values: list[Any] = []
        timestamps: list[int] | None = None if batch.timestamps is None else []
        try:
            for value, timestamp in zip(
                batch.values, batch.timestamps or repeat(None), strict=False
            ):
                context.record_timestamp = timestamp
                before = len(values)
                results = process(value, context)
                if results is not None:
                    values.extend(results)
                    if timestamps is not None and timestamp is not None:
                        timestamps.extend(repeat(timestamp, len(values) - before))
        except Exception as error:
            user_code_error(error, self.context, method_name(self.function, "process_element"))
        emit_results(values, timestamps, self.output)

    def process_watermark(self, timestamp: int) -> None:
        self._timer_service.watermark = timestamp
        self.output.emit_watermark(timestamp)


@final
class KeyedProcessOperator(UserFunctionOperator):
    """Calls a keyed process function for each record and each timer."""

    function: KeyedProcessFunction

    def open(self) -> None:
        backend = self.context.keyed_backend
        assert backend is not None
        self._backend = backend
        timers = InternalTimerService(backend, self.context.clock)
        context = KeyedContext(backend, KeyedTimerService(timers))
        self._process_context: Any = context
        self._timer_calls = TimerCalls(self.function, self.context, timers, context, context)
        super().open()

    def process_batch(self, batch: Batch) -> None:
        assert batch.keys is not None
        backend, context = self._backend, self._process_context
        process = self.function.process_element
        try:
            if batch.timestamps is None:
                context.record_timestamp = timestamps = None
                # The current key is a loop's target, and a generator is run to its end by the
                # inner loop: no method is called for a record but the user's.
                values = [
                    result
                    for backend.current_key, value in zip(batch.keys, batch.values, strict=True)
                    for result in process(value, context) or ()
                ]
            else:
                values, timestamps = self._process_timed(batch)
        except Exception as error:
            user_code_error(error, self.context, method_name(self.function, "process_element"))
        backend.current_key = NO_KEY
        emit_results(values, timestamps, self.output)

    def _process_timed(self, batch: Batch) -> tuple[list[Any], list[int]]:
        backend, context = self._backend, self._process_context
        process = self.function.process_element
        assert batch.keys is not None
        assert batch.timestamps is not None
        values: list[Any] = []
        timestamps: list[int] = []
        append, append_timestamp = values.append, timestamps.append
        for backend.current_key, context.record_timestamp, value in zip(
            batch.keys, batch.timestamps, batch.values, strict=True
        ):
            timestamp = context.record_timestamp
            for result in process(value, context) or ():
                append(result)
                append_timestamp(timestamp)
        return values, timestamps

    def process_watermark(self, timestamp: int) -> None:
        self._timer_calls.advance_watermark(timestamp)
        self.output.emit_watermark(timestamp)

    def next_processing_time(self) -> int | None:
        return self._timer_calls.next_processing_time()

    def process_processing_time(self, now_ms: int) -> None:
        self._timer_calls.advance_processing_time(now_ms)
