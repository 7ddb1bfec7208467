"""Operator specifications: what an operator of the graph does, in the user's terms.

Each is turned into a running operator by `millpond.operators`. They hold user functions as given:
a function object of `datastream.functions` or a plain callable.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.common.typeinfo import TypeInformation
    from millpond.common.watermark_strategy import WatermarkStrategy
    from millpond.datastream.connectors.sink import Sink
    from millpond.datastream.connectors.source import Source
    from millpond.datastream.functions import (
        AggregateFunction,
        AsyncFunctionDescriptor,
        BaseBroadcastProcessFunction,
        CoFlatMapFunction,
        CoMapFunction,
        CoProcessFunction,
        FilterFunction,
        FlatMapFunction,
        KeyedCoProcessFunction,
        KeyedProcessFunction,
        MapFunction,
        ProcessFunction,
        ProcessJoinFunction,
        ReduceFunction,
        SinkFunction,
    )
    from millpond.datastream.output_tag import OutputTag
    from millpond.datastream.state import MapStateDescriptor
    from millpond.datastream.window import Evictor, Trigger, WindowAssigner

__all__ = (
    "COLLECT_UID",
    "AggregationKind",
    "AsyncWaitSpec",
    "BroadcastProcessSpec",
    "CoFlatMapSpec",
    "CoMapSpec",
    "CoProcessSpec",
    "CollectSpec",
    "FieldAggregationSpec",
    "FilterSpec",
    "FlatMapSpec",
    "IntervalJoinSpec",
    "MapSpec",
    "OperatorSpec",
    "ProcessSpec",
    "ReduceSpec",
    "SinkFunctionSpec",
    "SinkSpec",
    "SourceSpec",
    "TimestampsSpec",
    "WindowSpec",
)


@dataclass(frozen=True)
class SourceSpec:
    """Reads a source and assigns timestamps and watermarks."""

    source: Source
    watermark_strategy: WatermarkStrategy | None


@dataclass(frozen=True)
class TimestampsSpec:
    """Assigns timestamps and watermarks in the middle of a stream."""

    watermark_strategy: WatermarkStrategy


@dataclass(frozen=True)
class MapSpec:
    """One record to one record."""

    function: MapFunction | Callable[[Any], Any]


@dataclass(frozen=True)
class FlatMapSpec:
    """One record to any number of records."""

    function: FlatMapFunction | Callable[[Any], Any]


@dataclass(frozen=True)
class FilterSpec:
    """Keeps the records that the function is true for."""

    function: FilterFunction | Callable[[Any], bool]


@dataclass(frozen=True)
class ProcessSpec:
    """A process function, keyed or not."""

    function: ProcessFunction | KeyedProcessFunction


@dataclass(frozen=True)
class AsyncWaitSpec:
    """Asynchronous calls, many at the same time; `timeout_ms` 0: they may take for ever.

    `element_type` is that of the records.
    """

    descriptor: AsyncFunctionDescriptor
    timeout_ms: int
    element_type: TypeInformation | None = None


@dataclass(frozen=True)
class ReduceSpec:
    """A rolling reduce of each key; emits after every record. The result is of `value_type`."""

    function: ReduceFunction | Callable[[Any, Any], Any]
    value_type: TypeInformation | None


class AggregationKind(enum.StrEnum):
    """The built-in rolling aggregations of a field."""

    SUM = "sum"
    MIN = "min"
    MAX = "max"
    MIN_BY = "min_by"
    MAX_BY = "max_by"


@dataclass(frozen=True)
class FieldAggregationSpec:
    """A rolling aggregation of one field of each key's records, which are of `value_type`."""

    kind: AggregationKind
    position: int | str
    value_type: TypeInformation | None


@dataclass(frozen=True)
class WindowSpec:
    """Windows of a keyed stream and what is computed over them.

    Exactly one of these: `reduce`, `aggregate`, or only a window function. `window_function` is a
    WindowFunction or ProcessWindowFunction (or an AllWindow one when `all_windows`). The contents'
    type is `element_type`, or `accumulator_type` with `aggregate`.
    """

    assigner: WindowAssigner[Any, Any]
    trigger: Trigger[Any, Any] | None = None
    evictor: Evictor | None = None
    allowed_lateness_ms: int = 0
    late_data_tag: OutputTag | None = None
    reduce: ReduceFunction | Callable[[Any, Any], Any] | None = None
    aggregate: AggregateFunction | None = None
    window_function: Any = None
    element_type: Any = None
    accumulator_type: Any = None
    all_windows: bool = False


@dataclass(frozen=True)
class CoMapSpec:
    """A map with two inputs."""

    function: CoMapFunction


@dataclass(frozen=True)
class CoFlatMapSpec:
    """A flat map with two inputs."""

    function: CoFlatMapFunction


@dataclass(frozen=True)
class CoProcessSpec:
    """A process function with two inputs, keyed or not."""

    function: CoProcessFunction | KeyedCoProcessFunction


@dataclass(frozen=True)
class BroadcastProcessSpec:
    """A process function with a broadcast second input and broadcast state."""

    function: BaseBroadcastProcessFunction
    descriptors: Sequence[MapStateDescriptor] = field(default_factory=tuple)


@dataclass(frozen=True)
class IntervalJoinSpec:
    """Pairs of two keyed inputs with ``left + lower <= right <= left + upper``, both inclusive."""

    function: ProcessJoinFunction
    lower_bound_ms: int
    upper_bound_ms: int
    left_type: TypeInformation | None = None
    right_type: TypeInformation | None = None
    left_late_tag: OutputTag | None = None
    right_late_tag: OutputTag | None = None


@dataclass(frozen=True)
class SinkSpec:
    """Writes to a sink."""

    sink: Sink


@dataclass(frozen=True)
class SinkFunctionSpec:
    """Calls a user's function for each record."""

    function: SinkFunction


COLLECT_UID = "millpond-collect"
"""The uid of the collecting operator: its state may always be dropped."""


@dataclass(frozen=True)
class CollectSpec:
    """Hands results to the client that runs the job."""

    collect_id: str


OperatorSpec = (
    SourceSpec
    | TimestampsSpec
    | MapSpec
    | FlatMapSpec
    | FilterSpec
    | ProcessSpec
    | AsyncWaitSpec
    | ReduceSpec
    | FieldAggregationSpec
    | WindowSpec
    | CoMapSpec
    | CoFlatMapSpec
    | CoProcessSpec
    | BroadcastProcessSpec
    | IntervalJoinSpec
    | SinkSpec
    | SinkFunctionSpec
    | CollectSpec
)
