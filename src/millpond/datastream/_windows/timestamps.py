"""Finds event-time windows over streams whose records cannot have timestamps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.datastream.operator_spec import (
    AsyncWaitSpec,
    FieldAggregationSpec,
    FilterSpec,
    FlatMapSpec,
    MapSpec,
    ReduceSpec,
    SourceSpec,
    TimestampsSpec,
)
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.common.watermark_strategy import WatermarkStrategy
    from millpond.datastream._windows.assigner import WindowAssigner
    from millpond.datastream.transformation import Edge, Transformation

__all__ = ("check_timestamps", "require_timestamps")

_KEEP_TIMESTAMPS = (
    MapSpec,
    FlatMapSpec,
    FilterSpec,
    ReduceSpec,
    FieldAggregationSpec,
    AsyncWaitSpec,
)
"""Timers, windows and functions of several inputs may give timestamps to what has none."""


def check_timestamps(assigner: WindowAssigner[Any, Any], edges: Iterable[Edge]) -> None:
    """Check that records which come by `edges` may have the timestamps that an assigner needs.

    Raises:
        InvalidProgramError: a source on the way has none, and no operator assigns any.
    """
    if assigner.is_event_time():
        require_timestamps(repr(assigner), edges)


def require_timestamps(what: str, edges: Iterable[Edge]) -> None:
    """Check that records which come by `edges` may have timestamps; `what` needs them.

    Raises:
        InvalidProgramError: a source on the way has none, and no operator assigns any.
    """
    for edge in edges:
        source = _source_without_timestamps(edge.source)
        if source is not None:
            raise InvalidProgramError(
                f"{what} needs timestamps, and the records of '{source.name}' have none.",
                hint="Call assign_timestamps_and_watermarks(...) before the window with a strategy "
                "that has a timestamp assigner, or use windows by processing time.",
                source=source.name,
            )


def _source_without_timestamps(transformation: Transformation) -> Transformation | None:
    spec = transformation.spec
    if isinstance(spec, SourceSpec):
        strategy = spec.watermark_strategy or spec.source.default_watermark_strategy()
        has_none = spec.source.has_timestamps is False and not _assigns(strategy)
        return transformation if has_none else None
    if isinstance(spec, TimestampsSpec):
        if _assigns(spec.watermark_strategy):
            return None
    elif not isinstance(spec, _KEEP_TIMESTAMPS):
        return None
    for edge in transformation.inputs:
        source = _source_without_timestamps(edge.source)
        if source is not None:
            return source
    return None


def _assigns(strategy: WatermarkStrategy | None) -> bool:
    return strategy is not None and strategy.timestamp_assigner is not None
