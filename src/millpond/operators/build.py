"""Turns an operator specification into a running operator."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.operator_spec import (
    BroadcastProcessSpec,
    CoFlatMapSpec,
    CollectSpec,
    CoMapSpec,
    CoProcessSpec,
    FieldAggregationSpec,
    FilterSpec,
    FlatMapSpec,
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
from millpond.operators.broadcast_process import BroadcastProcessOperator
from millpond.operators.co_process import CoProcessOperator
from millpond.operators.collect import CollectOperator
from millpond.operators.field_aggregation import reduce_of_field
from millpond.operators.filter import FilterOperator
from millpond.operators.flat_map import FlatMapOperator
from millpond.operators.map import MapOperator
from millpond.operators.process import KeyedProcessOperator, ProcessOperator
from millpond.operators.reduce import ReduceOperator
from millpond.operators.sink import SinkOperator
from millpond.operators.sink_function import SinkFunctionOperator
from millpond.operators.source import SourceOperator
from millpond.operators.timestamps import TimestampsOperator
from millpond.operators.window import window_operator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.common.typeinfo import TypeInformation
    from millpond.operators.operator import Operator

__all__ = ("build_operator",)

_SIMPLE: dict[type, Callable[[Any], Operator]] = {
    SourceSpec: SourceOperator,
    TimestampsSpec: TimestampsOperator,
    MapSpec: MapOperator,
    FlatMapSpec: FlatMapOperator,
    FilterSpec: FilterOperator,
    WindowSpec: window_operator,
    CoMapSpec: CoProcessOperator,
    CoFlatMapSpec: CoProcessOperator,
    CoProcessSpec: CoProcessOperator,
    BroadcastProcessSpec: BroadcastProcessOperator,
    SinkSpec: SinkOperator,
    SinkFunctionSpec: SinkFunctionOperator,
}


def build_operator(
    specification: bytes | SourceSpec,
    input_type: TypeInformation | None,
    send_collected: Callable[[str, Sequence[Any]], None],
) -> Operator:
    """Make one subtask's operator; it shares no function object with any other subtask.

    `specification` comes from the program itself, pickled when the program was compiled.
    """
    spec: OperatorSpec
    if isinstance(specification, SourceSpec):
        spec = specification
    else:
        import cloudpickle

        spec = cloudpickle.loads(specification)
    if isinstance(spec, ProcessSpec):
        keyed = isinstance(spec.function, KeyedProcessFunction)
        return KeyedProcessOperator(spec.function) if keyed else ProcessOperator(spec.function)
    if isinstance(spec, ReduceSpec):
        return ReduceOperator(spec, input_type)
    if isinstance(spec, FieldAggregationSpec):
        return ReduceOperator(reduce_of_field(spec), input_type)
    if isinstance(spec, CollectSpec):
        return CollectOperator(partial(send_collected, spec.collect_id))
    return _SIMPLE[type(spec)](spec)
