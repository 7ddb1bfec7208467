"""Functions that take part in checkpoints.

PyFlink never had these; they are Java Flink's `CheckpointedFunction` and `CheckpointListener` in
Python. Any user function may inherit them beside its own kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millpond.datastream._functions.function import KeyedStateStore
    from millpond.datastream.state import OperatorStateStore

__all__ = (
    "CheckpointListener",
    "CheckpointedFunction",
    "FunctionInitializationContext",
    "FunctionSnapshotContext",
)


class FunctionInitializationContext(ABC):
    """What `CheckpointedFunction.initialize_state` may ask."""

    @abstractmethod
    def is_restored(self) -> bool:
        """Return whether the job was restored from a checkpoint or savepoint."""

    @abstractmethod
    def get_restored_checkpoint_id(self) -> int | None:
        """Return the id of the checkpoint that was restored, or None."""

    @abstractmethod
    def get_operator_state_store(self) -> OperatorStateStore:
        """Return the store for the subtask's operator state."""

    @abstractmethod
    def get_keyed_state_store(self) -> KeyedStateStore:
        """Return the store for keyed state.

        Raises:
            UnsupportedOperationError: the stream is not keyed.
        """


class FunctionSnapshotContext(ABC):
    """What `CheckpointedFunction.snapshot_state` may ask."""

    @abstractmethod
    def get_checkpoint_id(self) -> int:
        """Return the checkpoint's id."""

    @abstractmethod
    def get_checkpoint_timestamp(self) -> int:
        """Return when the checkpoint was triggered, in ms."""


class CheckpointedFunction(ABC):
    """A function with operator state.

    `initialize_state` is called before `open`, `snapshot_state` synchronously before the state of
    a checkpoint is captured. An error in either fails the task.
    """

    @abstractmethod
    def initialize_state(self, context: FunctionInitializationContext) -> None:
        """Register state, and read it back after a restore."""

    @abstractmethod
    def snapshot_state(self, context: FunctionSnapshotContext) -> None:
        """Put into state what the checkpoint must contain."""


class CheckpointListener(ABC):
    """A function that hears how checkpoints end; best effort, ids may be skipped."""

    @abstractmethod
    def notify_checkpoint_complete(self, checkpoint_id: int) -> None:
        """A checkpoint is complete: side effects before it may be committed."""

    def notify_checkpoint_aborted(self, checkpoint_id: int) -> None:
        """A checkpoint was given up; a later one contains its records."""
