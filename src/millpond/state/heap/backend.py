"""`HeapKeyedStateBackend`: the keyed state and timers of one subtask as Python objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.errors import StateError
from millpond.formats.heap_increments import HeapStreamKind
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.pyflink_serializers import (
    PYTHON_STATE_PREFIX,
    timer_state_meta,
    timer_state_name,
)
from millpond.state.contract.keyed_backend import KeyedBackendParameters, KeyedStateBackend
from millpond.state.contract.namespace import VOID, NamespaceSerializer
from millpond.state.contract.restored_signature import check_registered
from millpond.state.contract.snapshot import SnapshotKind
from millpond.state.heap.capture import Capture
from millpond.state.heap.incremental_snapshot import (
    Chain,
    HeapIncrementalSnapshot,
    IncrementBook,
    Taken,
    restored_chain,
)
from millpond.state.heap.key_groups import KeyGroups
from millpond.state.heap.keyed_stream import KeyedStreamWriter
from millpond.state.heap.recording_timer_queue import RecordingTimerQueue
from millpond.state.heap.registered_state import RegisteredState
from millpond.state.heap.registered_timers import RegisteredTimers
from millpond.state.heap.restored_entries import load_entries, load_timers
from millpond.state.heap.restored_state import RestoredState, read_restored_states
from millpond.state.heap.snapshot import HeapSnapshot, WrittenSnapshot
from millpond.state.heap.timer_queue import HeapTimerQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.datastream.state import State
    from millpond.formats.handles import KeyedHandle
    from millpond.formats.serializer_snapshot import SerializerSnapshot
    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.snapshot import (
        Snapshot,
        SnapshotOptions,
        SnapshotStreams,
    )
    from millpond.state.contract.timer_queue import TimerQueue

__all__ = ("HeapKeyedStateBackend",)


@final
class HeapKeyedStateBackend(KeyedStateBackend):
    """Live objects in one dictionary a state; see `HeapTable` for how a snapshot freezes them.

    Restored states stay undecoded until they are registered; until then every snapshot carries
    their rows on. Only an `incremental` backend remembers what changed.
    """

    def __init__(
        self,
        parameters: KeyedBackendParameters,
        *,
        asynchronous: bool,
        compressed: bool,
        incremental: bool = False,
    ) -> None:
        """Make the backend and read what is to be restored; see `StateStore` for the errors."""
        super().__init__(parameters)
        self._asynchronous = asynchronous
        self._compressed = compressed
        self._states: dict[str, RegisteredState] = {}
        self._timers: dict[tuple[str, str], RegisteredTimers] = {}
        self._key_groups = KeyGroups(
            parameters.key_serializer,
            parameters.max_parallelism,
            parameters.key_group_range,
            parameters.operator_name,
        )
        self._restored: dict[str, RestoredState] = {}
        if parameters.restored:
            self._restored = read_restored_states(
                tuple(parameters.restored),
                parameters.reader,
                self._key_groups,
                self._key_serializer(),
            )
        self._book: IncrementBook | None = None
        if incremental:
            backend_id, chain = restored_chain(parameters)
            self._book = IncrementBook(backend_id, Taken({}, chain) if chain else None)

    def get_state(self, definition: StateDefinition) -> State:
        """Return the state object; see `KeyedStateBackend.get_state`."""
        registered = self._states.get(definition.name)
        if registered is not None:
            check_registered(registered.definition, definition, self.parameters.operator_name)
            return registered.state
        restored = self._restored.get(PYTHON_STATE_PREFIX + definition.name)
        registered = RegisteredState(definition, self)
        if restored is not None:
            load_entries(restored, definition, registered.table.active, self.parameters)
            del self._restored[restored.meta.name]
        if self._book is not None:
            registered.table.track()
            if restored is not None and restored.meta != registered.meta():
                self._book.restart()
        self._states[definition.name] = registered
        return registered.state

    def timer_queue(self, service: str, domain: str, namespace: NamespaceSerializer) -> TimerQueue:
        """Return the queue of a timer service; the same one for the same service and domain."""
        known = self._timers.get((service, domain))
        if known is not None:
            if known.namespace is not namespace:
                raise StateError(
                    f"The timer service has {known.namespace.kind} namespaces, not "
                    f"{namespace.kind} ones.",
                    operator=self.parameters.operator_name,
                    service=service,
                )
            return known.used
        encode_key, encode_namespace = self.parameters.key_serializer.encode, namespace.encode
        queue = HeapTimerQueue(lambda key, window: encode_key(key) + encode_namespace(window))
        meta = timer_state_meta(service, domain, self._key_serializer(), namespace.kind)
        restored = self._restored.get(timer_state_name(service, domain))
        if restored is not None:
            load_timers(restored, namespace, queue, self.parameters)
            del self._restored[restored.meta.name]
        recording = None
        if self._book is not None:
            recording = RecordingTimerQueue(queue)
            if restored is not None and restored.meta != meta:
                self._book.restart()
        timers = RegisteredTimers(queue, namespace, meta, recording)
        self._timers[service, domain] = timers
        return timers.used

    def keys(self, state_name: str, namespace: Any) -> Iterator[Any]:
        """Iterate over the keys that have this state in a namespace. O(n) at the call."""
        registered = self._registered(state_name)
        keys = registered.table.keys()
        if registered.definition.namespace is VOID:
            return iter(keys)
        return iter([key for key, of_key in keys if of_key == namespace])

    def keys_and_namespaces(self, state_name: str) -> Iterator[tuple[Any, Any]]:
        """Iterate over (key, namespace) of a state. O(n) at the call."""
        registered = self._registered(state_name)
        keys = registered.table.keys()
        if registered.definition.namespace is VOID:
            return iter([(key, None) for key in keys])
        return iter(keys)

    def snapshot(
        self, checkpoint_id: int, streams: SnapshotStreams, options: SnapshotOptions
    ) -> Snapshot[KeyedHandle | None]:
        """Freeze every table, O(states); the handle is None when there is no entry at all.

        A synchronous backend writes here and now.
        """
        capture = Capture(
            self._states,
            self._timers,
            self._restored,
            self._key_groups,
            self.parameters.clock.now_ms(),
        )
        writer = KeyedStreamWriter(
            self._key_groups,
            self._key_serializer,
            streams,
            checkpoint_id,
            self.parameters.clock,
            compressed=self._compressed,
            yields=self._asynchronous,
        )
        snapshot: HeapSnapshot | HeapIncrementalSnapshot
        if self._book is not None and options.incremental and _is_checkpoint(options):
            snapshot = self._increment(self._book, capture, writer)
        else:
            snapshot = HeapSnapshot(capture.everything(), writer, capture.release)
        if self._asynchronous:
            return snapshot
        try:
            handle = snapshot.write()
        finally:
            capture.release()
        return WrittenSnapshot(
            handle, self.parameters.operator_name, checkpoint_id, snapshot.maps_with_none()
        )

    def notify_checkpoint_complete(self, checkpoint_id: int) -> None:
        """Build increments on this checkpoint."""
        if self._book is not None:
            self._book.confirm(checkpoint_id)

    def notify_checkpoint_aborted(self, checkpoint_id: int) -> None:
        """Do not build on this checkpoint."""
        if self._book is not None:
            self._book.give_up(checkpoint_id)

    def end_batch(self) -> None:
        """Merge a slice of what snapshots froze; look for expired entries."""
        now_ms: int | None = None
        for registered in self._states.values():
            if registered.sweep is not None:
                if now_ms is None:
                    now_ms = self.parameters.clock.now_ms()
                registered.sweep.step(now_ms)
            registered.table.merge()
        for timers in self._timers.values():
            timers.queue.table.merge()

    def last_timer(self, domain: str) -> int | None:
        """Return the largest timestamp of all timers of a domain, or None. O(timers)."""
        return max(
            (
                timer[0]
                for (_, of_domain), timers in self._timers.items()
                if of_domain == domain
                for timer in timers.queue
            ),
            default=None,
        )

    def forget(self) -> None:
        """Drop every entry and timer; what is registered stays so.

        For BATCH execution, which keeps one key at a time. Only for a backend that is not
        incremental and takes no snapshot before all keys are forgotten.
        """
        for registered in self._states.values():
            registered.table.active.clear()
        for timers in self._timers.values():
            timers.queue.table.active.clear()

    def entry_count(self, state_name: str) -> int:
        """Return how many (key, namespace) pairs have the state."""
        return len(self._registered(state_name).table)

    def close(self) -> None:
        """Forget everything."""
        self._states.clear()
        self._timers.clear()
        self._restored.clear()

    @staticmethod
    def _increment(
        book: IncrementBook, capture: Capture, writer: KeyedStreamWriter
    ) -> HeapIncrementalSnapshot:
        before = book.base()
        if before is not None and capture.is_mostly_changed(before.positions):
            before = None
        taken = book.take(writer.checkpoint_id, capture.positions())
        chain: Chain = ()
        if before is None or before.chain is None:
            parts = [(HeapStreamKind.BASE, capture.everything())]
        else:
            parts, chain = capture.changes(before.positions), before.chain
        return HeapIncrementalSnapshot(
            parts, chain, taken, book.backend_id, writer, capture.release
        )

    def _registered(self, name: str) -> RegisteredState:
        registered = self._states.get(name)
        if registered is None:
            raise StateError(
                "No such state is registered.",
                state=name,
                operator=self.parameters.operator_name,
                registered=", ".join(self._states) or "none",
            )
        return registered

    def _key_serializer(self) -> SerializerSnapshot:
        return key_serializer_snapshot(self.parameters.key_serializer.type_info)


def _is_checkpoint(options: SnapshotOptions) -> bool:
    return options.kind is SnapshotKind.CHECKPOINT
