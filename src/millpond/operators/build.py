"""Turns an operator specification into a running operator.

Modules of operators are imported when a job has one of their kind, so that a small job starts fast.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.operator_spec import (
    AsyncWaitSpec,
    BroadcastProcessSpec,
    CoFlatMapSpec,
    CollectSpec,
    CoMapSpec,
    CoProcessSpec,
    FieldAggregationSpec,
    FilterSpec,
    FlatMapSpec,
    IntervalJoinSpec,
    MapSpec,
    OperatorSpec,
    ProcessSpec,
    ReduceSpec,
    SinkFunctionSpec,
    SinkSpec,
    SourceSpec,
    TimestampsSpec,
    WindowSpec,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.operators.batch import BatchResources
    from millpond.operators.operator import Operator

__all__ = ("build_operator",)

_OPERATORS = {
    SourceSpec: "source:SourceOperator",
    TimestampsSpec: "timestamps:TimestampsOperator",
    MapSpec: "map:MapOperator",
    FlatMapSpec: "flat_map:FlatMapOperator",
    AsyncWaitSpec: "async_wait:AsyncWaitOperator",
    ReduceSpec: "reduce:ReduceOperator",
    FilterSpec: "filter:FilterOperator",
    WindowSpec: "window:window_operator",
    CoMapSpec: "co_process:CoProcessOperator",
    CoFlatMapSpec: "co_process:CoProcessOperator",
    CoProcessSpec: "co_process:CoProcessOperator",
    BroadcastProcessSpec: "broadcast_process:BroadcastProcessOperator",
    IntervalJoinSpec: "interval_join:IntervalJoinOperator",
    SinkSpec: "sink:SinkOperator",
    SinkFunctionSpec: "sink_function:SinkFunctionOperator",
}


def build_operator(
    specification: bytes | SourceSpec,
    send_collected: Callable[[str, int, Sequence[Any]], None],
    *,
    keyed: bool = False,
    batch: BatchResources | None = None,
) -> Operator:
    """Make one subtask's operator; it shares no function object with any other subtask.

    `specification` comes from the program itself, pickled when the program was compiled. `keyed`
    and `batch`, which is None in STREAMING mode, decide whether its input is sorted.
    """
    spec: OperatorSpec
    if isinstance(specification, SourceSpec):
        spec = specification
    else:
        import cloudpickle

        spec = cloudpickle.loads(specification)
    operator: Operator
    if isinstance(spec, ProcessSpec):
        keyed = isinstance(spec.function, KeyedProcessFunction)
        kind = "KeyedProcessOperator" if keyed else "ProcessOperator"
        operator = _load(f"process:{kind}")(spec.function)
    elif isinstance(spec, FieldAggregationSpec):
        operator = _load("field_aggregation:FieldAggregationOperator")(spec)
    elif isinstance(spec, CollectSpec):
        operator = _load("collect:CollectOperator")(partial(send_collected, spec.collect_id))
    else:
        operator = _load(_OPERATORS[type(spec)])(spec)
    if batch is not None:
        operator = _load("batch_execution:in_batch_mode")(operator, spec, batch, keyed=keyed)
    return operator


def _load(path: str) -> Callable[..., Any]:
    module, name = path.split(":")
    found: Callable[..., Any] = getattr(import_module(f"millpond.operators.{module}"), name)
    return found
