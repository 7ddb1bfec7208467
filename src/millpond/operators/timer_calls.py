"""`TimerCalls`: calls a function's `on_timer` for the timers that are due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, final

from millpond.datastream.time_domain import TimeDomain
from millpond.operators.operator import user_code_error
from millpond.operators.results import Results
from millpond.operators.user_function import method_name

if TYPE_CHECKING:
    from millpond.operators.operator import OperatorContext
    from millpond.operators.timer_service import InternalTimerService

__all__ = ("TimerCalls",)


class _Told(Protocol):
    """What a function's context tells of the present timer."""

    record_timestamp: int | None
    domain: TimeDomain


@final
class TimerCalls:
    """The timers of one keyed operator, whose function has an `on_timer`.

    Args:
        function: the user's.
        context: of the operator.
        timers: the operator's.
        told: takes the time and the domain of each timer before it is called.
        given: the context that `on_timer` is given.
    """

    __slots__ = ("_context", "_function", "_given", "_results", "_timers", "_told")

    def __init__(
        self,
        function: Any,
        context: OperatorContext,
        timers: InternalTimerService,
        told: _Told,
        given: Any,
    ) -> None:
        self._function = function
        self._context = context
        self._timers = timers
        self._told = told
        self._given = given
        self._results = Results(context)

    def advance_watermark(self, timestamp: int) -> None:
        """Fire the event-time timers up to a watermark, and emit what they yield."""
        self._told.domain = TimeDomain.EVENT_TIME
        self._timers.advance_watermark(timestamp, self._on_event_timer)
        self._results.flush()

    def advance_processing_time(self, now_ms: int) -> None:
        """Fire the processing-time timers that are due, and emit what they yield."""
        self._told.domain = TimeDomain.PROCESSING_TIME
        self._timers.advance_processing_time(now_ms, self._on_processing_timer)

    def next_processing_time(self) -> int | None:
        """Return when the first processing-time timer is due, in ms; None if there is none."""
        return self._timers.next_processing_time()

    def _on_event_timer(self, timestamp: int, namespace: Any) -> None:
        self._on_timer(timestamp, timestamp)

    def _on_processing_timer(self, timestamp: int, namespace: Any) -> None:
        # Flink erases the timestamp of what a processing-time timer emits.
        self._on_timer(timestamp, None)

    def _on_timer(self, timestamp: int, result_timestamp: int | None) -> None:
        self._told.record_timestamp = timestamp
        try:
            self._results.add(self._function.on_timer(timestamp, self._given), result_timestamp)
        except Exception as error:
            name = method_name(self._function, "on_timer")
            user_code_error(error, self._context, name, timestamp=timestamp)
