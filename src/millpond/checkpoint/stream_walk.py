"""Every stream that a snapshot's metadata refer to, in order."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from millpond.formats.handles import (
    CheckpointMetadata,
    IncrementalHandle,
    KeyedHandle,
    OperatorState,
    OperatorStateHandle,
    StreamHandle,
    SubtaskState,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ("replace_streams", "streams_of", "streams_of_subtask")


def streams_of(metadata: CheckpointMetadata) -> Iterator[StreamHandle]:
    """Yield every stream of every subtask; one that is referred to twice comes twice."""
    for operator in metadata.operators:
        for subtask in operator.subtasks.values():
            yield from streams_of_subtask(subtask)


def streams_of_subtask(state: SubtaskState) -> Iterator[StreamHandle]:
    """Yield every stream of one subtask."""
    for operator_handle in (state.operator_managed, state.operator_raw):
        if operator_handle is not None:
            yield operator_handle.stream
    for handle in state.keyed:
        if isinstance(handle, IncrementalHandle):
            yield handle.meta
            yield from (stream for _, stream in handle.shared)
            yield from (stream for _, stream in handle.private)
        else:
            yield handle.stream


def replace_streams(
    metadata: CheckpointMetadata, replace: Callable[[StreamHandle], StreamHandle]
) -> CheckpointMetadata:
    """Return the metadata with every stream replaced by what the function gives for it."""

    def keyed(handle: KeyedHandle) -> KeyedHandle:
        if not isinstance(handle, IncrementalHandle):
            return dataclasses.replace(handle, stream=replace(handle.stream))
        return dataclasses.replace(
            handle,
            meta=replace(handle.meta),
            shared=tuple((name, replace(stream)) for name, stream in handle.shared),
            private=tuple((name, replace(stream)) for name, stream in handle.private),
        )

    def operator_state(handle: OperatorStateHandle | None) -> OperatorStateHandle | None:
        return handle and dataclasses.replace(handle, stream=replace(handle.stream))

    def subtask(state: SubtaskState) -> SubtaskState:
        return SubtaskState(
            operator_managed=operator_state(state.operator_managed),
            operator_raw=operator_state(state.operator_raw),
            keyed_managed=tuple(keyed(handle) for handle in state.keyed_managed),
            keyed_raw=tuple(
                dataclasses.replace(handle, stream=replace(handle.stream))
                for handle in state.keyed_raw
            ),
        )

    def operator(state: OperatorState) -> OperatorState:
        subtasks = {index: subtask(one) for index, one in state.subtasks.items()}
        return dataclasses.replace(state, subtasks=subtasks)

    operators = tuple(operator(state) for state in metadata.operators)
    return dataclasses.replace(metadata, operators=operators)
