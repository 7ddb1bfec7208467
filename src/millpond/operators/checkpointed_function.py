"""The life of a `CheckpointedFunction` in its operator (Flink's StreamOperatorStateHandler)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.functions import (
    CheckpointedFunction,
    FunctionInitializationContext,
    FunctionSnapshotContext,
    KeyedStateStore,
)
from millpond.datastream.state import OperatorStateStore
from millpond.errors import StateError
from millpond.operators.generic_types import refuse_pickled_state
from millpond.operators.operator import OperatorContext, user_code_error

if TYPE_CHECKING:
    from millpond.datastream.state import (
        BroadcastState,
        ListState,
        ListStateDescriptor,
        MapStateDescriptor,
    )
    from millpond.operators.runtime_context import SubtaskRuntimeContext

__all__ = ("initialize_function", "snapshot_function")


@final
@dataclass(frozen=True, slots=True)
class _InitializationContext(FunctionInitializationContext):
    context: OperatorContext
    keyed_state_store: KeyedStateStore

    def is_restored(self) -> bool:
        return self.context.restored_checkpoint_id is not None

    def get_restored_checkpoint_id(self) -> int | None:
        return self.context.restored_checkpoint_id

    def get_operator_state_store(self) -> OperatorStateStore:
        store = self.context.operator_state
        return store if self.context.generic_types else _TypedStateStore(store, self.context.name)

    def get_keyed_state_store(self) -> KeyedStateStore:
        if self.context.keyed_backend is None:
            raise StateError("Keyed state is only there behind key_by.", operator=self.context.name)
        return self.keyed_state_store


@final
@dataclass(frozen=True, slots=True)
class _TypedStateStore(OperatorStateStore):
    """Refuses state that would be pickled."""

    store: OperatorStateStore
    operator: str

    def get_list_state(self, state_descriptor: ListStateDescriptor) -> ListState[Any]:
        refuse_pickled_state(state_descriptor, self.operator)
        return self.store.get_list_state(state_descriptor)

    def get_union_list_state(self, state_descriptor: ListStateDescriptor) -> ListState[Any]:
        refuse_pickled_state(state_descriptor, self.operator)
        return self.store.get_union_list_state(state_descriptor)

    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> BroadcastState[Any, Any]:
        refuse_pickled_state(state_descriptor, self.operator)
        return self.store.get_broadcast_state(state_descriptor)


@final
@dataclass(frozen=True, slots=True)
class _SnapshotContext(FunctionSnapshotContext):
    checkpoint_id: int
    timestamp_ms: int

    def get_checkpoint_id(self) -> int:
        return self.checkpoint_id

    def get_checkpoint_timestamp(self) -> int:
        return self.timestamp_ms


def initialize_function(
    function: CheckpointedFunction,
    context: OperatorContext,
    runtime_context: SubtaskRuntimeContext,
) -> None:
    """Call `initialize_state` before `open`, on a fresh start as well as after a restore."""
    try:
        function.initialize_state(_InitializationContext(context, runtime_context))
    except Exception as error:
        user_code_error(error, context, f"{type(function).__name__}.initialize_state")


def snapshot_function(
    function: CheckpointedFunction,
    context: OperatorContext,
    checkpoint_id: int,
    timestamp_ms: int,
) -> None:
    """Call `snapshot_state`; what it puts into state is part of the snapshot."""
    try:
        function.snapshot_state(_SnapshotContext(checkpoint_id, timestamp_ms))
    except Exception as error:
        user_code_error(error, context, f"{type(function).__name__}.snapshot_state")
