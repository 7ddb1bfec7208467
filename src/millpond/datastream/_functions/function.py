"""`Function`, the root of all user functions, and what it is given when it opens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

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
        ValueState,
        ValueStateDescriptor,
    )
    from millpond.metrics.registry import MetricGroup

__all__ = ("Function", "JavaFunctionWrapper", "KeyedStateStore", "RuntimeContext")


class KeyedStateStore(ABC):
    """Gives keyed state to a user's function; every method returns the same object for a name."""

    @abstractmethod
    def get_state(self, state_descriptor: ValueStateDescriptor) -> ValueState[Any]:
        """Return the value state of this descriptor.

        Raises:
            StateTypeError: the name is registered with another kind or type.
        """

    @abstractmethod
    def get_list_state(self, state_descriptor: ListStateDescriptor) -> ListState[Any]:
        """Return the list state of this descriptor; raises as `get_state`."""

    @abstractmethod
    def get_map_state(self, state_descriptor: MapStateDescriptor) -> MapState[Any, Any]:
        """Return the map state of this descriptor; raises as `get_state`."""

    @abstractmethod
    def get_reducing_state(self, state_descriptor: ReducingStateDescriptor) -> ReducingState[Any]:
        """Return the reducing state of this descriptor; raises as `get_state`."""

    @abstractmethod
    def get_aggregating_state(
        self, state_descriptor: AggregatingStateDescriptor
    ) -> AggregatingState[Any, Any]:
        """Return the aggregating state of this descriptor; raises as `get_state`."""


class RuntimeContext(KeyedStateStore):
    """Says where a function runs and gives it keyed state and metrics."""

    @abstractmethod
    def get_task_name(self) -> str:
        """Return the name of the task."""

    @abstractmethod
    def get_number_of_parallel_subtasks(self) -> int:
        """Return the operator's parallelism."""

    @abstractmethod
    def get_max_number_of_parallel_subtasks(self) -> int:
        """Return the operator's max parallelism: its number of key groups."""

    @abstractmethod
    def get_index_of_this_subtask(self) -> int:
        """Return the subtask's index, from 0."""

    @abstractmethod
    def get_attempt_number(self) -> int:
        """Return how often the subtask was restarted, from 0."""

    @abstractmethod
    def get_task_name_with_subtasks(self) -> str:
        """Return the task's name with subtask and attempt: ``map (2/4)#0``."""

    @abstractmethod
    def get_job_parameter(self, key: str, default_value: str) -> str:
        """Return a global job parameter, or the default."""

    @abstractmethod
    def get_metrics_group(self) -> MetricGroup:
        """Return the group that the function's metrics are registered in."""


class Function(ABC):  # noqa: B024 - its two methods may both be left out
    """Root of all user functions."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Prepare; called once in each subtask before the first record."""

    def close(self) -> None:
        """Release what `open` took; called once, after failures too."""


class JavaFunctionWrapper:
    """Marks what PyFlink delegates to Java; here the root of source and sink functions."""
