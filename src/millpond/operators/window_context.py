"""What a window operator gives to triggers, assigners, evictors and window functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast, final

from millpond.datastream.functions import (
    KeyedStateStore,
    ProcessAllWindowFunction,
    ProcessWindowFunction,
    RuntimeContext,
)
from millpond.datastream.window import Evictor, Trigger, WindowAssigner
from millpond.errors import StateTypeError, UnsupportedOperationError
from millpond.operators.generic_types import refuse_pickled_state
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.states import MergeableState

if TYPE_CHECKING:
    from millpond.datastream.state import (
        AggregatingState,
        AggregatingStateDescriptor,
        ListState,
        ListStateDescriptor,
        MapState,
        MapStateDescriptor,
        ReducingState,
        ReducingStateDescriptor,
        State,
        StateDescriptor,
        ValueState,
        ValueStateDescriptor,
    )
    from millpond.metrics.registry import MetricGroup
    from millpond.operators.operator import OperatorContext
    from millpond.operators.timer_service import InternalTimerService
    from millpond.state.contract.namespace import NamespaceSerializer

__all__ = (
    "WindowAssignerContext",
    "WindowEvictorContext",
    "WindowFunctionContext",
    "WindowStates",
    "WindowTriggerContext",
)


@final
class WindowStates:
    """State objects whose namespace is a window, by their descriptors."""

    __slots__ = ("_backend", "_context", "_namespace", "_states")

    def __init__(self, context: OperatorContext, namespace: NamespaceSerializer) -> None:
        assert context.keyed_backend is not None
        self._backend = context.keyed_backend
        self._context = context
        self._namespace = namespace
        self._states: dict[str, tuple[StateDescriptor, Any]] = {}

    def of(self, descriptor: StateDescriptor, window: Any) -> Any:
        """Return the state of the current key and a window."""
        known = self._states.get(descriptor.name)
        if known is not None and known[0] is descriptor:
            state = known[1]
        else:
            if not self._context.generic_types:
                refuse_pickled_state(descriptor, self._context.name)
            definition = StateDefinition.of(descriptor, self._namespace)
            state = self._backend.get_state(definition)
            self._states[descriptor.name] = (descriptor, state)
        state.current_namespace = window
        return state


@final
class WindowTriggerContext(Trigger.OnMergeContext):
    """Context of a trigger for one window after the other.

    Attributes:
        window: the window that the trigger is asked about; timers and state are its.
        merged_windows: the windows that were merged into it, during `on_merge`.
    """

    __slots__ = ("_runtime_context", "_states", "_timers", "merged_windows", "window")

    def __init__(
        self, timers: InternalTimerService, states: WindowStates, runtime_context: RuntimeContext
    ) -> None:
        self._timers = timers
        self._states = states
        self._runtime_context = runtime_context
        self.window: Any = None
        self.merged_windows: Any = ()

    def get_current_processing_time(self) -> int:
        """Return the processing time in ms."""
        return self._timers.current_processing_time()

    def get_metric_group(self) -> MetricGroup:
        """Return the operator's metric group."""
        return self._runtime_context.get_metrics_group()

    def get_current_watermark(self) -> int:
        """Return the watermark in ms."""
        return self._timers.current_watermark

    def register_processing_time_timer(self, time: int) -> None:
        """Register a timer for the window."""
        self._timers.register_processing_time_timer(self.window, time)

    def register_event_time_timer(self, time: int) -> None:
        """Register a timer for the window."""
        self._timers.register_event_time_timer(self.window, time)

    def delete_processing_time_timer(self, time: int) -> None:
        """Delete a timer of the window."""
        self._timers.delete_processing_time_timer(self.window, time)

    def delete_event_time_timer(self, time: int) -> None:
        """Delete a timer of the window."""
        self._timers.delete_event_time_timer(self.window, time)

    def get_partitioned_state(self, state_descriptor: StateDescriptor) -> State:
        """Return the trigger's state of the window."""
        return cast("State", self._states.of(state_descriptor, self.window))

    def merge_partitioned_state(self, state_descriptor: StateDescriptor) -> None:
        """Merge the state of the merged windows into the window's."""
        state = self._states.of(state_descriptor, self.window)
        if not isinstance(state, MergeableState):
            raise StateTypeError(
                f"A {type(state_descriptor).__name__} is of no state that can be merged.",
                hint="Use list, reducing or aggregating state in a trigger of merging windows.",
                state=state_descriptor.name,
            )
        if self.merged_windows:
            state.merge_namespaces(self.window, self.merged_windows)


@final
class WindowAssignerContext(WindowAssigner.WindowAssignerContext):
    """Context of an assigner."""

    __slots__ = ("_runtime_context", "_timers")

    def __init__(self, timers: InternalTimerService, runtime_context: RuntimeContext) -> None:
        self._timers = timers
        self._runtime_context = runtime_context

    def get_current_processing_time(self) -> int:
        """Return the processing time in ms."""
        return self._timers.current_processing_time()

    def get_runtime_context(self) -> RuntimeContext:
        """Return the operator's runtime context."""
        return self._runtime_context


@final
class WindowEvictorContext(Evictor.EvictorContext):
    """Context of an evictor."""

    __slots__ = ("_runtime_context", "_timers")

    def __init__(self, timers: InternalTimerService, runtime_context: RuntimeContext) -> None:
        self._timers = timers
        self._runtime_context = runtime_context

    def get_current_processing_time(self) -> int:
        """Return the processing time in ms."""
        return self._timers.current_processing_time()

    def get_current_watermark(self) -> int:
        """Return the watermark in ms."""
        return self._timers.current_watermark

    def get_metric_group(self) -> MetricGroup:
        """Return the operator's metric group."""
        return self._runtime_context.get_metrics_group()


@final
class WindowFunctionContext(
    ProcessWindowFunction.Context[Any], ProcessAllWindowFunction.Context[Any]
):
    """Context of a process window function for one window after the other."""

    def __init__(
        self,
        timers: InternalTimerService,
        runtime_context: RuntimeContext,
        window_state: KeyedStateStore,
    ) -> None:
        self._timers = timers
        self._runtime_context = runtime_context
        self._window_state = window_state
        self.current_window: Any = None

    @classmethod
    def of(
        cls,
        timers: InternalTimerService,
        runtime_context: RuntimeContext,
        states: WindowStates,
        *,
        merging: bool,
    ) -> WindowFunctionContext:
        """Make a context; the state of windows that merge is refused."""
        store = _MergingStateStore() if merging else _PerWindowStateStore(states)
        context = cls(timers, runtime_context, store)
        if isinstance(store, _PerWindowStateStore):
            store.context = context
        return context

    def window(self) -> Any:
        """Return the window."""
        return self.current_window

    def current_processing_time(self) -> int:
        """Return the processing time in ms."""
        return self._timers.current_processing_time()

    def current_watermark(self) -> int:
        """Return the watermark in ms."""
        return self._timers.current_watermark

    def window_state(self) -> KeyedStateStore:
        """Return the state of this key and window."""
        return self._window_state

    def global_state(self) -> KeyedStateStore:
        """Return the state of this key that all windows share."""
        return self._runtime_context


@final
class _PerWindowStateStore(KeyedStateStore):
    context: WindowFunctionContext

    def __init__(self, states: WindowStates) -> None:
        self._states = states

    def get_state(self, state_descriptor: ValueStateDescriptor) -> ValueState[Any]:
        state: ValueState[Any] = self._of(state_descriptor)
        return state

    def get_list_state(self, state_descriptor: ListStateDescriptor) -> ListState[Any]:
        state: ListState[Any] = self._of(state_descriptor)
        return state

    def get_map_state(self, state_descriptor: MapStateDescriptor) -> MapState[Any, Any]:
        state: MapState[Any, Any] = self._of(state_descriptor)
        return state

    def get_reducing_state(self, state_descriptor: ReducingStateDescriptor) -> ReducingState[Any]:
        state: ReducingState[Any] = self._of(state_descriptor)
        return state

    def get_aggregating_state(
        self, state_descriptor: AggregatingStateDescriptor
    ) -> AggregatingState[Any, Any]:
        state: AggregatingState[Any, Any] = self._of(state_descriptor)
        return state

    def _of(self, descriptor: StateDescriptor) -> Any:
        return self._states.of(descriptor, self.context.current_window)


@final
class _MergingStateStore(KeyedStateStore):
    """Refuses: when windows merge nobody could say what becomes of their state."""

    def get_state(self, state_descriptor: ValueStateDescriptor) -> ValueState[Any]:
        self._refuse(state_descriptor)

    def get_list_state(self, state_descriptor: ListStateDescriptor) -> ListState[Any]:
        self._refuse(state_descriptor)

    def get_map_state(self, state_descriptor: MapStateDescriptor) -> MapState[Any, Any]:
        self._refuse(state_descriptor)

    def get_reducing_state(self, state_descriptor: ReducingStateDescriptor) -> ReducingState[Any]:
        self._refuse(state_descriptor)

    def get_aggregating_state(
        self, state_descriptor: AggregatingStateDescriptor
    ) -> AggregatingState[Any, Any]:
        self._refuse(state_descriptor)

    def _refuse(self, descriptor: StateDescriptor) -> NoReturn:
        raise UnsupportedOperationError(
            "Windows that merge, such as sessions, have no state of their own.",
            hint="Use context.global_state().",
            state=descriptor.name,
        )
