"""The contract of keyed-state stores: `StateStore` makes one `KeyedStateBackend` a subtask.

A third party's backend implements both; `millpond.testing` ships the suite that it must pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from millpond.errors import NoCurrentKeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from millpond.clock import Clock
    from millpond.datastream.state import State
    from millpond.formats.handles import KeyedHandle
    from millpond.metrics.registry import MetricGroup
    from millpond.serialization.key_serializer import KeySerializer
    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.key_group import KeyGroupRange
    from millpond.state.contract.namespace import NamespaceSerializer
    from millpond.state.contract.snapshot import (
        Snapshot,
        SnapshotOptions,
        SnapshotReader,
        SnapshotStreams,
    )
    from millpond.state.contract.timer_queue import TimerQueue

__all__ = ("NO_KEY", "KeyedBackendParameters", "KeyedStateBackend", "StateStore")


class _NoKey:
    """The current key while no record and no timer is being processed.

    Hashing it raises, so that a dictionary keyed by the current key refuses it at no cost.
    """

    __slots__ = ()

    def __hash__(self) -> int:
        raise NoCurrentKeyError(
            "Keyed state was accessed while no record and no timer was being processed.",
            hint="Use keyed state in process functions and timers only, not in open() or close().",
        )

    def __repr__(self) -> str:
        return "<no current key>"


NO_KEY = _NoKey()


@dataclass(frozen=True, slots=True)
class KeyedBackendParameters:
    """Everything a store needs to make the backend of one subtask.

    `restored` lists the handles whose key groups intersect `key_group_range` (several after a
    change of parallelism, or with raw timers of Flink, which `open_keyed_state` reads as all other
    layouts); groups outside the range are skipped. Incremental snapshots may refer
    to the restored files only with `reuse_restored_files`: else they belong to the user.
    `local_directories` are existing absolute directories; the backend makes its own sub-directory
    in one of them. `metric_group` is where the store's own metrics go, if anybody reads them.
    """

    job_id: str
    operator_id: bytes
    operator_name: str
    subtask_index: int
    key_serializer: KeySerializer
    key_group_range: KeyGroupRange
    max_parallelism: int
    clock: Clock
    reader: SnapshotReader
    restored: Sequence[KeyedHandle] = ()
    reuse_restored_files: bool = True
    local_directories: Sequence[Path] = ()
    configuration: Mapping[str, str] = field(default_factory=dict)
    metric_group: MetricGroup | None = None


class KeyedStateBackend(ABC):
    """All keyed state and timers of one subtask of one operator.

    Only the task thread calls it. The operator sets `current_key` before each call of user code
    (a plain attribute: per record it must cost no call) and NO_KEY afterwards; state objects read
    it. A state object also has `current_namespace`, which window operators set.

    Attributes:
        held_entries: how many entries an operator may keep outside the state between snapshots;
            they are put there while a barrier waits, and take memory that no store counts.
    """

    current_key: Any
    held_entries: int = 1 << 16

    def __init__(self, parameters: KeyedBackendParameters) -> None:
        self.parameters = parameters
        self.current_key = NO_KEY

    @abstractmethod
    def get_state(self, definition: StateDefinition) -> State:
        """Return the state object; the same object for the same name.

        On first registration after a restore the declared type is checked against the snapshot's.

        Raises:
            StateTypeError: the name is registered with another kind or type; names both.
            SerializerIncompatibleError: restored bytes cannot be read with the declared type.
        """

    @abstractmethod
    def timer_queue(self, service: str, domain: str, namespace: NamespaceSerializer) -> TimerQueue:
        """Return the queue of a timer service; `domain` is ``event`` or ``processing``."""

    @abstractmethod
    def keys(self, state_name: str, namespace: Any) -> Iterator[Any]:
        """Iterate over the keys that have this state in a namespace, each once, in no order.

        State may be changed meanwhile: the keys are those of the moment of the call.
        """

    @abstractmethod
    def keys_and_namespaces(self, state_name: str) -> Iterator[tuple[Any, Any]]:
        """Iterate over (key, namespace) of a state, each once; as `keys`."""

    def apply_to_all_keys(
        self, namespace: Any, definition: StateDefinition, function: Callable[[Any, State], None]
    ) -> None:
        """Call `function(key, state)` for every key; it may change the state of any key."""
        state: Any = self.get_state(definition)
        before = self.current_key
        try:
            for key in list(self.keys(definition.name, namespace)):
                self.current_key = key
                state.current_namespace = namespace
                function(key, state)
        finally:
            self.current_key = before

    @abstractmethod
    def snapshot(
        self, checkpoint_id: int, streams: SnapshotStreams, options: SnapshotOptions
    ) -> Snapshot[KeyedHandle | None]:
        """Capture everything; the pause of a checkpoint is the duration of this call.

        The handle is None when there is no state at all.
        """

    def prepare_snapshot(self, checkpoint_id: int, options: SnapshotOptions) -> Iterator[bool]:
        """Work ahead of a snapshot that is due soon, so that `snapshot` takes less time.

        Yield after each piece of a few ms: records are processed, timers fire and batches end in
        between. True asks for more time first, since too much was changed. The iterator may be left
        unfinished, be asked for several times before the snapshot, or be followed by none.
        """
        return iter(())

    def end_batch(self) -> None:
        """Do bounded work between batches: merge back, evict, expire."""

    def notify_checkpoint_complete(self, checkpoint_id: int) -> None:
        """A checkpoint is complete: it may serve as the base of incremental ones."""

    def notify_checkpoint_aborted(self, checkpoint_id: int) -> None:
        """A checkpoint was given up."""

    @abstractmethod
    def entry_count(self, state_name: str) -> int:
        """Return how many entries a state has; may scan."""

    @abstractmethod
    def close(self) -> None:
        """Release files, memory and directories; may be called twice."""


class StateStore(ABC):
    """Makes keyed-state backends: what ``state.backend.type: some.module.Class`` names.

    One instance serves all subtasks of a slot in one worker process. A class that has a class
    method `from_configuration` is made by it, from the job's settings as text by key; others are
    called without arguments.

    Attributes:
        uses_managed_memory: the slot reserves managed memory for it.
    """

    uses_managed_memory: bool = False

    @abstractmethod
    def create_keyed_backend(self, parameters: KeyedBackendParameters) -> KeyedStateBackend:
        """Make the backend of one subtask and restore `parameters.restored` into it.

        Raises:
            RestoreError: the handles cannot be read.
            StateStoreError: the store cannot be opened.
        """

    def close(self) -> None:
        """Release what the backends shared."""
