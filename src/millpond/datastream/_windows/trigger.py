"""`Trigger`: decides when a window is evaluated and purged."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from millpond.datastream._state.descriptor import StateDescriptor
    from millpond.datastream._state.interface import State
    from millpond.metrics.registry import MetricGroup

__all__ = ("Trigger", "TriggerResult")

T = TypeVar("T")
W = TypeVar("W")


class TriggerResult(enum.Enum):
    """What happens to a window after a trigger was asked."""

    CONTINUE = (False, False)
    FIRE_AND_PURGE = (True, True)
    FIRE = (True, False)
    PURGE = (False, True)

    def is_fire(self) -> bool:
        """Return whether the window is evaluated."""
        return self.value[0]

    def is_purge(self) -> bool:
        """Return whether the window's contents are deleted."""
        return self.value[1]


class _TriggerContext(ABC):
    @abstractmethod
    def get_current_processing_time(self) -> int:
        """Return the processing time in ms."""

    @abstractmethod
    def get_metric_group(self) -> MetricGroup:
        """Return the group that the trigger's metrics are registered in."""

    @abstractmethod
    def get_current_watermark(self) -> int:
        """Return the watermark in ms."""

    @abstractmethod
    def register_processing_time_timer(self, time: int) -> None:
        """Call `on_processing_time` for this key and window at `time`."""

    @abstractmethod
    def register_event_time_timer(self, time: int) -> None:
        """Call `on_event_time` for this key and window when the watermark reaches `time`."""

    @abstractmethod
    def delete_processing_time_timer(self, time: int) -> None:
        """Take a timer back; nothing happens when there is none."""

    @abstractmethod
    def delete_event_time_timer(self, time: int) -> None:
        """Take a timer back; nothing happens when there is none."""

    @abstractmethod
    def get_partitioned_state(self, state_descriptor: StateDescriptor) -> State:
        """Return the trigger's state for this key and window."""


class _OnMergeContext(_TriggerContext):
    @abstractmethod
    def merge_partitioned_state(self, state_descriptor: StateDescriptor) -> None:
        """Merge the state of the windows that were merged into that of the new window.

        Raises:
            StateTypeError: the state is neither list, reducing nor aggregating state.
        """


class Trigger(ABC, Generic[T, W]):
    """Decides when a window is evaluated; keeps what it must remember in its context's state."""

    TriggerContext: TypeAlias = _TriggerContext
    OnMergeContext: TypeAlias = _OnMergeContext

    @abstractmethod
    def on_element(
        self, element: T, timestamp: int, window: W, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Decide after an element was added to a window."""

    @abstractmethod
    def on_processing_time(
        self, time: int, window: W, ctx: Trigger.TriggerContext
    ) -> TriggerResult:
        """Decide when a processing-time timer fires."""

    @abstractmethod
    def on_event_time(self, time: int, window: W, ctx: Trigger.TriggerContext) -> TriggerResult:
        """Decide when an event-time timer fires."""

    def can_merge(self) -> bool:
        """Return whether the trigger works with windows that merge."""
        return False

    @abstractmethod
    def on_merge(self, window: W, ctx: Trigger.OnMergeContext) -> None:
        """Carry state and timers over to `window`, which others were merged into."""

    @abstractmethod
    def clear(self, window: W, ctx: Trigger.TriggerContext) -> None:
        """Delete the state and timers of a window that is purged."""
