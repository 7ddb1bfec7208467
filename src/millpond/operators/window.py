"""Choosing the operator for a window of the graph."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING

from millpond.datastream._windows.validation import validate_window
from millpond.datastream.window import (
    EventTimeTrigger,
    MergingWindowAssigner,
    SlidingEventTimeWindows,
    TumblingEventTimeWindows,
)
from millpond.operators.window_combining import CombiningWindowOperator
from millpond.operators.window_merging import MergingWindowOperator
from millpond.operators.window_operator import WindowOperator

if TYPE_CHECKING:
    from millpond.datastream.operator_spec import WindowSpec

__all__ = ("window_operator",)


def window_operator(spec: WindowSpec) -> WindowOperator:
    """Return the operator that does what a specification says, the fastest that can.

    Raises:
        InvalidProgramError: assigner, trigger, evictor and functions do not fit together.
    """
    validate_window(spec)
    if isinstance(spec.assigner, MergingWindowAssigner):
        return MergingWindowOperator(spec)
    if (
        isinstance(spec.assigner, (TumblingEventTimeWindows, SlidingEventTimeWindows))
        and isinstance(spec.trigger, (EventTimeTrigger, NoneType))
        and spec.evictor is None
        and (spec.reduce is not None or spec.aggregate is not None)
    ):
        return CombiningWindowOperator(spec)
    return WindowOperator(spec)
