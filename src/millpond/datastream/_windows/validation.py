"""Checks what a program says about a window while it still describes its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.datastream._functions.record import AggregateFunction, ReduceFunction
from millpond.datastream._functions.window import (
    AllWindowFunction,
    ProcessAllWindowFunction,
    ProcessWindowFunction,
    WindowFunction,
)
from millpond.datastream._windows.assigner import MergingWindowAssigner, WindowAssigner
from millpond.datastream._windows.evictor import Evictor
from millpond.datastream._windows.serializer import (
    CountWindowSerializer,
    GlobalWindowSerializer,
    TimeWindowSerializer,
)
from millpond.datastream._windows.trigger import Trigger
from millpond.datastream.output_tag import OutputTag
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from millpond.datastream.operator_spec import WindowSpec

__all__ = ("validate_window",)

_SERIALIZERS = (TimeWindowSerializer, CountWindowSerializer, GlobalWindowSerializer)
_KEYED_FUNCTIONS = (WindowFunction, ProcessWindowFunction)
_ALL_FUNCTIONS = (AllWindowFunction, ProcessAllWindowFunction)


def validate_window(spec: WindowSpec) -> None:
    """Check that assigner, trigger, evictor and functions fit together.

    Raises:
        InvalidProgramError: they do not, or one is of the wrong kind.
    """
    _check_kind(spec.assigner, WindowAssigner, "window assigner")
    if spec.trigger is not None:
        _check_kind(spec.trigger, Trigger, "trigger")
    if spec.evictor is not None:
        _check_kind(spec.evictor, Evictor, "evictor")
    if spec.late_data_tag is not None:
        _check_kind(spec.late_data_tag, OutputTag, "tag of late data")
    if spec.allowed_lateness_ms < 0:
        raise InvalidProgramError(
            f"The allowed lateness is {spec.allowed_lateness_ms} ms.",
            hint="It must not be below 0.",
        )
    _check_trigger(spec)
    _check_functions(spec)
    serializer = spec.assigner.get_window_serializer()
    if not isinstance(serializer, _SERIALIZERS):
        raise InvalidProgramError(
            f"{spec.assigner!r} stores its windows with a {type(serializer).__name__}.",
            hint="A custom assigner must assign TimeWindow, CountWindow or GlobalWindow and return "
            "the serializer of that kind.",
        )


def _check_trigger(spec: WindowSpec) -> None:
    trigger = spec.trigger
    if trigger is None:
        trigger = spec.assigner.get_default_trigger(None)
    if isinstance(spec.assigner, MergingWindowAssigner) and not trigger.can_merge():
        raise InvalidProgramError(
            f"{spec.assigner!r} merges windows, which the trigger {type(trigger).__name__} cannot.",
            hint="Use a trigger whose can_merge() is true and that has on_merge().",
        )


def _check_functions(spec: WindowSpec) -> None:
    if spec.reduce is not None and spec.aggregate is not None:
        raise InvalidProgramError("A window has either a reduce or an aggregate function.")
    reduce: Any = spec.reduce
    if reduce is not None and not (isinstance(reduce, ReduceFunction) or callable(reduce)):
        _refuse(reduce, "reduce function", "a ReduceFunction or a callable")
    if spec.aggregate is not None:
        _check_kind(spec.aggregate, AggregateFunction, "aggregate function")
    function = spec.window_function
    if function is None:
        if spec.reduce is None and spec.aggregate is None:
            raise InvalidProgramError("A window needs a function to compute something.")
        return
    kinds = _ALL_FUNCTIONS if spec.all_windows else _KEYED_FUNCTIONS
    if not isinstance(function, kinds):
        _refuse(function, "window function", " or ".join(f"a {kind.__name__}" for kind in kinds))


def _check_kind(value: Any, kind: type, what: str) -> None:
    if not isinstance(value, kind):
        _refuse(value, what, f"a {kind.__name__}")


def _refuse(value: Any, what: str, wanted: str) -> None:
    raise InvalidProgramError(f"The {what} must be {wanted}, not {value!r}.")
