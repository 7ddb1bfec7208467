"""The operator of broadcast process functions: broadcast state beside keyed state."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.functions import BroadcastProcessFunction, KeyedBroadcastProcessFunction
from millpond.datastream.time_domain import TimeDomain
from millpond.errors import StateError
from millpond.operators.batch import MIN_WATERMARK, Batch
from millpond.operators.generic_types import refuse_pickled_state
from millpond.operators.operator import OperatorContext, TwoInputOperator, user_code_error
from millpond.operators.results import emit_results
from millpond.operators.timer_calls import TimerCalls
from millpond.operators.timer_service import InternalTimerService, KeyedTimerService
from millpond.operators.user_function import UserFunctionOperator, method_name
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.keyed_backend import NO_KEY
from millpond.state.contract.namespace import VOID_NAMESPACE
from millpond.state.operator_state.broadcast_state import ReadOnlyView

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.datastream.operator_spec import BroadcastProcessSpec
    from millpond.datastream.state import MapStateDescriptor, State, StateDescriptor
    from millpond.datastream.timerservice import TimerService

__all__ = ("BroadcastProcessOperator",)


class _View:
    """What all contexts of one operator tell; the operator changes it before each call."""

    def __init__(self, context: OperatorContext, timers: InternalTimerService | None) -> None:
        self.context = context
        self.timer_service = None if timers is None else KeyedTimerService(timers)
        self.states: dict[str, Any] = {}
        self.read_only: dict[str, ReadOnlyView] = {}
        self.record_timestamp: int | None = None
        self.watermark = MIN_WATERMARK
        self.domain = TimeDomain.EVENT_TIME

    def find(self, states: dict[str, Any], descriptor: StateDescriptor) -> Any:
        name = descriptor.get_name()
        if name not in states:
            raise StateError(
                "The stream was not connected with this broadcast state.",
                hint="Name its descriptor in broadcast(…).",
                operator=self.context.name,
                state=name,
            )
        return states[name]


class _Told:
    def __init__(self, view: _View) -> None:
        self._view = view

    def timestamp(self) -> int | None:
        return self._view.record_timestamp

    def current_processing_time(self) -> int:
        return self._view.context.clock.now_ms()

    def current_watermark(self) -> int:
        return self._view.watermark


@final
class _BroadcastContext(
    _Told, BroadcastProcessFunction.Context, KeyedBroadcastProcessFunction.Context
):
    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> Any:
        return self._view.find(self._view.states, state_descriptor)

    def apply_to_keyed_state(
        self, state_descriptor: StateDescriptor, function: Callable[[Any, State], None]
    ) -> None:
        backend = self._view.context.keyed_backend
        if backend is None:
            raise StateError(
                "Keyed state is only there behind key_by.", operator=self._view.context.name
            )
        if not self._view.context.generic_types:
            refuse_pickled_state(state_descriptor, self._view.context.name)
        definition = StateDefinition.of(state_descriptor)
        backend.apply_to_all_keys(VOID_NAMESPACE, definition, function)


@final
class _RecordContext(
    _Told, BroadcastProcessFunction.ReadOnlyContext, KeyedBroadcastProcessFunction.OnTimerContext
):
    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> Any:
        return self._view.find(self._view.read_only, state_descriptor)

    def timer_service(self) -> TimerService:
        service = self._view.timer_service
        assert service is not None
        return service

    def get_current_key(self) -> Any:
        backend = self._view.context.keyed_backend
        assert backend is not None
        return backend.current_key

    def time_domain(self) -> TimeDomain:
        return self._view.domain


@final
class BroadcastProcessOperator(UserFunctionOperator, TwoInputOperator):
    """Calls a function for records and for broadcast records, which alone may change the state."""

    def __init__(self, spec: BroadcastProcessSpec) -> None:
        super().__init__(spec.function)
        self._descriptors = spec.descriptors

    def open(self) -> None:
        backend = self.context.keyed_backend
        timers = None if backend is None else InternalTimerService(backend, self.context.clock)
        view = _View(self.context, timers)
        for descriptor in self._descriptors:
            state = self.context.operator_state.get_broadcast_state(descriptor)
            view.states[descriptor.get_name()] = state
            view.read_only[descriptor.get_name()] = ReadOnlyView(state)
        self._view = view
        self._record_context = _RecordContext(view)
        self._broadcast_context = _BroadcastContext(view)
        self._timer_calls = (
            None
            if timers is None
            else TimerCalls(self.function, self.context, timers, view, self._record_context)
        )
        super().open()

    def process_batch(self, batch: Batch) -> None:
        self.process_first(batch)

    def process_first(self, batch: Batch) -> None:
        self._process(batch, "process_element", self._record_context)

    def process_second(self, batch: Batch) -> None:
        if self.context.keyed_backend is not None:
            self.context.keyed_backend.current_key = NO_KEY
        self._process(
            Batch(batch.values, batch.timestamps),
            "process_broadcast_element",
            self._broadcast_context,
        )

    def _process(self, batch: Batch, method: str, context: Any) -> None:
        backend, view = self.context.keyed_backend, self._view
        process = getattr(self.function, method)
        values: list[Any] = []
        timestamps: list[int] | None = None if batch.timestamps is None else []
        try:
            for key, value, timestamp in zip(
                batch.keys or repeat(NO_KEY),
                batch.values,
                batch.timestamps or repeat(None),
                strict=False,  # endless where there are none
            ):
                if backend is not None:
                    backend.current_key = key
                view.record_timestamp = timestamp
                before = len(values)
                results = process(value, context)
                if results is not None:
                    values.extend(results)
                    if timestamps is not None and timestamp is not None:
                        timestamps.extend(repeat(timestamp, len(values) - before))
        except Exception as error:
            user_code_error(error, self.context, method_name(self.function, method))
        emit_results(values, timestamps, self.output)

    def process_watermark(self, timestamp: int) -> None:
        self._view.watermark = timestamp
        if self._timer_calls is not None:
            self._timer_calls.advance_watermark(timestamp)
        self.output.emit_watermark(timestamp)

    def next_processing_time(self) -> int | None:
        return None if self._timer_calls is None else self._timer_calls.next_processing_time()

    def process_processing_time(self, now_ms: int) -> None:
        if self._timer_calls is not None:
            self._timer_calls.advance_processing_time(now_ms)
