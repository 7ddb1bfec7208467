"""`refuse_generic_types`: what ``pipeline.generic-types: false`` finds in a program.

Descriptors that only a function's `open` makes are not known yet, and to call it would run the
user's code twice; `operators.generic_types` refuses those before the first record.
"""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any

from millpond.datastream.functions import AsyncFunctionDescriptor, Function, NullByteKeySelector
from millpond.datastream.operator_spec import (
    AsyncWaitSpec,
    BroadcastProcessSpec,
    FieldAggregationSpec,
    IntervalJoinSpec,
    ReduceSpec,
    WindowSpec,
)
from millpond.datastream.state import StateDescriptor
from millpond.datastream.window import Trigger, WindowAssigner
from millpond.errors import InvalidProgramError
from millpond.operators.generic_types import refuse_pickled_state
from millpond.serialization.coders import coder_for
from millpond.serialization.key_serializer import key_serializer_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from millpond.datastream.operator_spec import OperatorSpec
    from millpond.datastream.partitioning import KeyGroupPartitioning
    from millpond.datastream.transformation import JobDescription

__all__ = ("refuse_generic_types",)

_HOLDERS = (StateDescriptor, list, tuple, dict)


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
    """Yield the state descriptors that a specification or its functions already have."""
    if isinstance(spec, BroadcastProcessSpec):
        yield from spec.descriptors
    pending, seen = list(vars(spec).values()), set()
    while pending:
        found = pending.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, StateDescriptor):
            yield found
        elif isinstance(found, (list, tuple, set, frozenset)):
            pending.extend(found)
        elif isinstance(found, dict):
            pending.extend(found.values())
        elif isinstance(found, (Function, Trigger, WindowAssigner, AsyncFunctionDescriptor)):
            pending.extend(vars(found).values() if hasattr(found, "__dict__") else ())
            pending.extend(_named_by(type(found)))


def _named_by(kind: type) -> Iterator[Any]:
    """Yield the class's attributes, and the globals and closures that its `open` names."""
    for one in kind.__mro__[:-1]:
        if one.__module__.split(".")[0] == "millpond":
            continue
        yield from _held(vars(one).values())
        for name in ("open", "initialize_state"):
            method = vars(one).get(name)
            if isinstance(method, FunctionType):
                names = inspect.getclosurevars(method)
                yield from _held((*names.globals.values(), *names.nonlocals.values()))


def _held(values: Iterable[Any]) -> Iterator[Any]:
    return (value for value in values if isinstance(value, _HOLDERS))
