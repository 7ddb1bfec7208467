"""`BackendHarness`: makes keyed-state backends of a store and takes and restores snapshots."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

from millpond.clock import ManualClock
from millpond.common.typeinfo import TypeInformation, Types
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.key_group import KeyGroupRange, key_group_range
from millpond.state.contract.keyed_backend import (
    NO_KEY,
    KeyedBackendParameters,
    KeyedStateBackend,
    StateStore,
)
from millpond.state.contract.namespace import VOID, NamespaceSerializer
from millpond.state.contract.snapshot import Snapshot, SnapshotOptions
from millpond.testing.memory_snapshots import MemorySnapshots

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from millpond.datastream.state import StateDescriptor
    from millpond.formats.handles import KeyedHandle
    from millpond.metrics.registry import MetricGroup

__all__ = ("BackendHarness", "at_key", "state_of")


@contextmanager
def at_key(backend: KeyedStateBackend, key: Any) -> Iterator[None]:
    """Process something for a key: set it, and no key afterwards."""
    backend.current_key = key
    try:
        yield
    finally:
        backend.current_key = NO_KEY


@final
class BackendHarness:
    """What a task does around a backend, for tests.

    Attributes:
        clock: the time that TTL sees; starts at 1,000,000 ms.
        snapshots: where snapshots are written.
        options: of the snapshots taken.
    """

    def __init__(
        self,
        store: StateStore,
        directory: Path,
        *,
        key_type: TypeInformation | None = None,
        max_parallelism: int = 128,
        options: SnapshotOptions | None = None,
        metric_group: MetricGroup | None = None,
    ) -> None:
        """Use a store; `directory` is an existing one for its files. Keys are LONG by default."""
        self.clock = ManualClock(1_000_000)
        self.snapshots = MemorySnapshots()
        self.options = options or SnapshotOptions()
        self._store = store
        self._metric_group = metric_group
        self._directory = directory
        self._key_type = key_type or Types.LONG()
        self._max_parallelism = max_parallelism
        self._backends: list[KeyedStateBackend] = []
        self._checkpoint_id = 0

    def create(
        self,
        restored: Iterable[KeyedHandle | None] = (),
        key_groups: KeyGroupRange | None = None,
        *,
        key_type: TypeInformation | None = None,
    ) -> KeyedStateBackend:
        """Make a backend for some key groups, all by default, and restore handles into it."""
        groups = key_groups or KeyGroupRange(0, self._max_parallelism - 1)
        handles = [handle for handle in restored if handle is not None]
        backend = self._store.create_keyed_backend(
            KeyedBackendParameters(
                job_id="00" * 16,
                operator_id=b"\x01" * 16,
                operator_name="conformance",
                subtask_index=0,
                key_serializer=key_serializer_for(key_type or self._key_type),
                key_group_range=groups,
                max_parallelism=self._max_parallelism,
                clock=self.clock,
                reader=self.snapshots.reader(),
                restored=[
                    handle
                    for handle in handles
                    if groups.intersect(
                        KeyGroupRange(handle.first_key_group, handle.last_key_group)
                    ).count
                ],
                local_directories=(self._directory,),
                metric_group=self._metric_group,
            )
        )
        self._backends.append(backend)
        return backend

    def subtasks(
        self, parallelism: int, restored: Sequence[KeyedHandle | None] = ()
    ) -> list[KeyedStateBackend]:
        """Make the backends of all subtasks of an operator."""
        return [
            self.create(restored, key_group_range(self._max_parallelism, parallelism, index))
            for index in range(parallelism)
        ]

    def owner(self, key: Any, parallelism: int) -> int:
        """Return the subtask that owns a key."""
        group = key_serializer_for(self._key_type).key_group(key, self._max_parallelism)
        return group * parallelism // self._max_parallelism

    def start_snapshot(self, backend: KeyedStateBackend) -> Snapshot[KeyedHandle | None]:
        """Capture a backend; the caller writes and releases the snapshot."""
        self._checkpoint_id += 1
        return backend.snapshot(self._checkpoint_id, self.snapshots, self.options)

    def snapshot(self, backend: KeyedStateBackend) -> KeyedHandle | None:
        """Take a whole snapshot."""
        snapshot = self.start_snapshot(backend)
        try:
            return snapshot.write()
        finally:
            snapshot.release()

    def restored(self, backend: KeyedStateBackend) -> KeyedStateBackend:
        """Take a snapshot, close the backend and return a new one restored from it."""
        handle = self.snapshot(backend)
        backend.close()
        return self.create([handle])

    def dismiss(self, backend: KeyedStateBackend) -> None:
        """Close one backend."""
        backend.close()
        self._backends.remove(backend)

    def close(self) -> None:
        """Close all backends and the store."""
        for backend in self._backends:
            backend.close()
        self._store.close()


def state_of(
    backend: KeyedStateBackend,
    descriptor: StateDescriptor,
    namespace: NamespaceSerializer = VOID,
) -> Any:
    """Register a descriptor with a backend and return the state object."""
    return backend.get_state(StateDefinition.of(descriptor, namespace))
