"""`WindowContents`: what a window operator keeps of each window, and how it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast, final

from millpond.common.typeinfo import Types
from millpond.datastream.functions import AggregateFunction, ReduceFunction
from millpond.datastream.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
)
from millpond.datastream.window import (
    CountWindow,
    CountWindowSerializer,
    GlobalWindow,
    GlobalWindowSerializer,
    TimestampedValue,
    TimeWindow,
    TimeWindowSerializer,
    WindowAssigner,
)
from millpond.errors import InvalidProgramError
from millpond.operators.batch import MIN_WATERMARK
from millpond.operators.user_function import bound_method
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.namespace import (
    COUNT_WINDOW,
    GLOBAL_WINDOW,
    TIME_WINDOW,
    NamespaceSerializer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from millpond.datastream.operator_spec import WindowSpec
    from millpond.state.contract.keyed_backend import KeyedStateBackend

__all__ = (
    "WINDOW_CONTENTS",
    "EvictableContents",
    "WindowContents",
    "namespace_of",
    "window_class_of",
)

WINDOW_CONTENTS = "window-contents"
"""The name of the state in PyFlink."""

_NAMESPACES = {
    TimeWindowSerializer: TIME_WINDOW,
    CountWindowSerializer: COUNT_WINDOW,
    GlobalWindowSerializer: GLOBAL_WINDOW,
}
_WINDOWS: dict[type, type] = {
    TimeWindowSerializer: TimeWindow,
    CountWindowSerializer: CountWindow,
    GlobalWindowSerializer: GlobalWindow,
}


def namespace_of(assigner: WindowAssigner[Any, Any]) -> NamespaceSerializer:
    """Return the namespace that the windows of an assigner are.

    Raises:
        InvalidProgramError: the windows are of the user's own kind.
    """
    serializer = type(assigner.get_window_serializer())
    namespace = _NAMESPACES.get(serializer)
    if namespace is None:
        raise InvalidProgramError(
            f"{assigner!r} stores its windows with a {serializer.__name__}.",
            hint="A custom assigner must assign TimeWindow, CountWindow or GlobalWindow.",
        )
    return namespace


def window_class_of(assigner: WindowAssigner[Any, Any]) -> type:
    """Return the class of the windows that an assigner's serializer is for."""
    return _WINDOWS[type(assigner.get_window_serializer())]


class _ContentsState(Protocol):
    """List, reducing or aggregating state of windows."""

    current_namespace: Any

    def add(self, value: Any) -> None: ...
    def get(self) -> Any: ...
    def clear(self) -> None: ...
    def merge_namespaces(self, target: Any, sources: Iterable[Any]) -> None: ...


@final
class WindowContents:
    """The records of each window, or what they were combined to.

    Attributes:
        definition: of the state.
        state: list, reducing or aggregating state whose namespace is the window.
        combined: one value is kept instead of the records.
    """

    __slots__ = ("combined", "definition", "state")

    def __init__(
        self, spec: WindowSpec, backend: KeyedStateBackend, namespace: NamespaceSerializer
    ) -> None:
        self.combined = spec.reduce is not None or spec.aggregate is not None
        descriptor: StateDescriptor
        if spec.reduce is not None:
            descriptor = ReducingStateDescriptor(WINDOW_CONTENTS, spec.reduce, spec.element_type)
        elif spec.aggregate is not None:
            descriptor = AggregatingStateDescriptor(
                WINDOW_CONTENTS, spec.aggregate, spec.accumulator_type
            )
        else:
            descriptor = ListStateDescriptor(WINDOW_CONTENTS, spec.element_type)
        self.definition = StateDefinition.of(descriptor, namespace)
        self.state = cast("_ContentsState", backend.get_state(self.definition))

    def add(self, window: Any, value: Any, timestamp: int | None) -> None:
        """Add a record to a window."""
        state = self.state
        state.current_namespace = window
        state.add(value)

    def get(self, window: Any) -> Sequence[Any] | None:
        """Return the records, or the one combined value; None if there are none."""
        state = self.state
        state.current_namespace = window
        if self.combined:
            value = state.get()
            return None if value is None else (value,)
        return list(state.get()) or None

    def clear(self, window: Any) -> None:
        """Delete what is kept of a window."""
        self.state.current_namespace = window
        self.state.clear()

    def merge(self, target: Any, sources: Sequence[Any]) -> None:
        """Move what is kept of `sources` into `target`."""
        if sources:
            self.state.merge_namespaces(target, sources)


@final
class EvictableContents:
    """The records of each window with their timestamps, which evictors go by.

    A reduce or aggregate function is applied when the window fires: what an evictor removes must
    not be in the result.
    """

    __slots__ = ("_aggregate", "_reduce", "state")

    def __init__(
        self, spec: WindowSpec, backend: KeyedStateBackend, namespace: NamespaceSerializer
    ) -> None:
        element_type = spec.element_type or Types.PICKLED_BYTE_ARRAY()
        record_type = Types.TUPLE([element_type, Types.LONG()])
        descriptor = ListStateDescriptor(WINDOW_CONTENTS, record_type)
        self.state: Any = backend.get_state(StateDefinition.of(descriptor, namespace))
        self._reduce = (
            None if spec.reduce is None else bound_method(spec.reduce, ReduceFunction, "reduce")
        )
        self._aggregate: AggregateFunction | None = spec.aggregate

    def add(self, window: Any, value: Any, timestamp: int | None) -> None:
        """Add a record to a window."""
        self.state.current_namespace = window
        self.state.add((value, _stored(timestamp)))

    def get(self, window: Any) -> Sequence[TimestampedValue] | None:
        """Return the records; None if there are none."""
        self.state.current_namespace = window
        return [
            TimestampedValue(value, None if timestamp == MIN_WATERMARK else timestamp)
            for value, timestamp in self.state.get()
        ] or None

    def replace(self, window: Any, elements: Sequence[TimestampedValue]) -> None:
        """Keep only these records of a window."""
        self.state.current_namespace = window
        self.state.update([(e.value, _stored(e.timestamp)) for e in elements])

    def combine(self, elements: Sequence[TimestampedValue]) -> Sequence[Any]:
        """Return the values, or what the reduce or aggregate function makes of them."""
        values = [element.value for element in elements]
        if not values:
            return values
        if self._reduce is not None:
            result = values[0]
            for value in values[1:]:
                result = self._reduce(result, value)
            return (result,)
        if self._aggregate is not None:
            accumulator = self._aggregate.create_accumulator()
            for value in values:
                accumulator = self._aggregate.add(value, accumulator)
            return (self._aggregate.get_result(accumulator),)
        return values

    def clear(self, window: Any) -> None:
        """Delete the records of a window."""
        self.state.current_namespace = window
        self.state.clear()

    def merge(self, target: Any, sources: Sequence[Any]) -> None:
        """Move the records of `sources` to `target`."""
        if sources:
            self.state.merge_namespaces(target, sources)


def _stored(timestamp: int | None) -> int:
    return MIN_WATERMARK if timestamp is None else timestamp
