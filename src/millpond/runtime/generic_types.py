"""`refuse_generic_types`: what ``pipeline.generic-types: false`` finds in a program.

States that functions register in `open` are not known yet; `operators.generic_types` refuses those
before the first record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.datastream.functions import NullByteKeySelector
from millpond.datastream.operator_spec import (
    AsyncWaitSpec,
    BroadcastProcessSpec,
    FieldAggregationSpec,
    IntervalJoinSpec,
    ReduceSpec,
    WindowSpec,
)
from millpond.datastream.state import StateDescriptor
from millpond.errors import InvalidProgramError
from millpond.operators.generic_types import refuse_pickled_state
from millpond.serialization.coders import coder_for
from millpond.serialization.key_serializer import key_serializer_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.datastream.operator_spec import OperatorSpec
    from millpond.datastream.partitioning import KeyGroupPartitioning
    from millpond.datastream.transformation import JobDescription

__all__ = ("refuse_generic_types",)


def refuse_generic_types(job: JobDescription) -> None:
    """Check that no key and no state that the program itself declares would be pickled.

    Raises:
        InvalidProgramError: one would; names the operator and what it is.
    """
    for transformation in job.transformations:
        if transformation.keyed is not None and _has_pickled_keys(transformation.keyed):
            raise InvalidProgramError(
                "The keys have no declared type and would be pickled, which "
                "pipeline.generic-types: false forbids.",
                hint="Give key_by a key_type, for example Types.STRING().",
                operator=transformation.name,
            )
        for what, type_info in _kept_records(transformation.spec):
            if coder_for(type_info).pickled:
                raise InvalidProgramError(
                    f"The {what} have no declared type and would be pickled, which "
                    "pipeline.generic-types: false forbids.",
                    hint="Declare the type where the stream is made (output_type, type_info) or, "
                    "for accumulators, in aggregate (accumulator_type).",
                    operator=transformation.name,
                )
        for descriptor in _descriptors(transformation.spec):
            refuse_pickled_state(descriptor, transformation.name)


def _has_pickled_keys(keyed: KeyGroupPartitioning) -> bool:
    # The one key of `window_all` has PyFlink's bytes, and nobody could declare another type.
    owner = getattr(keyed.key_selector, "__self__", None)
    return not isinstance(owner, NullByteKeySelector) and key_serializer_for(keyed.key_type).pickled


def _kept_records(spec: OperatorSpec) -> Iterator[tuple[str, Any]]:
    """Yield what an operator keeps of its records: in words, and its type."""
    if isinstance(spec, ReduceSpec | FieldAggregationSpec):
        yield "values of a rolling reduce", spec.value_type
    elif isinstance(spec, AsyncWaitSpec):
        yield "records in flight", spec.element_type
    elif isinstance(spec, IntervalJoinSpec):
        yield "records of an interval join", spec.left_type
        yield "records of an interval join", spec.right_type
    elif isinstance(spec, WindowSpec):
        if spec.aggregate is None or spec.evictor is not None:
            yield "records of a window", spec.element_type
        else:
            yield "accumulators of a window", spec.accumulator_type


def _descriptors(spec: OperatorSpec) -> Iterator[StateDescriptor]:
    """Yield the state descriptors that a specification or its function object already has."""
    if isinstance(spec, BroadcastProcessSpec):
        yield from spec.descriptors
    for function in vars(spec).values():
        for value in getattr(function, "__dict__", {}).values():
            if isinstance(value, StateDescriptor):
                yield value
