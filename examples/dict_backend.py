"""A state backend of one's own: keyed state as bytes in dictionaries, in one readable file.

It implements `millpond.state.contract` and passes the suite that Millpond's own stores pass
(tests/examples/test_dict_backend.py). Run a job on it by its import path:
`state.backend.type: dict_backend.DictStore`.

It is written to be read, not to be fast. Its snapshots are copied in the task's thread, and only it
reads them: a store that is to exchange savepoints with others writes Flink's canonical layout, with
`millpond.formats.canonical_writer`.
"""

from bisect import bisect_left, insort

import msgspec

from millpond import errors
from millpond.common import Configuration, Types
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream import state as kinds
from millpond.formats.handles import KeyGroupsHandle
from millpond.state.contract.declared_type import encoder_error
from millpond.state.contract.definition import StateKind
from millpond.state.contract.keyed_backend import NO_KEY, KeyedStateBackend, StateStore
from millpond.state.contract.map_iterator import ABSENT, MapStateIterator
from millpond.state.contract.namespace import VOID
from millpond.state.contract.restored_signature import check_registered
from millpond.state.contract.snapshot import Snapshot, SnapshotScope
from millpond.state.contract.timer_queue import TimerQueue
from millpond.state.contract.ttl import TtlPolicy, stored_definition
from millpond.state.contract.ttl_states import ttl_state


class DictState:
    """A state: (key, namespace) to bytes, a list of bytes, or a dict of bytes to bytes."""

    def __init__(self, definition, backend):
        self.definition = definition
        self.backend = backend
        self.table = {}
        self.current_namespace = None

    def clear(self):
        self.table.pop(self.address(), None)

    def address(self, namespace=ABSENT):
        key = self.backend.current_key
        if key is NO_KEY:
            hash(key)  # Raises the error that says so.
        namespace = self.current_namespace if namespace is ABSENT else namespace
        if namespace is None and self.definition.namespace is not VOID:
            raise errors.StateError("No namespace is set.", state=self.definition.name)
        self.backend.check_key_group(key)
        key_bytes = self.backend.parameters.key_serializer.encode(key)
        return key_bytes, self.definition.namespace.encode(namespace)

    def encoded(self, value, coder=None, part="value"):
        coder = coder or self.definition.value_coder
        try:
            return coder.encode(value)
        except Exception as error:
            raise encoder_error(
                error,
                coder,
                value,
                state=self.definition.name,
                operator=self.backend.parameters.operator_name,
                key=self.backend.current_key,
                part=part,
            ) from error

    def decoded(self, data):
        return None if data is None else self.definition.value_coder.decode_from(data, 0)[0]

    def read(self, namespace=ABSENT):
        return self.decoded(self.table.get(self.address(namespace)))

    def write(self, value, namespace=ABSENT):
        if value is None:
            self.table.pop(self.address(namespace), None)
        else:
            self.table[self.address(namespace)] = self.encoded(value)


class DictValueState(DictState, kinds.ValueState):
    def value(self):
        return self.read()

    def update(self, value):
        self.write(value)


class DictListState(DictState, kinds.ListState):
    def get(self):
        return [self.decoded(data) for data in self.table.get(self.address(), ())]

    def add(self, value):
        self.add_all([value])

    def add_all(self, values):
        encoded = self._all_encoded(values)
        if encoded:
            self.table.setdefault(self.address(), []).extend(encoded)

    def update(self, values):
        encoded = self._all_encoded(values)
        self.clear()
        if encoded:
            self.table[self.address()] = encoded

    def merge_namespaces(self, target, sources):
        merged = self.table.get(self.address(target), [])
        for source in sources:
            merged = merged + self.table.pop(self.address(source), [])
        if merged:
            self.table[self.address(target)] = merged

    def _all_encoded(self, values):
        values = None if values is None else list(values)
        takes_none = self.definition.value_coder.signature == "PICKLED"
        if values is None or (not takes_none and any(value is None for value in values)):
            raise errors.StateError("A list cannot hold None.", state=self.definition.name)
        return [self.encoded(value) for value in values]


class DictReducingState(DictState, kinds.ReducingState):
    def get(self):
        return self.read()

    def add(self, value):
        before = None if value is None else self.read()
        self.write(value if before is None else self.definition.reduce(before, value))

    def merge_namespaces(self, target, sources):
        self.merge(self.definition.reduce, target, sources)

    def merge(self, combine, target, sources):
        merged = self.read(target)
        for source in sources:
            value = self.read(source)
            self.table.pop(self.address(source), None)
            if value is not None:
                merged = value if merged is None else combine(merged, value)
        self.write(merged, target)


class DictAggregatingState(DictReducingState, kinds.AggregatingState):
    def get(self):
        accumulator = self.read()
        return None if accumulator is None else self.definition.aggregate.get_result(accumulator)

    def add(self, value):
        if value is None:
            self.clear()
            return
        accumulator = self.read()
        if accumulator is None:
            accumulator = self.definition.aggregate.create_accumulator()
        self.write(self.definition.aggregate.add(value, accumulator))

    def merge_namespaces(self, target, sources):
        self.merge(self.definition.aggregate.merge, target, sources)


class DictMapState(DictState, kinds.MapState):
    def get(self, key):
        return self.decoded(self._map().get(self._map_key(key)))

    def put(self, key, value):
        self.put_all([(key, value)])

    def put_all(self, dict_value):
        if dict_value is None:
            return
        pairs = dict_value.items() if hasattr(dict_value, "items") else dict_value
        encoded = {
            self._map_key(key): None if value is None else self.encoded(value)
            for key, value in pairs
        }
        if encoded:
            self.table.setdefault(self.address(), {}).update(encoded)

    def remove(self, key):
        self._remove(self.address(), self._map_key(key))

    def contains(self, key):
        return self._map().get(self._map_key(key)) is not None

    def items(self):
        return self._iterate(lambda key, value: (key, value))

    def keys(self):
        return self._iterate(lambda key, _: key)

    def values(self):
        return self._iterate(lambda _, value: value)

    def __iter__(self):
        return self.keys()

    def is_empty(self):
        return not self._map()

    def _map(self):
        return self.table.get(self.address(), {})

    def _map_key(self, key):
        return self.encoded(key, self.definition.map_key_coder, "map key")

    def _remove(self, address, map_key):
        values = self.table.get(address, {})
        values.pop(map_key, None)
        if not values:
            self.table.pop(address, None)

    def _iterate(self, shape):
        address, decode_key = self.address(), self.definition.map_key_coder.decode_from

        def lookup(map_key):
            data = self.table.get(address, {}).get(map_key, ABSENT)
            return ABSENT if data is ABSENT else self.decoded(data)

        return MapStateIterator(
            list(self._map()),
            lookup,
            lambda map_key: self._remove(address, map_key),
            lambda map_key, value: shape(decode_key(map_key, 0)[0], value),
        )


STATES = {
    StateKind.VALUE: DictValueState,
    StateKind.LIST: DictListState,
    StateKind.MAP: DictMapState,
    StateKind.REDUCING: DictReducingState,
    StateKind.AGGREGATING: DictAggregatingState,
}


class SortedTimers(TimerQueue):
    """Timers as (timestamp, key bytes, namespace bytes), always sorted."""

    def __init__(self, backend, namespace):
        self.timers = []
        self.namespace = namespace
        self._keys = backend.parameters.key_serializer

    def add(self, timestamp, key, namespace):
        timer = self._encoded(timestamp, key, namespace)
        if timer not in self.timers:
            insort(self.timers, timer)

    def remove(self, timestamp, key, namespace):
        timer = self._encoded(timestamp, key, namespace)
        if timer in self.timers:
            self.timers.remove(timer)

    def head(self):
        return self.timers[0][0] if self.timers else None

    def poll(self, up_to):
        if not self.timers or self.timers[0][0] > up_to:
            return []
        end = bisect_left(self.timers, (self.timers[0][0] + 1,))
        due, self.timers = self.timers[:end], self.timers[end:]
        return [self._decoded(timer) for timer in due]

    def __len__(self):
        return len(self.timers)

    def __iter__(self):
        return (self._decoded(timer) for timer in self.timers)

    def _encoded(self, timestamp, key, namespace):
        return timestamp, self._keys.encode(key), self.namespace.encode(namespace)

    def _decoded(self, timer):
        timestamp, key, namespace = timer
        return timestamp, self._keys.decode(key), self.namespace.decode_from(namespace, 0)[0]


class DictBackend(KeyedStateBackend):
    """All state and timers of one subtask, and what was restored and is not yet asked for."""

    def __init__(self, parameters):
        super().__init__(parameters)
        self._definitions = {}
        self._handed_out = {}
        self._states = {}
        self._queues = {}
        # Name to what was recorded of it, and to its restored entries or timers.
        self._signatures = {}
        self._restored = {}
        self._next_sweep_ms = 0
        for handle in parameters.restored:
            self._restore(handle)

    def check_key_group(self, key):
        parameters = self.parameters
        group = parameters.key_serializer.key_group(key, parameters.max_parallelism)
        if group not in parameters.key_group_range:
            raise errors.KeyGroupOutOfRangeError(
                "The key belongs to another subtask.", key=key, key_group=group
            )
        return group

    def get_state(self, definition):
        name, operator = definition.name, self.parameters.operator_name
        known = self._definitions.get(name)
        if known is not None:
            check_registered(known, definition, operator)
            return self._handed_out[name]
        self._check_restored(name, definition.signature, definition.namespace.kind)
        stored = definition if definition.ttl is None else stored_definition(definition)
        state = STATES[stored.kind](stored, self)
        state.table = dict(self._restored.pop(name, ()))
        self._definitions[name], self._states[name] = definition, state
        self._signatures[name] = (definition.signature, definition.namespace.kind)
        self._handed_out[name] = (
            state if definition.ttl is None else ttl_state(definition, state, self)
        )
        return self._handed_out[name]

    def timer_queue(self, service, domain, namespace):
        name = f"timers {service} {domain}"
        if name not in self._queues:
            self._check_restored(name, "TIMERS", namespace.kind)
            queue = SortedTimers(self, namespace)
            queue.timers = sorted(self._restored.pop(name, ()))
            self._queues[name] = queue
            self._signatures[name] = ("TIMERS", namespace.kind)
        return self._queues[name]

    def keys(self, state_name, namespace):
        return iter([key for key, at in self.keys_and_namespaces(state_name) if at == namespace])

    def keys_and_namespaces(self, state_name):
        state = self._states.get(state_name)
        if state is None:
            return iter(())
        decode, namespaces = self.parameters.key_serializer.decode, state.definition.namespace
        return iter(
            [(decode(key), namespaces.decode_from(at, 0)[0]) for key, at in list(state.table)]
        )

    def entry_count(self, state_name):
        state = self._states.get(state_name)
        return 0 if state is None else len(state.table)

    def end_batch(self):
        """Look for expired entries, at most ten times a second."""
        now_ms = self.parameters.clock.now_ms()
        if now_ms < self._next_sweep_ms:
            return
        self._next_sweep_ms = now_ms + 100
        for name, state in self._states.items():
            ttl = self._definitions[name].ttl
            if ttl is not None and TtlPolicy.of(ttl).cleanup_size:
                oldest_ms = now_ms - TtlPolicy.of(ttl).ttl_ms
                state.table = dict(_unexpired(state.table, oldest_ms))

    def snapshot(self, checkpoint_id, streams, options):
        del options  # Every snapshot is whole.
        groups = {}
        for name, entries in self._captured():
            for entry in entries:
                key = entry[1] if len(entry) == 3 else entry[0][0]  # a timer, or (address, value)
                group = self.check_key_group(self.parameters.key_serializer.decode(key))
                groups.setdefault(group, []).append((name, entry))
        return DictSnapshot(self.parameters, checkpoint_id, streams, dict(self._signatures), groups)

    def close(self):
        self._states.clear()
        self._queues.clear()

    def _captured(self):
        now_ms = self.parameters.clock.now_ms()
        for name, state in self._states.items():
            ttl = self._definitions[name].ttl
            entries = state.table.items()
            if ttl is not None and TtlPolicy.of(ttl).filter_snapshots:
                entries = _unexpired(state.table, now_ms - TtlPolicy.of(ttl).ttl_ms)
            # Bytes never change, but lists and dicts of them do.
            yield name, [(at, _copied(entry)) for at, entry in entries]
        for name, queue in self._queues.items():
            yield name, list(queue.timers)
        yield from self._restored.items()

    def _check_restored(self, name, signature, namespace_kind):
        found = self._signatures.get(name)
        if found is None or found == (signature, namespace_kind):
            return
        same_kind = found[0].partition("<")[0] == signature.partition("<")[0]
        raise (errors.SerializerIncompatibleError if same_kind else errors.StateTypeError)(
            f"The snapshot holds {found[0]} of {found[1]} namespaces, and cannot be used as "
            f"{signature} of {namespace_kind} namespaces.",
            state=name,
        )

    def _restore(self, handle):
        parameters = self.parameters
        try:
            with parameters.reader.open(handle.stream) as stream:
                data = stream.read()
            key_type, signatures, groups = msgspec.msgpack.decode(data)
            for name, signature in signatures.items():
                self._signatures[name] = tuple(signature)
            for group, rows in groups.items():
                if group in parameters.key_group_range:
                    for name, entry in rows:
                        self._restored.setdefault(name, []).append(_frozen(entry))
        except (msgspec.MsgspecError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise errors.RestoreError(
                f"The snapshot was not written by a DictStore, or is damaged: {error}.",
                operator=parameters.operator_name,
            ) from error
        declared = parameters.key_serializer.type_info.signature
        if key_type != declared:
            raise errors.SerializerIncompatibleError(
                f"The snapshot's keys are {key_type}, not {declared}."
            )


def _frozen(entry):
    """Make a timer, or an (address, value) pair, of what msgpack gives back as lists."""
    return tuple(entry) if len(entry) == 3 else (tuple(entry[0]), entry[1])


def _copied(entry):
    return entry if isinstance(entry, bytes) else entry.copy()


def _unexpired(entries, oldest_ms):
    """Yield the entries of a state with TTL less what is older; times stand in front."""

    def is_alive(data):
        return int.from_bytes(data[:8], "big", signed=True) > oldest_ms

    for address, entry in entries.items():
        if isinstance(entry, bytes):
            left = entry if is_alive(entry) else None
        elif isinstance(entry, list):
            left = [data for data in entry if is_alive(data)]
        else:
            left = {key: data for key, data in entry.items() if is_alive(data)}
        if left:
            yield address, left


class DictSnapshot(Snapshot):
    """What was captured at a barrier, by key group: only bytes, and nobody changes it."""

    def __init__(self, parameters, checkpoint_id, streams, signatures, groups):
        self._parameters = parameters
        self._checkpoint_id = checkpoint_id
        self._streams = streams
        self._signatures = signatures
        self._groups = groups
        self._cancelled = False

    def write(self):
        self._stop_if_cancelled()
        if not self._groups:
            return None
        out = self._streams.open(SnapshotScope.EXCLUSIVE)
        try:
            key_type = self._parameters.key_serializer.type_info.signature
            data = msgspec.msgpack.encode((key_type, self._signatures, self._groups))
            for start in range(0, len(data), 4096):
                self._stop_if_cancelled()
                out.write(data[start : start + 4096])
            self._stop_if_cancelled()
            stream = out.finish()
        except BaseException:
            out.abort()
            raise
        groups = self._parameters.key_group_range
        return KeyGroupsHandle(groups.start, (0,) * groups.count, stream, savepoint=False)

    def cancel(self):
        self._cancelled = True

    def _stop_if_cancelled(self):
        if self._cancelled:
            raise errors.CheckpointDeclinedError(
                "The snapshot was cancelled.", checkpoint=self._checkpoint_id
            )


class DictStore(StateStore):
    def create_keyed_backend(self, parameters):
        return DictBackend(parameters)


def main():
    configuration = Configuration()
    configuration.set_string("state.backend.type", f"{__name__}.DictStore")
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    words = env.from_collection(["mill", "pond", "mill"], Types.STRING())
    words.map(lambda word: (word, 1)).key_by(lambda pair: pair[0]).reduce(
        lambda a, b: (a[0], a[1] + b[1])
    ).print()
    env.execute("on dictionaries")


if __name__ == "__main__":
    main()
