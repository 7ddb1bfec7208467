"""`RocksDBKeyedStateBackend`: the keyed state and timers of one subtask in one database."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from millpond.errors import MillpondError, SerializerIncompatibleError, StateError
from millpond.formats.java_type import key_serializer_snapshot
from millpond.formats.keyed_header import KeyedHeader, write_keyed_header
from millpond.formats.pyflink_serializers import (
    MAP_OF_TTL_BYTES,
    PYTHON_STATE_PREFIX,
    keyed_state_meta,
    timer_state_meta,
    timer_state_name,
)
from millpond.formats.state_meta import VALUE_SERIALIZER
from millpond.state.contract.definition import StateKind
from millpond.state.contract.keyed_backend import KeyedStateBackend
from millpond.state.contract.namespace import VOID
from millpond.state.contract.restored_signature import (
    check_registered,
    check_restored,
    check_restored_timers,
)
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind
from millpond.state.contract.ttl import TtlPolicy, stored_definition
from millpond.state.contract.ttl_states import ttl_state
from millpond.state.rocksdb.database import DEFAULT_COLUMN_FAMILY, Database
from millpond.state.rocksdb.early_write_back import EarlyWriteBack
from millpond.state.rocksdb.full_snapshot import CapturedRows, FullSnapshot
from millpond.state.rocksdb.incremental_snapshot import IncrementalSnapshot, UploadedFiles
from millpond.state.rocksdb.list_state import rocksdb_list_state
from millpond.state.rocksdb.local_directory import remove_instance
from millpond.state.rocksdb.map_state import RocksDBMapState
from millpond.state.rocksdb.native_metrics import NativeMetrics
from millpond.state.rocksdb.reducing_state import RocksDBAggregatingState, RocksDBReducingState
from millpond.state.rocksdb.restore import Restore, element_rows
from millpond.state.rocksdb.row_codec import RowCodec, split_list
from millpond.state.rocksdb.state_table import StateTable, holds_list, holds_ttl_list
from millpond.state.rocksdb.timer_queue import RocksDBTimerQueue, timers_within
from millpond.state.rocksdb.ttl_sweep import TtlSweep
from millpond.state.rocksdb.value_state import rocksdb_value_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from millpond.datastream.state import State
    from millpond.formats.handles import KeyedHandle
    from millpond.formats.state_meta import StateMeta
    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedBackendParameters
    from millpond.state.contract.namespace import NamespaceSerializer
    from millpond.state.contract.snapshot import Snapshot, SnapshotOptions, SnapshotStreams
    from millpond.state.rocksdb.database import ColumnFamily
    from millpond.state.rocksdb.memory import StoreMemory
    from millpond.state.rocksdb.options import OptionLayers
    from millpond.state.rocksdb.rescale import RescaleSettings
    from millpond.state.rocksdb.state import RocksDBState

__all__ = ("BackendSettings", "RocksDBKeyedStateBackend")

_logger = logging.getLogger("millpond.state.rocksdb")

_WEIGH_TIMERS_EVERY: Final = 64
_TIMER_BYTES_STEP: Final = 256 * 1024

_STATES: dict[
    StateKind, Callable[[StateDefinition, ColumnFamily, KeyedStateBackend], RocksDBState]
] = {
    StateKind.VALUE: rocksdb_value_state,
    StateKind.MAP: RocksDBMapState,
    StateKind.REDUCING: RocksDBReducingState,
    StateKind.AGGREGATING: RocksDBAggregatingState,
}


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """What all backends of a store have in common.

    `timer_cache_size` of None keeps all timers in memory. `compressed` is for full snapshots.
    """

    layers: OptionLayers
    memory: StoreMemory
    timer_cache_size: int | None
    rescale: RescaleSettings
    transfer_threads: int
    compressed: bool


@final
class RocksDBKeyedStateBackend(KeyedStateBackend):
    """One database with a column family a state; see `RocksDBState` for the cache in front.

    The database is disposable: it is made new at every start, and removed at `close`.

    Attributes:
        restore_phases: where the time of the restore went; empty without one.
    """

    def __init__(
        self, parameters: KeyedBackendParameters, settings: BackendSettings, directory: Path
    ) -> None:
        """Make the backend in a new directory; see `StateStore` for the errors."""
        super().__init__(parameters)
        self._settings = settings
        self._directory = directory
        self._prefix_length = 1 if parameters.max_parallelism <= 128 else 2
        self._timers: dict[str, tuple[RocksDBTimerQueue, NamespaceSerializer]] = {}
        self._key_snapshot = key_serializer_snapshot(parameters.key_serializer.type_info)
        self._closed = False
        self._sharers = self._batches = self._held_by_timers = 0
        settings.memory.register_backend()
        try:
            restored = Restore(
                directory,
                parameters,
                self._key_snapshot,
                settings.transfer_threads,
                settings.rescale,
                self._open_database,
                self._create_family,
            ).run(tuple(parameters.restored))
        except BaseException:
            settings.memory.release_backend()
            remove_instance(directory)
            raise
        self._database = restored.database
        self._tables = restored.tables
        self._metrics = self._native_metrics()
        self.restore_phases = restored.phases
        self._compaction = restored.compaction
        self._report_restore()
        self._sequence = restored.sequence
        if parameters.reuse_restored_files:
            self._uploaded = UploadedFiles(restored.backend_id, restored.shared)
        else:
            self._uploaded = UploadedFiles(str(uuid.uuid4()), {})

    @property
    def directory(self) -> Path:
        """The instance directory; the database is in ``db`` below it."""
        return self._directory

    @property
    def database(self) -> Database:
        """The database, for metrics and tests."""
        return self._database

    def get_state(self, definition: StateDefinition) -> State:
        """Return the state object; see `KeyedStateBackend.get_state`."""
        if definition.name == DEFAULT_COLUMN_FAMILY:
            raise StateError(
                "A state cannot be named 'default': RocksDB has a column family of this name.",
                hint="Give the state another name.",
                operator=self.parameters.operator_name,
            )
        meta = keyed_state_meta(
            definition.name,
            is_map=definition.kind == StateKind.MAP,
            ttl=definition.ttl is not None,
            namespace=definition.namespace.kind,
            signature=definition.signature,
        )
        table = self._tables.get(meta.name)
        if table is not None and table.definition is not None:
            check_registered(table.definition, definition, self.parameters.operator_name)
            state: State = table.state
            return state
        if table is not None:
            check_restored(table.meta, definition, self.parameters.operator_name)
            self._check_decodes(table, definition)
            table.meta = meta
        else:
            table = self._create_table(meta)
        self._register(table, definition)
        registered: State = table.state
        return registered

    def _check_decodes(self, table: StateTable, definition: StateDefinition) -> None:
        """Try a row: snapshots of Flink's do not say which type their bytes are of."""
        stored = definition if definition.ttl is None else stored_definition(definition)
        cursor = table.family.cursor()
        row = cursor.current()
        cursor.close()
        if row is None:
            return
        codec = RowCodec(stored.value_coder)
        try:
            if stored.kind == StateKind.MAP:
                codec.decode_map_value(row[1])
            elif stored.kind == StateKind.LIST:
                chunks = split_list((row[1],), ttl=holds_ttl_list(table.meta))
                codec.decode_elements(next(chunks))
            else:
                codec.decode(row[1])
        except MillpondError as error:
            raise SerializerIncompatibleError(
                f"The snapshot's bytes cannot be read as {definition.signature}.",
                hint="Declare the state with the type that it was written with.",
                state=definition.name,
                operator=self.parameters.operator_name,
                reason=error.message,
            ) from error

    def _register(self, table: StateTable, definition: StateDefinition) -> None:
        stored = definition if definition.ttl is None else stored_definition(definition)
        if stored.kind == StateKind.LIST and not table.element_rows:
            self._split_lists(table)
        table.stored = self._make_state(stored, table)
        table.early = EarlyWriteBack(table.stored, self.parameters.clock)
        table.state = table.stored
        if definition.ttl is not None:
            table.state = ttl_state(definition, table.stored, self)
            table.ttl = TtlPolicy.of(definition.ttl)
            if table.ttl.cleanup_size:
                is_map = definition.kind == StateKind.MAP
                table.sweep = TtlSweep(table.family, table.stored, table.ttl, is_map=is_map)
        table.definition = definition
        self._divide_cache()

    def _make_state(self, stored: StateDefinition, table: StateTable) -> RocksDBState:
        if stored.kind == StateKind.LIST:
            return rocksdb_list_state(stored, table.family, self, self._sequence)
        return _STATES[stored.kind](stored, table.family, self)

    def _split_lists(self, table: StateTable) -> None:
        """Give lists of Flink's snapshots, known as lists only now, a row an element."""
        rows: list[tuple[bytes, bytes | None]] = []
        for key, value in table.family.scan():
            for row in element_rows(((key, value),), self._sequence, table.meta):
                rows.append(row)
                if len(rows) > 1000:
                    table.family.write(rows)
                    rows.clear()
            rows.append((key, None))
        table.family.write(rows)
        table.element_rows = True

    def _divide_cache(self) -> None:
        states = [table.stored for table in self._tables.values() if table.stored is not None]
        self._sharers = self._settings.memory.backends
        self._held_by_timers = self._timer_bytes()
        budget = self._settings.memory.object_bytes_per_backend() - self._held_by_timers
        for state in states:
            state.limit_cache(max(0, budget) // len(states))

    def _timer_bytes(self) -> int:
        if self._settings.timer_cache_size is None:
            # All of them, as the user wants it: not bounded by any budget.
            return 0
        return sum(queue.held_bytes for queue, _ in self._timers.values())

    def timer_queue(
        self, service: str, domain: str, namespace: NamespaceSerializer
    ) -> RocksDBTimerQueue:
        """Return the queue of a timer service; the same one for the same service and domain."""
        name = timer_state_name(service, domain)
        operator = self.parameters.operator_name
        if name in self._timers:
            queue, known = self._timers[name]
            if known is not namespace:
                raise StateError(
                    f"The timer service has {known.kind} namespaces, not {namespace.kind} ones.",
                    operator=operator,
                    service=service,
                )
            return queue
        table = self._tables.get(name)
        if table is None:
            table = self._create_table(
                timer_state_meta(service, domain, self._key_snapshot, namespace.kind)
            )
        else:
            check_restored_timers(table.meta, namespace, operator)
        cache_size = self._settings.timer_cache_size
        if cache_size is not None:
            half = self._settings.memory.object_bytes_per_backend() // 2
            groups = self.parameters.key_group_range.count
            cache_size = min(cache_size, timers_within(half, groups))
        queue = RocksDBTimerQueue(table.family, namespace, self.parameters, cache_size)
        self._timers[name] = (queue, namespace)
        return queue

    def keys(self, state_name: str, namespace: Any) -> Iterator[Any]:
        """Iterate over the keys of a state in a namespace, in the order of their bytes."""
        stored = self._stored(state_name)
        slots = stored.slots()
        if stored.definition.namespace is VOID:
            return (key for key, _, _ in slots)
        return (key for key, of_key, _ in slots if of_key == namespace)

    def keys_and_namespaces(self, state_name: str) -> Iterator[tuple[Any, Any]]:
        """Iterate over (key, namespace) of a state, in the order of their bytes."""
        return ((key, namespace) for key, namespace, _ in self._stored(state_name).slots())

    def entry_count(self, state_name: str) -> int:
        """Return how many (key, namespace) pairs have the state; scans."""
        return sum(1 for _ in self._stored(state_name).slots())

    def prepare_snapshot(self, checkpoint_id: int, options: SnapshotOptions) -> Iterator[bool]:
        """Write changed objects back, as far as that makes the pause shorter."""
        for table in tuple(self._tables.values()):
            if table.early is not None and not self._database.is_held:
                yield from table.early.steps(checkpoint_id)

    def snapshot(
        self, checkpoint_id: int, streams: SnapshotStreams, options: SnapshotOptions
    ) -> Snapshot[KeyedHandle | None]:
        """Write the caches back and capture: hard links if incremental or native, else cursors.

        The links are made by the thread that writes; until then the database is not written to.
        """
        self._flush()
        native = options.kind is SnapshotKind.SAVEPOINT and options.format is SavepointFormat.NATIVE
        incremental = options.kind is SnapshotKind.CHECKPOINT and options.incremental
        if not self._tables or not (native or incremental):
            return self._full_snapshot(checkpoint_id, streams)
        path = self._directory / f"chk-{checkpoint_id}-{uuid.uuid4()}"
        return IncrementalSnapshot(
            path,
            self._database.checkpoint_later(path),
            write_keyed_header(self._header(native=True)),
            self.parameters.key_group_range,
            self._uploaded,
            streams,
            checkpoint_id,
            self.parameters.operator_name,
            self._settings.transfer_threads,
            self_contained_id=str(uuid.uuid4()) if native else None,
        )

    def _full_snapshot(self, checkpoint_id: int, streams: SnapshotStreams) -> FullSnapshot:
        now_ms = self.parameters.clock.now_ms()
        return FullSnapshot(
            self._header(native=False),
            [self._captured(table, now_ms) for table in self._tables.values()],
            self.parameters.key_group_range,
            self._prefix_length,
            streams,
            checkpoint_id,
            self.parameters.operator_name,
            self.parameters.clock,
        )

    def _captured(self, table: StateTable, now_ms: int) -> CapturedRows:
        captured = CapturedRows(table.meta.name, table.family.cursor(), table.element_rows)
        captured.notes_none = table.meta.serializers.get(VALUE_SERIALIZER) == MAP_OF_TTL_BYTES
        if table.ttl is not None and table.ttl.filter_snapshots and table.stored is not None:
            until = now_ms - table.ttl.ttl_ms
            is_map = table.stored.definition.kind == StateKind.MAP
            expired = table.stored.codec.expired
            captured.is_expired = lambda row: expired(row, until, is_map=is_map)
        return captured

    def _header(self, *, native: bool) -> KeyedHeader:
        return KeyedHeader(
            self._key_snapshot,
            tuple(table.header_meta(native=native) for table in self._tables.values()),
            compressed=self._settings.compressed and not native,
        )

    def _flush(self) -> None:
        for table in self._tables.values():
            if table.stored is not None:
                table.stored.flush()
        for queue, _ in self._timers.values():
            queue.flush()
        self._sequence.flush()

    def end_batch(self) -> None:
        """Look for expired rows; share the cache's memory anew if there are other backends now."""
        self._batches += 1
        if self._settings.memory.backends != self._sharers or (
            self._batches % _WEIGH_TIMERS_EVERY == 0
            and self._timers
            and abs(self._timer_bytes() - self._held_by_timers) > _TIMER_BYTES_STEP
        ):
            self._divide_cache()
        now_ms: int | None = None
        for table in self._tables.values():
            if table.stored is not None:
                table.stored.end_batch()
            if table.sweep is not None and not self._database.is_held:
                if now_ms is None:
                    now_ms = self.parameters.clock.now_ms()
                table.sweep.step(now_ms)

    def notify_checkpoint_complete(self, checkpoint_id: int) -> None:
        """Use the checkpoint's files as the base of the next incremental ones."""
        self._uploaded.complete(checkpoint_id)

    def notify_checkpoint_aborted(self, checkpoint_id: int) -> None:
        """Forget the checkpoint's files."""
        self._uploaded.abort(checkpoint_id)

    def close(self) -> None:
        """Close the database and remove its directory; may be called twice."""
        if self._closed:
            return
        self._closed = True
        if self._compaction is not None:
            self._compaction.stop()
        self._database.close()
        self._settings.memory.release_backend()
        remove_instance(self._directory)

    def _stored(self, name: str) -> RocksDBState:
        table = self._tables.get(PYTHON_STATE_PREFIX + name)
        if table is None or table.stored is None:
            registered = [
                table.definition.name
                for table in self._tables.values()
                if table.definition is not None
            ]
            raise StateError(
                "No such state is registered.",
                state=name,
                operator=self.parameters.operator_name,
                registered=", ".join(registered) or "none",
            )
        return table.stored

    def _create_table(self, meta: StateMeta) -> StateTable:
        self._create_family(self._database, meta.name)
        # Nothing is stored yet, so that a list begins with a row an element.
        table = StateTable(meta, self._database.column_family(meta.name), holds_list(meta))
        self._tables[meta.name] = table
        if self._metrics is not None:
            self._metrics.add_family(table.family, meta.name.removeprefix(PYTHON_STATE_PREFIX))
        return table

    def _report_restore(self) -> None:
        phases, group = self.restore_phases, self.parameters.metric_group
        if not self.parameters.restored:
            return
        _logger.info(
            "Restored '%s', subtask %d: %s.",
            self.parameters.operator_name,
            self.parameters.subtask_index,
            phases,
        )
        if group is None:
            return
        for phase, seconds in phases.seconds.items():
            of_phase = group.add_group("restore").add_group(phase)
            of_phase.gauge("milliseconds", partial(float, seconds * 1000))
            of_phase.gauge("bytes", partial(int, phases.size_bytes.get(phase, 0)))

    def _native_metrics(self) -> NativeMetrics | None:
        group, options = self.parameters.metric_group, self._settings.layers.native_metrics()
        if group is None or not options.enabled:
            return None
        metrics = NativeMetrics(options, group, self._database, self.parameters.clock)
        for name, table in self._tables.items():
            metrics.add_family(table.family, name.removeprefix(PYTHON_STATE_PREFIX))
        return metrics

    def _open_database(self, path: Path, names: Iterable[str]) -> Database:
        layers, memory = self._settings.layers, self._settings.memory
        families = {
            name: memory.adapt(layers.column_family()) for name in (DEFAULT_COLUMN_FAMILY, *names)
        }
        clock = self.parameters.clock
        return Database(path, layers.database(), families, clock, memory.buffers)

    def _create_family(self, database: Database, name: str) -> None:
        layers, memory = self._settings.layers, self._settings.memory
        database.create_column_family(name, memory.adapt(layers.column_family()))
