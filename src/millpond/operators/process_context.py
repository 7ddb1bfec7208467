"""The contexts that process functions are given; one object an operator, changed a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, final

from millpond.datastream.functions import (
    CoProcessFunction,
    KeyedCoProcessFunction,
    KeyedProcessFunction,
    ProcessFunction,
)
from millpond.datastream.time_domain import TimeDomain
from millpond.datastream.timerservice import TimerService
from millpond.errors import UnsupportedOperationError
from millpond.operators.batch import MIN_WATERMARK

if TYPE_CHECKING:
    from millpond.clock import Clock
    from millpond.state.contract.keyed_backend import KeyedStateBackend

__all__ = ("KeyedContext", "UnkeyedContext", "UnkeyedTimerService")


@final
class KeyedContext(KeyedProcessFunction.OnTimerContext, KeyedCoProcessFunction.OnTimerContext):
    """Context of keyed functions, for records and timers.

    Attributes:
        record_timestamp: set before each call, in ms or None.
        domain: set before each timer.
    """

    __slots__ = ("_backend", "_timer_service", "domain", "record_timestamp")

    def __init__(self, backend: KeyedStateBackend, timer_service: TimerService) -> None:
        self._backend = backend
        self._timer_service = timer_service
        self.record_timestamp: int | None = None
        self.domain = TimeDomain.EVENT_TIME

    def get_current_key(self) -> Any:
        return self._backend.current_key

    def timer_service(self) -> TimerService:
        return self._timer_service

    def timestamp(self) -> int | None:
        return self.record_timestamp

    def time_domain(self) -> TimeDomain:
        return self.domain


@final
class UnkeyedContext(ProcessFunction.Context, CoProcessFunction.Context):
    """Context of functions without keys."""

    __slots__ = ("_timer_service", "record_timestamp")

    def __init__(self, timer_service: TimerService) -> None:
        self._timer_service = timer_service
        self.record_timestamp: int | None = None

    def timer_service(self) -> TimerService:
        return self._timer_service

    def timestamp(self) -> int | None:
        return self.record_timestamp


@final
class UnkeyedTimerService(TimerService):
    """Tells the time; timers need keys."""

    __slots__ = ("_clock", "watermark")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.watermark = MIN_WATERMARK

    def current_processing_time(self) -> int:
        return self._clock.now_ms()

    def current_watermark(self) -> int:
        return self.watermark

    def register_processing_time_timer(self, timestamp: int) -> None:
        _refuse()

    def register_event_time_timer(self, timestamp: int) -> None:
        _refuse()

    def delete_processing_time_timer(self, timestamp: int) -> None:
        _refuse()

    def delete_event_time_timer(self, timestamp: int) -> None:
        _refuse()


def _refuse() -> NoReturn:
    raise UnsupportedOperationError(
        "Setting timers is only supported on a keyed stream.",
        hint="Call key_by before process, and use a KeyedProcessFunction.",
    )
