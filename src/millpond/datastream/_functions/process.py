"""Process functions: records and timers of one or two inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from millpond.datastream._functions.function import Function

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.datastream.time_domain import TimeDomain
    from millpond.datastream.timerservice import TimerService

__all__ = (
    "CoProcessFunction",
    "KeyedCoProcessFunction",
    "KeyedProcessFunction",
    "ProcessFunction",
)


class _Context(ABC):
    @abstractmethod
    def timer_service(self) -> TimerService:
        """Return the service for time and timers; only keyed functions may set timers."""

    @abstractmethod
    def timestamp(self) -> int | None:
        """Return the record's or timer's timestamp in ms, or None when it has none."""


class _KeyedContext(_Context):
    @abstractmethod
    def get_current_key(self) -> Any:
        """Return the key of the record or timer."""


class _OnTimerContext(_KeyedContext):
    @abstractmethod
    def time_domain(self) -> TimeDomain:
        """Return whether event time or processing time fired."""


class ProcessFunction(Function):
    """Turns one record into any number of records, with access to its timestamp.

    A result ``(output_tag, value)`` goes to that side output.
    """

    class Context(_Context):
        """What `process_element` may ask."""

    @abstractmethod
    def process_element(self, value: Any, ctx: ProcessFunction.Context) -> Iterable[Any] | None:
        """Yield or return the results for a record."""


class KeyedProcessFunction(Function):
    """Process function of a keyed stream: it may use keyed state and timers.

    A result ``(output_tag, value)`` goes to that side output.
    """

    class Context(_KeyedContext):
        """What `process_element` may ask."""

    class OnTimerContext(_OnTimerContext):
        """What `on_timer` may ask."""

    @abstractmethod
    def process_element(
        self, value: Any, ctx: KeyedProcessFunction.Context
    ) -> Iterable[Any] | None:
        """Yield or return the results for a record."""

    def on_timer(
        self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext
    ) -> Iterable[Any] | None:
        """Yield or return the results for a timer that was set for `timestamp`."""


class CoProcessFunction(Function):
    """Process function of two inputs without a key."""

    class Context(_Context):
        """What the two methods may ask."""

    @abstractmethod
    def process_element1(self, value: Any, ctx: CoProcessFunction.Context) -> Iterable[Any] | None:
        """Yield or return the results for a record of the first input."""

    @abstractmethod
    def process_element2(self, value: Any, ctx: CoProcessFunction.Context) -> Iterable[Any] | None:
        """Yield or return the results for a record of the second input."""


class KeyedCoProcessFunction(Function):
    """Process function of two inputs with the same keys; they share keyed state and timers."""

    class Context(_KeyedContext):
        """What the two record methods may ask."""

    class OnTimerContext(_OnTimerContext):
        """What `on_timer` may ask."""

    @abstractmethod
    def process_element1(
        self, value: Any, ctx: KeyedCoProcessFunction.Context
    ) -> Iterable[Any] | None:
        """Yield or return the results for a record of the first input."""

    @abstractmethod
    def process_element2(
        self, value: Any, ctx: KeyedCoProcessFunction.Context
    ) -> Iterable[Any] | None:
        """Yield or return the results for a record of the second input."""

    def on_timer(
        self, timestamp: int, ctx: KeyedCoProcessFunction.OnTimerContext
    ) -> Iterable[Any] | None:
        """Yield or return the results for a timer that was set for `timestamp`."""
