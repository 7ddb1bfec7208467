"""`SubtaskRuntimeContext`: what a user function may know and register in `open`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.datastream.functions import RuntimeContext
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
from millpond.errors import StateError, StateTypeError
from millpond.operators.generic_types import refuse_pickled_state
from millpond.state.contract.definition import StateDefinition

if TYPE_CHECKING:
    from millpond.metrics.registry import MetricGroup
    from millpond.operators.operator import OperatorContext

__all__ = ("SubtaskRuntimeContext",)


@final
class SubtaskRuntimeContext(RuntimeContext):
    """The runtime context of one subtask of one operator."""

    def __init__(self, context: OperatorContext) -> None:
        self._context = context

    def get_task_name(self) -> str:
        """Return the operator's name."""
        return self._context.name

    def get_number_of_parallel_subtasks(self) -> int:
        """Return the operator's parallelism."""
        return self._context.parallelism

    def get_max_number_of_parallel_subtasks(self) -> int:
        """Return the operator's max parallelism, the number of key groups."""
        return self._context.max_parallelism

    def get_index_of_this_subtask(self) -> int:
        """Return the subtask's index, from 0."""
        return self._context.subtask_index

    def get_attempt_number(self) -> int:
        """Return how often the job was restarted, from 0."""
        return self._context.attempt

    def get_task_name_with_subtasks(self) -> str:
        """Return the name as Flink writes it: ``name (1/4)#0``."""
        return self._context.task_name_with_subtask

    def get_job_parameter(self, key: str, default_value: str) -> str:
        """Return a global job parameter."""
        return self._context.job_parameters.get(key, default_value)

    def get_metrics_group(self) -> MetricGroup:
        """Return the operator's metric group."""
        return self._context.metric_group

    def get_state(self, state_descriptor: ValueStateDescriptor) -> ValueState[Any]:
        """Return the value state of the current key."""
        state: ValueState[Any] = self._state(state_descriptor, ValueStateDescriptor)
        return state

    def get_list_state(self, state_descriptor: ListStateDescriptor) -> ListState[Any]:
        """Return the list state of the current key."""
        state: ListState[Any] = self._state(state_descriptor, ListStateDescriptor)
        return state

    def get_map_state(self, state_descriptor: MapStateDescriptor) -> MapState[Any, Any]:
        """Return the map state of the current key."""
        state: MapState[Any, Any] = self._state(state_descriptor, MapStateDescriptor)
        return state

    def get_reducing_state(self, state_descriptor: ReducingStateDescriptor) -> ReducingState[Any]:
        """Return the reducing state of the current key."""
        state: ReducingState[Any] = self._state(state_descriptor, ReducingStateDescriptor)
        return state

    def get_aggregating_state(
        self, state_descriptor: AggregatingStateDescriptor
    ) -> AggregatingState[Any, Any]:
        """Return the aggregating state of the current key."""
        state: AggregatingState[Any, Any] = self._state(
            state_descriptor, AggregatingStateDescriptor
        )
        return state

    def _state(self, descriptor: StateDescriptor, kind: type) -> Any:
        if not isinstance(descriptor, kind):
            raise StateTypeError(
                f"This needs a {kind.__name__}, not a {type(descriptor).__name__}.",
                operator=self._context.name,
            )
        backend = self._context.keyed_backend
        if backend is None:
            raise StateError(
                "Keyed state is only there behind key_by.",
                hint="Call key_by before this operator.",
                operator=self._context.name,
                state=descriptor.get_name(),
            )
        if not self._context.generic_types:
            refuse_pickled_state(descriptor, self._context.name)
        state: State = backend.get_state(StateDefinition.of(descriptor))
        return state
