"""The operators of functions with two inputs: map, flat map and process, keyed or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.functions import KeyedCoProcessFunction
from millpond.datastream.operator_spec import CoFlatMapSpec, CoMapSpec, CoProcessSpec
from millpond.operators.operator import TwoInputOperator, user_code_error
from millpond.operators.process_context import KeyedContext, UnkeyedContext, UnkeyedTimerService
from millpond.operators.results import emit_results
from millpond.operators.timer_calls import TimerCalls
from millpond.operators.timer_service import InternalTimerService, KeyedTimerService
from millpond.operators.user_function import UserFunctionOperator, method_name

if TYPE_CHECKING:
    from millpond.operators.batch import Batch

__all__ = ("CoProcessOperator",)

_Process = Callable[[Any], Iterable[Any] | None]


@final
class CoProcessOperator(UserFunctionOperator, TwoInputOperator):
    """Calls one of two methods for each record, by the input that it came from."""

    def __init__(self, spec: CoMapSpec | CoFlatMapSpec | CoProcessSpec) -> None:
        super().__init__(spec.function)
        self._spec = spec
        self._timer_calls: TimerCalls | None = None
        self._unkeyed_time: UnkeyedTimerService | None = None

    def open(self) -> None:
        backend = self.context.keyed_backend
        self._backend = backend
        self._process_context: KeyedContext | UnkeyedContext
        if backend is None:
            self._unkeyed_time = UnkeyedTimerService(self.context.clock)
            self._process_context = UnkeyedContext(self._unkeyed_time)
        elif isinstance(self.function, KeyedCoProcessFunction):
            timers = InternalTimerService(backend, self.context.clock)
            context = KeyedContext(backend, KeyedTimerService(timers))
            self._process_context = context
            self._timer_calls = TimerCalls(self.function, self.context, timers, context, context)
        else:
            self._process_context = UnkeyedContext(UnkeyedTimerService(self.context.clock))
        self._methods = self._bind()
        super().open()

    def _bind(self) -> tuple[tuple[str, _Process], tuple[str, _Process]]:
        spec, context = self._spec, self._process_context
        if isinstance(spec, CoMapSpec):
            map1, map2 = spec.function.map1, spec.function.map2
            # A None of a CoMap is no record, as in PyFlink.
            return (
                ("map1", lambda value: _single(map1(value))),
                ("map2", lambda value: _single(map2(value))),
            )
        if isinstance(spec, CoFlatMapSpec):
            return ("flat_map1", spec.function.flat_map1), ("flat_map2", spec.function.flat_map2)
        process1: Any = spec.function.process_element1
        process2: Any = spec.function.process_element2
        return (
            ("process_element1", lambda value: process1(value, context)),
            ("process_element2", lambda value: process2(value, context)),
        )

    def process_first(self, batch: Batch) -> None:
        self._process(batch, *self._methods[0])

    def process_second(self, batch: Batch) -> None:
        self._process(batch, *self._methods[1])

    def process_batch(self, batch: Batch) -> None:
        self.process_first(batch)

    def _process(self, batch: Batch, name: str, process: _Process) -> None:
        backend, context = self._backend, self._process_context
        values: list[Any] = []
        timestamps: list[int] | None = None if batch.timestamps is None else []
        try:
            for key, value, timestamp in zip(
                batch.keys or repeat(None),
                batch.values,
                batch.timestamps or repeat(None),
                strict=False,  # endless where there are none
            ):
                if backend is not None:
                    backend.current_key = key
                context.record_timestamp = timestamp
                before = len(values)
                results = process(value)
                if results is not None:
                    values.extend(results)
                    if timestamps is not None and timestamp is not None:
                        timestamps.extend(repeat(timestamp, len(values) - before))
        except Exception as error:
            user_code_error(error, self.context, method_name(self.function, name))
        emit_results(values, timestamps, self.output)

    def process_watermark(self, timestamp: int) -> None:
        if self._unkeyed_time is not None:
            self._unkeyed_time.watermark = timestamp
        if self._timer_calls is not None:
            self._timer_calls.advance_watermark(timestamp)
        self.output.emit_watermark(timestamp)

    def next_processing_time(self) -> int | None:
        return None if self._timer_calls is None else self._timer_calls.next_processing_time()

    def process_processing_time(self, now_ms: int) -> None:
        if self._timer_calls is not None:
            self._timer_calls.advance_processing_time(now_ms)


def _single(result: Any) -> Iterable[Any] | None:
    return None if result is None else (result,)
