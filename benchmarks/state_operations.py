"""State operations alone: the cases of Flink's state benchmark, one operation a current key.

Keys are LONG, values are LONG. State is filled in the order of the keys, compacted if it is
RocksDB's, and then used in random order, by keys that are equal to the stored ones but other
objects, as those of a new record are; `FlinkState.java` does the same. One operation is setting
the current key and calling the state, with `end_batch` after every 2,048. ``cached`` works on
5,000 keys again and again, which the RocksDB backend holds as objects; ``uncached`` on all keys in
one pass, with managed memory so small (32 MB, of which 8 MB hold objects) that nearly every one
comes from RocksDB, whose block cache is then as large as that of Java's default options.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from benchmarks.measurement import Measurement, Stopwatch, repeated
from benchmarks.stores import open_backend
from millpond.common import Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ValueStateDescriptor,
)
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.keyed_backend import NO_KEY, KeyedStateBackend
from millpond.state.contract.namespace import VOID
from millpond.state.rocksdb.backend import RocksDBKeyedStateBackend

__all__ = ("run_state_operations",)

_BATCH = 2048
_MAP_KEYS = tuple(range(0, 1000, 100))
_LIST = list(range(100))
_VALUE = ValueStateDescriptor("value", Types.LONG())
_MAP = MapStateDescriptor("map", Types.LONG(), Types.LONG())
_LIST_STATE = ListStateDescriptor("list", Types.LONG())


def _value_get(store: KeyedStateBackend, state: Any, keys: list[int]) -> None:
    for store.current_key in keys:
        state.value()


def _value_update(store: KeyedStateBackend, state: Any, keys: list[int]) -> None:
    for store.current_key in keys:
        state.update(7)


def _value_get_update(store: KeyedStateBackend, state: Any, keys: list[int]) -> None:
    for store.current_key in keys:
        state.update(state.value() + 1)


def _map_get(store: KeyedStateBackend, state: Any, keys: list[int]) -> None:
    for store.current_key in keys:
        state.get(500)


def _map_contains(store: KeyedStateBackend, state: Any, keys: list[int]) -> None:
    for store.current_key in keys:
        state.contains(500)


def _map_iterate(store: KeyedStateBackend, state: Any, keys: list[int]) -> None:
    for store.current_key in keys:
        for _ in state.items():
            pass


def _map_put(store: KeyedStateBackend, state: Any, keys: list[int]) -> None:
    for store.current_key in keys:
        state.put(500, 7)


def _list_get(store: KeyedStateBackend, state: Any, keys: list[int]) -> None:
    for store.current_key in keys:
        state.get()


def _list_iterate(store: KeyedStateBackend, state: Any, keys: list[int]) -> None:
    for store.current_key in keys:
        for _ in state.get():
            pass


def _list_add(store: KeyedStateBackend, state: Any, keys: list[int]) -> None:
    for store.current_key in keys:
        state.add(7)


def _list_add_all(store: KeyedStateBackend, state: Any, keys: list[int]) -> None:
    for store.current_key in keys:
        state.add_all(_LIST)


_Operation = Callable[[KeyedStateBackend, Any, list[int]], None]

# With Java Flink 2.3's figures, M operations per second of CPU time, pinned: heap, RocksDB.
_CASES: tuple[tuple[str, Any, float, float, _Operation], ...] = (
    ("value get", _VALUE, 4.508, 0.237, _value_get),
    ("value update", _VALUE, 4.283, 0.376, _value_update),
    ("value get, update", _VALUE, 2.811, 0.196, _value_get_update),
    ("map get", _MAP, 2.552, 0.139, _map_get),
    ("map contains", _MAP, 2.653, 0.139, _map_contains),
    ("map iterate 10", _MAP, 0.444, 0.089, _map_iterate),
    ("map put existing", _MAP, 1.261, 0.414, _map_put),
    ("list get 100", _LIST_STATE, 2.262, 0.187, _list_get),
    ("list iterate 100", _LIST_STATE, 0.444, 0.184, _list_iterate),
    ("list add 1", _LIST_STATE, 3.454, 0.406, _list_add),
    ("list add 100", _LIST_STATE, 0.446, 0.362, _list_add_all),
)
_AIMED_ON_HEAP = ("value get", "value update")


def run_state_operations(*, quick: bool, repeats: int) -> Iterator[Measurement]:
    """Run every case on heap, and on RocksDB with cached and uncached keys."""
    for name, descriptor, heap, rocksdb, operation in _CASES:
        many = 20_000 if quick else 200_000
        if descriptor is _LIST_STATE:
            many //= 5
        settings = (
            ("heap", "512m", range(many), heap, 1.0 if name in _AIMED_ON_HEAP else None),
            ("rocksdb cached", "512m", range(min(many, 5_000)), rocksdb, 5.0),
            ("rocksdb uncached", "32m", range(many), rocksdb, 1.0),
        )
        for backend, memory, keys, java, factor in settings:
            with open_backend(backend.split()[0], memory) as store:
                state: Any = store.get_state(StateDefinition.of(descriptor, VOID))
                _fill(store, descriptor, state, keys)
                operations = _shuffled(keys, many if "uncached" not in backend else len(keys))
                run = partial(_run, store, state, operation, operations)

                run()  # what is cached is cached from now on
                yield Measurement(
                    "f",
                    name,
                    backend,
                    "M/s",
                    **repeated(repeats, run, len(operations) / 1e6),
                    java=java,
                    target=None if factor is None else factor * java,
                    note=f"{len(keys):,} keys",
                )


def _fill(store: KeyedStateBackend, descriptor: object, state: Any, keys: Sequence[int]) -> None:
    for key in keys:
        store.current_key = key
        if descriptor is _VALUE:
            state.update(key)
        elif descriptor is _MAP:
            for user_key in _MAP_KEYS:
                state.put(user_key, key)
        else:
            state.update(_LIST)
        if key % _BATCH == 0:
            store.end_batch()
    store.current_key = NO_KEY
    store.end_batch()
    if isinstance(store, RocksDBKeyedStateBackend):
        for name in store.database.column_family_names:
            family = store.database.column_family(name)
            family.flush()
            family.compact()


def _shuffled(keys: Sequence[int], count: int) -> list[int]:
    dice = random.Random(7)
    operations = array("q")
    while len(operations) < count:
        operations.extend(dice.sample(keys, len(keys)))
    return operations.tolist()


def _run(
    store: KeyedStateBackend, state: Any, operation: _Operation, operations: list[int]
) -> Stopwatch:
    batches = [operations[start : start + _BATCH] for start in range(0, len(operations), _BATCH)]
    watch = Stopwatch()
    for batch in batches:
        operation(store, state, batch)
        store.end_batch()
    watch.stop()
    store.current_key = NO_KEY
    return watch
