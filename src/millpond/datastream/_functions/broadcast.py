"""Functions over a stream and a broadcast stream, with broadcast state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

from millpond.datastream._functions.function import Function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from millpond.datastream.state import (
        BroadcastState,
        MapStateDescriptor,
        ReadOnlyBroadcastState,
        StateDescriptor,
    )
    from millpond.datastream.time_domain import TimeDomain
    from millpond.datastream.timerservice import TimerService

__all__ = (
    "BaseBroadcastProcessFunction",
    "BroadcastProcessFunction",
    "KeyedBroadcastProcessFunction",
)


class _BaseContext(ABC):
    @abstractmethod
    def timestamp(self) -> int | None:
        """Return the record's timestamp in ms, or None when it has none."""

    @abstractmethod
    def current_processing_time(self) -> int:
        """Return the processing time in ms."""

    @abstractmethod
    def current_watermark(self) -> int:
        """Return the watermark in ms."""


class _WritableContext(_BaseContext):
    @abstractmethod
    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> BroadcastState[Any, Any]:
        """Return the broadcast state for reading and writing.

        Raises:
            StateError: the stream was not connected with this descriptor.
        """


class _ReadOnlyContext(_BaseContext):
    @abstractmethod
    def get_broadcast_state(
        self, state_descriptor: MapStateDescriptor
    ) -> ReadOnlyBroadcastState[Any, Any]:
        """Return the broadcast state for reading; raises as the writable one."""


class BaseBroadcastProcessFunction(Function):
    """Root of the broadcast functions."""

    BaseContext: TypeAlias = _BaseContext
    Context: TypeAlias = _WritableContext
    ReadOnlyContext: TypeAlias = _ReadOnlyContext


class BroadcastProcessFunction(BaseBroadcastProcessFunction):
    """Connects a stream without a key with a broadcast stream.

    Every subtask sees all broadcast records; all must change the broadcast state alike.
    """

    class Context(_WritableContext):
        """What `process_broadcast_element` may ask."""

    class ReadOnlyContext(_ReadOnlyContext):
        """What `process_element` may ask."""

    @abstractmethod
    def process_element(
        self, value: Any, ctx: BroadcastProcessFunction.ReadOnlyContext
    ) -> Iterable[Any] | None:
        """Yield or return the results for a record of the first stream."""

    @abstractmethod
    def process_broadcast_element(
        self, value: Any, ctx: BroadcastProcessFunction.Context
    ) -> Iterable[Any] | None:
        """Yield or return the results for a broadcast record."""


class KeyedBroadcastProcessFunction(BaseBroadcastProcessFunction):
    """Connects a keyed stream with a broadcast stream."""

    class Context(_WritableContext):
        """What `process_broadcast_element` may ask."""

        @abstractmethod
        def apply_to_keyed_state(
            self, state_descriptor: StateDescriptor, function: Callable[[Any, Any], None]
        ) -> None:
            """Call `function(key, state)` for each key that has this state (as in Java Flink)."""

    class ReadOnlyContext(_ReadOnlyContext):
        """What `process_element` may ask."""

        @abstractmethod
        def timer_service(self) -> TimerService:
            """Return the service for time and timers."""

        @abstractmethod
        def get_current_key(self) -> Any:
            """Return the record's key."""

    class OnTimerContext(ReadOnlyContext):
        """What `on_timer` may ask."""

        @abstractmethod
        def time_domain(self) -> TimeDomain:
            """Return whether event time or processing time fired."""

    @abstractmethod
    def process_element(
        self, value: Any, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext
    ) -> Iterable[Any] | None:
        """Yield or return the results for a record of the keyed stream."""

    @abstractmethod
    def process_broadcast_element(
        self, value: Any, ctx: KeyedBroadcastProcessFunction.Context
    ) -> Iterable[Any] | None:
        """Yield or return the results for a broadcast record."""

    def on_timer(
        self, timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext
    ) -> Iterable[Any] | None:
        """Yield or return the results for a timer that was set for `timestamp`."""
