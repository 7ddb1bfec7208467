"""`WatermarkStrategy`: how a stream gets its timestamps and watermarks.

It only describes; the watermark operator reads the attributes and does the work.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.time import Duration

__all__ = (
    "TimestampAssigner",
    "WatermarkAlignment",
    "WatermarkGenerator",
    "WatermarkKind",
    "WatermarkOutput",
    "WatermarkStrategy",
    "check_generator",
)


class TimestampAssigner(ABC):
    """Gives each element its timestamp."""

    @abstractmethod
    def extract_timestamp(self, value: Any, record_timestamp: int) -> int:
        """Return the element's timestamp in milliseconds since the epoch.

        `record_timestamp` is the one it had before, or the smallest 64-bit integer if none.
        """


class WatermarkOutput(Protocol):
    """Where a generator puts its watermarks."""

    def emit_watermark(self, watermark: int) -> None:
        """Say that no element with this timestamp (ms) or an earlier one will follow."""
        ...

    def mark_idle(self) -> None:
        """Say that downstream need not wait for this stream until it is active again."""
        ...

    def mark_active(self) -> None:
        """Say that downstream must wait for this stream again."""
        ...


class WatermarkGenerator(ABC):
    """Makes watermarks from the elements of one subtask, as Java's interface of that name."""

    @abstractmethod
    def on_event(self, event: Any, timestamp: int, output: WatermarkOutput) -> None:
        """Look at an element and its timestamp in milliseconds; may emit a watermark."""

    @abstractmethod
    def on_periodic_emit(self, output: WatermarkOutput) -> None:
        """Emit a watermark if there is a new one.

        Called behind every batch of elements, and every auto-watermark interval
        (`ExecutionConfig.set_auto_watermark_interval`) while no elements come; never if it is 0.
        """


def check_generator(generator: object) -> None:
    """Check that what a factory made is a generator.

    Raises:
        TypeError: it has not both methods.
    """
    for method in ("on_event", "on_periodic_emit"):
        if not callable(getattr(generator, method, None)):
            raise TypeError(
                f"The factory of for_generator returned {generator!r}, which has no method "
                f"{method}: it must return a WatermarkGenerator."
            )


class WatermarkKind(StrEnum):
    """Which generator a strategy asks for."""

    NONE = "none"
    BOUNDED_OUT_OF_ORDERNESS = "bounded-out-of-orderness"
    GENERATOR = "generator"


@final
@dataclass(frozen=True, slots=True)
class WatermarkAlignment:
    """Sources of one group pause when they are too far ahead of the slowest."""

    group: str
    max_drift_ms: int
    update_interval_ms: int


@final
@dataclass(frozen=True, slots=True)
class WatermarkStrategy:
    """How timestamps and watermarks are made; the `with_…` methods return a changed copy.

    Attributes:
        kind: which generator.
        max_out_of_orderness_ms: the delay of the bounded generator, 0 for ascending timestamps;
            None for the other kinds. Its watermark is the highest timestamp seen, less this,
            less 1.
        timestamp_assigner: what reads the timestamp from an element; None keeps the source's.
        idle_timeout_ms: after so long without an element the stream counts as idle; None: never.
        alignment: pausing of sources that are ahead, or None.
        generator_factory: makes the generator of a subtask, for `WatermarkKind.GENERATOR`.

    Example:
        >>> strategy = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_seconds(5))
        >>> strategy.with_idleness(Duration.of_minutes(1)).idle_timeout_ms
        60000
    """

    kind: WatermarkKind = WatermarkKind.NONE
    max_out_of_orderness_ms: int | None = None
    timestamp_assigner: TimestampAssigner | None = None
    idle_timeout_ms: int | None = None
    alignment: WatermarkAlignment | None = None
    generator_factory: Callable[[], WatermarkGenerator] | None = None

    @staticmethod
    def for_monotonous_timestamps() -> WatermarkStrategy:
        """Return the strategy for timestamps that ascend within each subtask of the source."""
        return WatermarkStrategy(WatermarkKind.BOUNDED_OUT_OF_ORDERNESS, 0)

    @staticmethod
    def for_bounded_out_of_orderness(max_out_of_orderness: Duration) -> WatermarkStrategy:
        """Return the strategy for elements that are at most so late.

        Raises:
            ValueError: the bound is negative.
            TypeError: it is no Duration.
        """
        bound_ms = _milliseconds(max_out_of_orderness, "bound of out-of-orderness")
        if bound_ms < 0:
            raise ValueError(f"The bound of out-of-orderness is negative: {bound_ms} ms.")
        return WatermarkStrategy(WatermarkKind.BOUNDED_OUT_OF_ORDERNESS, bound_ms)

    @staticmethod
    def no_watermarks() -> WatermarkStrategy:
        """Return the strategy that makes none; event time then stands still until the end."""
        return WatermarkStrategy()

    @staticmethod
    def for_generator(factory: Callable[[], WatermarkGenerator]) -> WatermarkStrategy:
        """Return the strategy that asks a user's generator; `factory` is called once a subtask.

        Beyond PyFlink; it is `WatermarkStrategy.forGenerator` of Java. The last watermark a
        generator emitted is in snapshots, but nothing else of it: it starts anew after a restore.

        Raises:
            TypeError: `factory` is a generator itself, or cannot be called.
        """
        if not callable(factory):
            raise TypeError(
                f"for_generator needs a function that makes a WatermarkGenerator, not {factory!r}."
            )
        return WatermarkStrategy(WatermarkKind.GENERATOR, generator_factory=factory)

    def with_timestamp_assigner(self, timestamp_assigner: TimestampAssigner) -> WatermarkStrategy:
        """Return the strategy with this assigner.

        Raises:
            TypeError: it has no method `extract_timestamp`, or is a class.
        """
        if isinstance(timestamp_assigner, type):
            name = timestamp_assigner.__name__
            raise TypeError(f"A TimestampAssigner is needed, not the class: write {name}().")
        if not callable(getattr(timestamp_assigner, "extract_timestamp", None)):
            raise TypeError(
                f"{timestamp_assigner!r} is no TimestampAssigner: subclass it and return the "
                "milliseconds since the epoch from extract_timestamp(value, record_timestamp)."
            )
        return replace(self, timestamp_assigner=timestamp_assigner)

    def with_idleness(self, idle_timeout: Duration) -> WatermarkStrategy:
        """Return the strategy that counts a silent stream as idle after so long.

        Raises:
            ValueError: the timeout is shorter than a millisecond.
            TypeError: it is no Duration.
        """
        timeout_ms = _milliseconds(idle_timeout, "idle timeout")
        if timeout_ms <= 0:
            raise ValueError(f"The idle timeout must be positive, it is {timeout_ms} ms.")
        return replace(self, idle_timeout_ms=timeout_ms)

    def with_watermark_alignment(
        self,
        watermark_group: str,
        max_allowed_watermark_drift: Duration,
        update_interval: Duration | None = None,
    ) -> WatermarkStrategy:
        """Return the strategy that pauses a source too far ahead of the others in its group.

        A source whose watermark is more than the drift above the smallest of the group is not read
        until the others have caught up. Idle sources and those that ended are not waited for. Only
        sources can pause: a strategy of `assign_timestamps_and_watermarks` takes part where its
        operator is chained to its source.

        The watermarks of a group are compared in every cycle of the job, so that the result does
        not depend on the clock: no later than `update_interval` (one second unless given) asks.

        Raises:
            ValueError: the strategy makes no watermarks, the group has no name, the drift is
                negative, or the interval is shorter than a millisecond.
            TypeError: the drift or the interval is no Duration.
        """
        if self.kind is WatermarkKind.NONE:
            raise ValueError("A source without watermarks cannot be aligned with others.")
        interval_ms = (
            1000 if update_interval is None else _milliseconds(update_interval, "update interval")
        )
        drift_ms = _milliseconds(max_allowed_watermark_drift, "allowed drift of watermarks")
        if not watermark_group:
            raise ValueError("A group of aligned sources needs a name.")
        if drift_ms < 0:
            raise ValueError(f"The allowed drift of watermarks is negative: {drift_ms} ms.")
        if interval_ms <= 0:
            raise ValueError(f"The update interval must be positive, it is {interval_ms} ms.")
        return replace(self, alignment=WatermarkAlignment(watermark_group, drift_ms, interval_ms))


def _milliseconds(duration: Any, what: str) -> int:
    try:
        return int(duration.to_millis())
    except AttributeError:
        raise TypeError(
            f"The {what} must be a Duration such as Duration.of_seconds(5), not {duration!r}."
        ) from None
