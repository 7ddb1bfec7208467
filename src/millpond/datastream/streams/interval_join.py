"""Interval joins: pairs of two keyed streams whose timestamps are near enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self, final

from millpond.datastream._milliseconds import milliseconds
from millpond.datastream._windows.timestamps import require_timestamps
from millpond.datastream.functions import ProcessJoinFunction
from millpond.datastream.operator_spec import IntervalJoinSpec
from millpond.datastream.output_tag import OutputTag
from millpond.datastream.streams.connected import connect_keyed
from millpond.datastream.streams.function_check import function_of
from millpond.errors import InvalidProgramError, UnsupportedOperationError

if TYPE_CHECKING:
    from millpond.common.typeinfo import TypeInformation
    from millpond.datastream.streams.keyed import KeyedStream
    from millpond.datastream.streams.plain import DataStream

__all__ = ("IntervalJoin", "IntervalJoined")


@final
class IntervalJoin:
    """Two keyed streams before the interval is known."""

    def __init__(self, left: KeyedStream, right: KeyedStream) -> None:
        self._left = left
        self._right = right

    def in_event_time(self) -> Self:
        """Join by timestamps, which is the only way."""
        return self

    def in_processing_time(self) -> NoReturn:
        """Refuse, as Flink.

        Raises:
            UnsupportedOperationError: always.
        """
        raise UnsupportedOperationError(
            "Interval joins are only there in event time.",
            hint="Use a window join with processing-time windows.",
        )

    def between(self, lower_bound: Any, upper_bound: Any) -> IntervalJoined:
        """Join what has ``left + lower_bound <= right <= left + upper_bound``.

        Bounds are a Time, Duration, timedelta or number of ms, and may be negative.

        Raises:
            InvalidProgramError: the lower bound is above the upper one.
        """
        lower_ms = milliseconds(lower_bound, "lower bound")
        upper_ms = milliseconds(upper_bound, "upper bound")
        return IntervalJoined(self._left, self._right, lower_ms, upper_ms)


@final
class IntervalJoined:
    """Two keyed streams with an interval; the function is still to be said."""

    def __init__(
        self, left: KeyedStream, right: KeyedStream, lower_bound_ms: int, upper_bound_ms: int
    ) -> None:
        self._left = left
        self._right = right
        self._lower_bound_ms = lower_bound_ms
        self._upper_bound_ms = upper_bound_ms
        self._lower_exclusive = False
        self._upper_exclusive = False
        self._late_tags: list[OutputTag | None] = [None, None]
        self._check()

    def lower_bound_exclusive(self) -> Self:
        """Leave out pairs at exactly the lower bound."""
        self._lower_exclusive = True
        return self

    def upper_bound_exclusive(self) -> Self:
        """Leave out pairs at exactly the upper bound."""
        self._upper_exclusive = True
        return self

    def side_output_left_late_data(self, output_tag: OutputTag) -> Self:
        """Send left records that come behind the watermark to a side output."""
        return self._put_tag(0, output_tag)

    def side_output_right_late_data(self, output_tag: OutputTag) -> Self:
        """Send right records that come behind the watermark to a side output."""
        return self._put_tag(1, output_tag)

    def process(
        self, process_join_function: ProcessJoinFunction, output_type: TypeInformation | None = None
    ) -> DataStream:
        """Call the function for every pair.

        Records are kept until the watermark says that no partner can come any more; those that
        come behind the watermark have no partner, are counted and dropped.

        Raises:
            InvalidProgramError: it is no ProcessJoinFunction, or the interval is empty.
        """
        function_of(process_join_function, ProcessJoinFunction, "process on an interval join")
        self._check()
        require_timestamps("An interval join", (*self._left._edges, *self._right._edges))
        spec = IntervalJoinSpec(
            process_join_function,
            self._lower_bound_ms + self._lower_exclusive,
            self._upper_bound_ms - self._upper_exclusive,
            self._left.get_type(),
            self._right.get_type(),
            *self._late_tags,
        )
        return connect_keyed(self._left, self._right, "Interval Join", spec, output_type)

    def _put_tag(self, side: int, tag: OutputTag) -> Self:
        if not isinstance(tag, OutputTag):
            raise InvalidProgramError(f"Late data needs an OutputTag, not {tag!r}.")
        self._late_tags[side] = tag
        return self

    def _check(self) -> None:
        lower = self._lower_bound_ms + self._lower_exclusive
        upper = self._upper_bound_ms - self._upper_exclusive
        if lower > upper:
            raise InvalidProgramError(
                f"The interval from {lower} ms to {upper} ms is empty.",
                hint="The lower bound must not be above the upper one.",
            )
