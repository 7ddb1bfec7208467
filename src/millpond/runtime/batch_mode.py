"""Decides whether a program runs in BATCH mode, and what that changes in its graph."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.configuration.options.execution import RuntimeExecutionMode
from millpond.datastream.connectors.function_source import FunctionSource
from millpond.datastream.operator_spec import OperatorSpec, SourceSpec, TimestampsSpec
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from millpond.datastream.connectors.source import Source
    from millpond.datastream.transformation import JobDescription

__all__ = ("is_batch", "without_watermarks")


def is_batch(job: JobDescription, mode: RuntimeExecutionMode) -> bool:
    """Tell whether a program runs in BATCH mode; AUTOMATIC means that all its sources end.

    Raises:
        InvalidProgramError: the mode is BATCH and a source does not end.
    """
    if mode is RuntimeExecutionMode.STREAMING:
        return False
    for transformation in job.transformations:
        spec = transformation.spec
        if isinstance(spec, SourceSpec) and not _ends(spec.source):
            if mode is RuntimeExecutionMode.AUTOMATIC:
                return False
            raise InvalidProgramError(
                "The source is unbounded, but execution.runtime-mode is BATCH.",
                hint="Use STREAMING or AUTOMATIC, or a source that ends; a SourceFunction says "
                "so by its attribute `bounded`.",
                operator=transformation.name,
            )
    return True


def without_watermarks(spec: OperatorSpec) -> OperatorSpec:
    """Return a specification that assigns timestamps, but no watermark before the last one."""
    if isinstance(spec, SourceSpec):
        strategy = spec.watermark_strategy or spec.source.default_watermark_strategy()
        if strategy is None:
            return spec
        return dataclasses.replace(spec, watermark_strategy=_timestamps_only(strategy))
    if isinstance(spec, TimestampsSpec):
        return TimestampsSpec(_timestamps_only(spec.watermark_strategy))
    return spec


def _timestamps_only(strategy: WatermarkStrategy) -> WatermarkStrategy:
    return WatermarkStrategy(timestamp_assigner=strategy.timestamp_assigner)


def _ends(source: Source) -> bool:
    return source.function_ends if isinstance(source, FunctionSource) else source.bounded
