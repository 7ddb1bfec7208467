"""Timers of a keyed operator: the internal service, and what user functions see of it."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.timerservice import TimerService
from millpond.errors import InvalidProgramError, NoCurrentKeyError
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK
from millpond.state.contract.keyed_backend import NO_KEY, KeyedStateBackend
from millpond.state.contract.namespace import VOID, VOID_NAMESPACE, NamespaceSerializer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from millpond.clock import Clock
    from millpond.state.contract.timer_queue import Timer, TimerQueue

__all__ = ("USER_TIMERS", "InternalTimerService", "KeyedTimerService")

USER_TIMERS = "user-timers"
"""The name of the service in PyFlink, for window operators too."""


@final
class InternalTimerService:
    """Timers by (timestamp, current key, namespace) in event time and processing time.

    The rules are Flink's (InternalTimerServiceImpl): registering a timer twice is one timer;
    timers fire in ascending order of time; one that is registered while others fire, and is due,
    fires in the same round. The current key is set before every callback.

    Attributes:
        current_watermark: event time in ms; not part of snapshots.
    """

    __slots__ = ("_backend", "_clock", "_event", "_processing", "current_watermark")

    def __init__(
        self,
        backend: KeyedStateBackend,
        clock: Clock,
        namespace: NamespaceSerializer = VOID,
        service: str = USER_TIMERS,
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._event = backend.timer_queue(service, "event", namespace)
        self._processing = backend.timer_queue(service, "processing", namespace)
        self.current_watermark = MIN_WATERMARK

    def current_processing_time(self) -> int:
        """Return the processing time in ms."""
        return self._clock.now_ms()

    def register_event_time_timer(self, namespace: Any, timestamp: int) -> None:
        """Add a timer for the current key.

        Raises:
            NoCurrentKeyError: there is none.
            InvalidProgramError: the timestamp is no whole number of 64 bits.
        """
        if type(timestamp) is not int or not MIN_WATERMARK <= timestamp <= MAX_WATERMARK:
            timestamp = self._whole(timestamp)
        key = self._backend.current_key
        self._event.add(timestamp, self._key() if key is NO_KEY else key, namespace)

    def delete_event_time_timer(self, namespace: Any, timestamp: int) -> None:
        """Remove a timer of the current key."""
        if type(timestamp) is not int or not MIN_WATERMARK <= timestamp <= MAX_WATERMARK:
            timestamp = self._whole(timestamp)
        key = self._backend.current_key
        self._event.remove(timestamp, self._key() if key is NO_KEY else key, namespace)

    def register_processing_time_timer(self, namespace: Any, timestamp: int) -> None:
        """Add a timer for the current key.

        Raises:
            NoCurrentKeyError: there is none.
            InvalidProgramError: the timestamp is no whole number of 64 bits.
        """
        if type(timestamp) is not int or not MIN_WATERMARK <= timestamp <= MAX_WATERMARK:
            timestamp = self._whole(timestamp)
        key = self._backend.current_key
        self._processing.add(timestamp, self._key() if key is NO_KEY else key, namespace)

    def delete_processing_time_timer(self, namespace: Any, timestamp: int) -> None:
        """Remove a timer of the current key."""
        if type(timestamp) is not int or not MIN_WATERMARK <= timestamp <= MAX_WATERMARK:
            timestamp = self._whole(timestamp)
        key = self._backend.current_key
        self._processing.remove(timestamp, self._key() if key is NO_KEY else key, namespace)

    def advance_watermark(self, timestamp: int, fire: Callable[[int, Any], None]) -> None:
        """Set the watermark, then call ``fire(timestamp, namespace)`` for every timer up to it."""
        self.current_watermark = timestamp
        backend = self._backend
        while due := self._event.poll(timestamp):
            for time, key, namespace in due:
                backend.current_key = key
                fire(time, namespace)
        backend.current_key = NO_KEY

    def register_event_time_timers(
        self, namespace: Any, timestamp: int, keys: Iterable[Any]
    ) -> None:
        """Add a timer for each of some keys; `timestamp` is an int of 64 bits."""
        self._event.add_all(timestamp, keys, namespace)

    def register_processing_time_timers(
        self, namespace: Any, timestamp: int, keys: Iterable[Any]
    ) -> None:
        """Add a timer for each of some keys; `timestamp` is an int of 64 bits."""
        self._processing.add_all(timestamp, keys, namespace)

    def poll_event_timers(self, up_to: int) -> list[Timer]:
        """Remove and return the next timers up to a time, all of one timestamp.

        For operators that fire in a loop of their own; call it until it returns none.
        """
        return self._event.poll(up_to)

    def has_event_timers(self, up_to: int) -> bool:
        """Return whether a timer is set for a time up to this one."""
        first = self._event.head()
        return first is not None and first <= up_to

    def advance_processing_time(self, now_ms: int, fire: Callable[[int, Any], None]) -> None:
        """Call ``fire(timestamp, namespace)`` for every processing-time timer up to `now_ms`."""
        backend = self._backend
        while due := self._processing.poll(now_ms):
            for time, key, namespace in due:
                backend.current_key = key
                fire(time, namespace)
        backend.current_key = NO_KEY

    def for_each_event_time_timer(self, function: Callable[[Any, int], None]) -> None:
        """Call ``function(namespace, timestamp)`` for every timer, with its key; in no order."""
        self._for_each(self._event, function)

    def for_each_processing_time_timer(self, function: Callable[[Any, int], None]) -> None:
        """Call ``function(namespace, timestamp)`` for every timer, with its key; in no order."""
        self._for_each(self._processing, function)

    def _for_each(self, queue: TimerQueue, function: Callable[[Any, int], None]) -> None:
        backend = self._backend
        before = backend.current_key
        try:
            # A list: the function may set and delete timers.
            for timestamp, backend.current_key, namespace in list(queue):
                function(namespace, timestamp)
        finally:
            backend.current_key = before

    def next_processing_time(self) -> int | None:
        """Return when the first processing-time timer is due, or None."""
        return self._processing.head()

    def _whole(self, timestamp: Any) -> int:
        try:
            whole = index(timestamp)
        except TypeError:
            whole = MAX_WATERMARK + 1
        if MIN_WATERMARK <= whole <= MAX_WATERMARK:
            return whole
        raise InvalidProgramError(
            f"The time of a timer, {timestamp!r}, is no whole number of milliseconds that fits 64 "
            "bits.",
            hint="Use int(...), and ctx.timestamp() only where records have timestamps.",
            operator=self._backend.parameters.operator_name,
            key=repr(self._key())[:200],
        )

    def _key(self) -> Any:
        key = self._backend.current_key
        if key is NO_KEY:
            raise NoCurrentKeyError(
                "A timer was set or deleted outside the processing of a record or timer.",
                hint="Timers belong to a key: set them in process_element or on_timer.",
            )
        return key


@final
class KeyedTimerService(TimerService):
    """The service that a keyed process function gets from its context."""

    __slots__ = ("_service",)

    def __init__(self, service: InternalTimerService) -> None:
        self._service = service

    def current_processing_time(self) -> int:
        """Return the processing time in ms."""
        return self._service.current_processing_time()

    def current_watermark(self) -> int:
        """Return the watermark in ms."""
        return self._service.current_watermark

    def register_processing_time_timer(self, timestamp: int) -> None:
        """Fire when the processing time reaches `timestamp`."""
        self._service.register_processing_time_timer(VOID_NAMESPACE, timestamp)

    def register_event_time_timer(self, timestamp: int) -> None:
        """Fire when the watermark reaches `timestamp`."""
        self._service.register_event_time_timer(VOID_NAMESPACE, timestamp)

    def delete_processing_time_timer(self, timestamp: int) -> None:
        """Take a processing-time timer back."""
        self._service.delete_processing_time_timer(VOID_NAMESPACE, timestamp)

    def delete_event_time_timer(self, timestamp: int) -> None:
        """Take an event-time timer back."""
        self._service.delete_event_time_timer(VOID_NAMESPACE, timestamp)
