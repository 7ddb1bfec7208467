"""`Evictor`: removes elements from a window around its evaluation.

PyFlink has none; these are Java Flink's, in Python: an evictor returns the elements that stay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, final

from millpond.datastream._milliseconds import milliseconds
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.common.time import Duration, Time
    from millpond.datastream._windows.window import Window
    from millpond.metrics.registry import MetricGroup

__all__ = ("CountEvictor", "DeltaEvictor", "Evictor", "TimeEvictor", "TimestampedValue")


class TimestampedValue(NamedTuple):
    """An element of a window; `timestamp` in ms is None when it has none."""

    value: Any
    timestamp: int | None


class _EvictorContext(ABC):
    @abstractmethod
    def get_current_processing_time(self) -> int:
        """Return the processing time in ms."""

    @abstractmethod
    def get_current_watermark(self) -> int:
        """Return the watermark in ms."""

    @abstractmethod
    def get_metric_group(self) -> MetricGroup:
        """Return the group that the evictor's metrics are registered in."""


class Evictor(ABC):
    """Chooses which elements of a window stay.

    What `evict_before` removes the window function does not see; what either removes is gone from
    the window.
    """

    EvictorContext: TypeAlias = _EvictorContext

    @abstractmethod
    def evict_before(
        self,
        elements: Sequence[TimestampedValue],
        size: int,
        window: Window,
        ctx: Evictor.EvictorContext,
    ) -> Sequence[TimestampedValue]:
        """Return the elements that stay, before the window function is called."""

    @abstractmethod
    def evict_after(
        self,
        elements: Sequence[TimestampedValue],
        size: int,
        window: Window,
        ctx: Evictor.EvictorContext,
    ) -> Sequence[TimestampedValue]:
        """Return the elements that stay, after the window function was called."""


class _OneSidedEvictor(Evictor):
    _do_evict_after: bool

    def evict_before(
        self,
        elements: Sequence[TimestampedValue],
        size: int,
        window: Window,
        ctx: Evictor.EvictorContext,
    ) -> Sequence[TimestampedValue]:
        """Evict now unless it was made to evict after."""
        return elements if self._do_evict_after else self._kept(elements)

    def evict_after(
        self,
        elements: Sequence[TimestampedValue],
        size: int,
        window: Window,
        ctx: Evictor.EvictorContext,
    ) -> Sequence[TimestampedValue]:
        """Evict now if it was made to evict after."""
        return self._kept(elements) if self._do_evict_after else elements

    @abstractmethod
    def _kept(self, elements: Sequence[TimestampedValue]) -> Sequence[TimestampedValue]: ...


@final
class CountEvictor(_OneSidedEvictor):
    """Keeps the last elements, up to a number.

    Raises:
        InvalidProgramError: the number is negative.
    """

    def __init__(self, max_count: int, do_evict_after: bool = False) -> None:
        if max_count < 0:
            raise InvalidProgramError(f"A count evictor cannot keep {max_count} elements.")
        self._max_count = max_count
        self._do_evict_after = do_evict_after

    @staticmethod
    def of(max_count: int, do_evict_after: bool = False) -> CountEvictor:
        """Return one that keeps so many elements."""
        return CountEvictor(max_count, do_evict_after)

    def _kept(self, elements: Sequence[TimestampedValue]) -> Sequence[TimestampedValue]:
        return elements[max(0, len(elements) - self._max_count) :]


@final
class TimeEvictor(_OneSidedEvictor):
    """Keeps the elements that are not older than a time before the newest.

    Elements without timestamps all stay.

    Raises:
        InvalidProgramError: the time is negative.
    """

    def __init__(self, window_size: int, do_evict_after: bool = False) -> None:
        if window_size < 0:
            raise InvalidProgramError(f"A time evictor cannot keep {window_size} ms.")
        self._window_size = window_size
        self._do_evict_after = do_evict_after

    @staticmethod
    def of(window_size: Time | Duration, do_evict_after: bool = False) -> TimeEvictor:
        """Return one that keeps so much time."""
        return TimeEvictor(milliseconds(window_size, "time to keep"), do_evict_after)

    def _kept(self, elements: Sequence[TimestampedValue]) -> Sequence[TimestampedValue]:
        if not elements or elements[0].timestamp is None:
            return elements
        timestamps = [element.timestamp for element in elements if element.timestamp is not None]
        cutoff = max(timestamps) - self._window_size
        return [e for e in elements if e.timestamp is None or e.timestamp > cutoff]


@final
class DeltaEvictor(_OneSidedEvictor):
    """Keeps the elements whose distance to the last one is below a threshold."""

    def __init__(
        self,
        threshold: float,
        delta_function: Callable[[Any, Any], float],
        do_evict_after: bool = False,
    ) -> None:
        self._threshold = threshold
        self._delta_function = delta_function
        self._do_evict_after = do_evict_after

    @staticmethod
    def of(
        threshold: float,
        delta_function: Callable[[Any, Any], float],
        do_evict_after: bool = False,
    ) -> DeltaEvictor:
        """Return one; `delta_function` is given an element and the last element."""
        return DeltaEvictor(threshold, delta_function, do_evict_after)

    def _kept(self, elements: Sequence[TimestampedValue]) -> Sequence[TimestampedValue]:
        if not elements:
            return elements
        last = elements[-1].value
        return [e for e in elements if self._delta_function(e.value, last) < self._threshold]
