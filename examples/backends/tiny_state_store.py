"""A state store of one's own, as small as it can be: bytes in dictionaries, copied for snapshots.

`state.backend: tiny_state_store.TinyStateStore` makes a job use it. It passes the conformance suite
(`millpond.testing.state_backend_suite`), but each snapshot pauses the job while it copies, and its
snapshots are no Flink savepoints.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from millpond.datastream.state import (
    AggregatingState,
    ListState,
    MapState,
    ReducingState,
    State,
    ValueState,
)
from millpond.errors import (
    CheckpointDeclinedError,
    KeyGroupOutOfRangeError,
    SerializationError,
    SerializerIncompatibleError,
    SnapshotCorruptedError,
    StateError,
    StateTypeError,
)
from millpond.formats.handles import KeyGroupsHandle
from millpond.state.contract.declared_type import encoder_error
from millpond.state.contract.definition import StateDefinition, StateKind
from millpond.state.contract.keyed_backend import KeyedStateBackend, StateStore
from millpond.state.contract.map_iterator import ABSENT, MapStateIterator
from millpond.state.contract.namespace import NAMESPACE_SERIALIZERS
from millpond.state.contract.restored_signature import check_registered
from millpond.state.contract.snapshot import Snapshot, SnapshotScope
from millpond.state.contract.timer_queue import TimerQueue
from millpond.state.contract.ttl import stored_definition, unexpired
from millpond.state.contract.ttl_states import ttl_state

if TYPE_CHECKING:
    from collections.abc import Iterator


class TinyState:
    """One state: a dictionary from (key, namespace) to immutable, encoded entries."""

    def __init__(self, definition: StateDefinition, table: dict, backend: TinyBackend):
        self.definition, self.table, self.backend = definition, table, backend
        self.current_namespace = None

    def address(self, namespace=ABSENT):
        namespace = self.current_namespace if namespace is ABSENT else namespace
        if namespace is None and self.definition.namespace.kind != "void":
            raise StateError("A namespace is needed.", state=self.definition.name)
        return self.backend.current_key, namespace

    def clear(self):
        if (address := self.address()) in self.table:
            del self.table[address]

    def put_entry(self, entry, address=None):
        address = address or self.address()
        if entry or entry == b"":
            self.table[address] = entry
        elif address in self.table:
            del self.table[address]

    def encode(self, value, coder=None, part="value"):
        coder = coder or self.definition.value_coder
        if value is None and coder.signature != "PICKLED":
            raise StateError("None cannot be stored here.", state=self.definition.name)
        try:
            return coder.encode(value)
        except SerializationError as error:
            raise encoder_error(
                error,
                coder,
                value,
                state=self.definition.name,
                operator=self.backend.parameters.operator_name,
                key=self.backend.current_key,
                part=part,
            ) from error

    def decode(self, data):
        return None if data is None else self.definition.value_coder.decode(data)


class TinyValue(TinyState, ValueState):
    def value(self):
        return self.decode(self.table.get(self.address()))

    def update(self, value):
        self.put_entry(None if value is None else self.encode(value))


class TinyList(TinyState, ListState):
    def get(self):
        return [self.decode(data) for data in self.table.get(self.address(), ())]

    def add(self, value):
        self.add_all([value])

    def add_all(self, values):
        self.update(values, self.table.get(self.address(), ()))

    def update(self, values, before=()):
        if values is None:
            raise StateError("None is no list.", state=self.definition.name)
        self.put_entry((*before, *[self.encode(value) for value in values]))

    def merge_namespaces(self, target, sources):
        moved = [self.table.pop(self.address(source), ()) for source in sources]
        entry = self.table.get(self.address(target), ())
        self.put_entry(entry + sum(moved, ()), self.address(target))


class TinyMap(TinyState, MapState):
    def entry(self):
        return self.table.get(self.address(), {})

    def key(self, key):
        return self.encode(key, self.definition.map_key_coder, "map key")

    def get(self, key):
        return self.decode(self.entry().get(self.key(key)))

    def put(self, key, value):
        data = None if value is None else self.encode(value, part="map value")
        self.put_entry({**self.entry(), self.key(key): data})

    def put_all(self, dict_value):
        pairs = dict_value.items() if isinstance(dict_value, dict) else dict_value or ()
        added = {self.key(k): None if v is None else self.encode(v) for k, v in pairs}
        self.put_entry({**self.entry(), **added})

    def remove(self, key):
        self.put_entry({k: v for k, v in self.entry().items() if k != self.key(key)})

    def contains(self, key):
        return self.entry().get(self.key(key)) is not None

    def is_empty(self):
        return not self.entry()

    def items(self):
        return self.iterate(lambda k, v: (self.definition.map_key_coder.decode(k), self.decode(v)))

    def keys(self):
        return self.iterate(lambda k, _: self.definition.map_key_coder.decode(k))

    def values(self):
        return self.iterate(lambda _, v: self.decode(v))

    def iterate(self, shape):
        address = self.address()

        def remove(key):
            kept = {k: v for k, v in self.table.get(address, {}).items() if k != key}
            self.put_entry(kept, address)

        def look_up(key):
            return self.table.get(address, {}).get(key, ABSENT)

        return MapStateIterator(list(self.entry()), look_up, remove, shape)


class TinyReducing(TinyState, ReducingState):
    def combine(self, first, second):
        return self.definition.reduce(first, second)

    def get(self):
        return self.decode(self.table.get(self.address()))

    def add(self, value):
        before = self.decode(self.table.get(self.address()))
        if value is not None and before is not None:
            value = self.combine(before, value)
        self.put_entry(None if value is None else self.encode(value))

    def merge_namespaces(self, target, sources):
        for source in sources:
            data = self.table.pop(self.address(source), None)
            before = self.decode(self.table.get(self.address(target)))
            if data is not None:
                value = self.decode(data)
                value = value if before is None else self.combine(before, value)
                self.put_entry(self.encode(value), self.address(target))


class TinyAggregating(TinyReducing, AggregatingState):
    def combine(self, first, second):
        return self.definition.aggregate.merge(first, second)

    def get(self):
        accumulator = self.decode(self.table.get(self.address()))
        return None if accumulator is None else self.definition.aggregate.get_result(accumulator)

    def add(self, value):
        if value is None:
            return self.clear()
        before = self.decode(self.table.get(self.address()))
        before = self.definition.aggregate.create_accumulator() if before is None else before
        return self.put_entry(self.encode(self.definition.aggregate.add(value, before)))


KINDS = {
    StateKind.VALUE: TinyValue,
    StateKind.LIST: TinyList,
    StateKind.MAP: TinyMap,
    StateKind.REDUCING: TinyReducing,
    StateKind.AGGREGATING: TinyAggregating,
}


class TinyTimers(TimerQueue):
    """Timers in a set, sorted when somebody asks."""

    def __init__(self, timers: set, encode):
        self.timers, self.encode = timers, encode

    def add(self, timestamp, key, namespace):
        self.timers.add((timestamp, key, namespace))

    def remove(self, timestamp, key, namespace):
        self.timers.discard((timestamp, key, namespace))

    def head(self):
        return min((timer[0] for timer in self.timers), default=None)

    def poll(self, up_to):
        head = self.head()
        if head is None or head > up_to:
            return []
        due = sorted((t for t in self.timers if t[0] == head), key=lambda t: self.encode(*t[1:]))
        self.timers.difference_update(due)
        return due

    def __len__(self):
        return len(self.timers)

    def __iter__(self):
        return iter(self.timers)


class TinySnapshot(Snapshot):
    """Copies of all tables; written as one pickle a key group."""

    def __init__(self, backend: TinyBackend, streams):
        self.parameters, self.streams, self.cancelled = backend.parameters, streams, False
        self.tables = {n: (d, dict(table)) for n, (d, table) in backend.tables.items()}
        self.timers = {n: (kind, set(timers)) for n, (kind, timers) in backend.timers.items()}

    def write(self):
        if self.cancelled:
            raise CheckpointDeclinedError("The snapshot was cancelled.")
        groups: dict[int, list] = {}
        for name, (described, table) in self.tables.items():
            for (key, namespace), entry in table.items():
                self.group(groups, key).append((name, described, key, namespace, entry))
        for name, (kind, timers) in self.timers.items():
            for timestamp, key, namespace in timers:
                self.group(groups, key).append((name, kind, key, namespace, timestamp))
        if not groups:
            return None
        out = self.streams.open(SnapshotScope.EXCLUSIVE)
        first, last = self.parameters.key_group_range
        try:
            out.write(self.parameters.key_serializer.signature.encode().ljust(64))
            offsets = []
            for group in range(first, last + 1):
                if self.cancelled:
                    raise CheckpointDeclinedError("The snapshot was cancelled.")
                offsets.append(out.position if group in groups else 0)
                if group in groups:
                    out.write(pickle.dumps(groups[group]))
            return KeyGroupsHandle(first, tuple(offsets), out.finish())
        except BaseException:
            out.abort()
            raise

    def group(self, groups, key):
        parameters = self.parameters
        group = parameters.key_serializer.key_group(key, parameters.max_parallelism)
        if group not in parameters.key_group_range:
            raise KeyGroupOutOfRangeError("The key is another subtask's.", key=key)
        return groups.setdefault(group, [])

    def cancel(self):
        self.cancelled = True


class TinyBackend(KeyedStateBackend):
    """Tables by state name, each with (signature, kind of namespaces), and timers."""

    def __init__(self, parameters):
        super().__init__(parameters)
        self.tables: dict[str, tuple[tuple[str, str], dict]] = {}
        self.timers: dict[str, tuple[str, set]] = {}
        self.states: dict[str, tuple[StateDefinition, State]] = {}
        for handle in parameters.restored:
            try:
                self.restore(handle)
            except (pickle.UnpicklingError, EOFError, IndexError, ValueError) as error:
                raise SnapshotCorruptedError("The snapshot is damaged.") from error

    def restore(self, handle):
        with self.parameters.reader.open(handle.stream) as stream:
            if stream.read(64).decode().rstrip() != self.parameters.key_serializer.signature:
                raise SnapshotCorruptedError("The snapshot has keys of another type.")
            for group, offset in enumerate(handle.offsets, handle.first_key_group):
                if offset and group in self.parameters.key_group_range:
                    stream.seek(offset)
                    for name, described, key, namespace, value in pickle.load(stream):
                        if name.startswith("timers/"):
                            timers = self.timers.setdefault(name, (described, set()))[1]
                            timers.add((value, key, namespace))
                        else:
                            table = self.tables.setdefault(name, (described, {}))[1]
                            table[key, namespace] = value

    def get_state(self, definition):
        if definition.name in self.states:
            known, state = self.states[definition.name]
            check_registered(known, definition, self.parameters.operator_name)
            return state
        described = (definition.signature, definition.namespace.kind)
        found, table = self.tables.setdefault(definition.name, (described, {}))
        if found != described:
            same_kind = found[0].partition("<")[0] == definition.kind
            raise (SerializerIncompatibleError if same_kind else StateTypeError)(
                f"The snapshot holds {found}, not {described}.", state=definition.name
            )
        stored = definition if definition.ttl is None else stored_definition(definition)
        state = KINDS[stored.kind](stored, table, self)
        if definition.ttl is not None:
            state = ttl_state(definition, state, self)
        self.states[definition.name] = (definition, state)
        return state

    def timer_queue(self, service, domain, namespace):
        kind, timers = self.timers.setdefault(f"timers/{domain}/{service}", (namespace.kind, set()))
        key, window = self.parameters.key_serializer.encode, NAMESPACE_SERIALIZERS[kind].encode
        return TinyTimers(timers, lambda k, n: key(k) + window(n))

    def keys(self, state_name, namespace) -> Iterator[Any]:
        return iter([key for key, of in self.tables[state_name][1] if of == namespace])

    def keys_and_namespaces(self, state_name):
        return iter(list(self.tables[state_name][1]))

    def snapshot(self, checkpoint_id, streams, options):
        return TinySnapshot(self, streams)

    def end_batch(self):
        """Remove what expired: every entry is looked at, which a real store must not do."""
        for name, (definition, _) in self.states.items():
            if definition.ttl is None:
                continue
            until = self.parameters.clock.now_ms() - definition.ttl.ttl_ms
            stored, table = stored_definition(definition), self.tables[name][1]
            decode = stored.value_coder.decode
            for address, entry in list(table.items()):
                if stored.kind == StateKind.LIST:
                    kept = tuple(e for e in entry if decode(e)[0] > until)
                elif stored.kind == StateKind.MAP:
                    kept = {k: v for k, v in entry.items() if decode(v)[0] > until}
                else:
                    kept = unexpired(stored.kind, decode(entry), until) and entry
                if kept:
                    table[address] = kept
                else:
                    del table[address]

    def entry_count(self, state_name):
        return len(self.tables[state_name][1])

    def close(self):
        self.states.clear()
        self.tables.clear()


class TinyStateStore(StateStore):
    """Makes the backends."""

    def create_keyed_backend(self, parameters):
        return TinyBackend(parameters)
