"""Choosing the operator for a window of the graph."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING

from millpond.datastream._windows.validation import validate_window
from millpond.datastream.window import (
    DynamicEventTimeSessionWindows,
    EventTimeSessionWindows,
    EventTimeTrigger,
    MergingWindowAssigner,
    PurgingTrigger,
    SlidingEventTimeWindows,
    TumblingEventTimeWindows,
)
from millpond.operators.window_event_time import EventTimeWindowOperator
from millpond.operators.window_merging import MergingWindowOperator
from millpond.operators.window_operator import WindowOperator
from millpond.operators.window_session import SessionWindowOperator

if TYPE_CHECKING:
    from millpond.datastream.operator_spec import WindowSpec

__all__ = ("window_operator",)


def window_operator(spec: WindowSpec) -> WindowOperator:
    """Return the operator that does what a specification says, the fastest that can.

    Raises:
        InvalidProgramError: assigner, trigger, evictor and functions do not fit together.
    """
    validate_window(spec)
    # Subclasses may do something else, hence the exact types.
    kind = type(spec.assigner)
    is_plain = _is_plain(spec) and spec.evictor is None
    if is_plain and kind in {TumblingEventTimeWindows, SlidingEventTimeWindows}:
        return EventTimeWindowOperator(spec)
    sessions = {EventTimeSessionWindows, DynamicEventTimeSessionWindows}
    if is_plain and kind in sessions and spec.allowed_lateness_ms == 0:
        return SessionWindowOperator(spec)
    if isinstance(spec.assigner, MergingWindowAssigner):
        return MergingWindowOperator(spec)
    return WindowOperator(spec)


def _is_plain(spec: WindowSpec) -> bool:
    """Return whether a window is evaluated once, at its end, and by late records thereafter."""
    trigger = spec.trigger
    if type(trigger) is PurgingTrigger and not spec.allowed_lateness_ms:
        trigger = trigger.nested_trigger  # what it purges is over anyway
    return type(trigger) in {EventTimeTrigger, NoneType}
