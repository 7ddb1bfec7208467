"""`RocksDBValueState`: one value a key; `ValueRows`, the cache that reducing state shares."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, final

from millpond.datastream.state import ValueState
from millpond.state.contract.declared_type import EXACT_TYPES, INTEGER_RANGES, fits, rounds
from millpond.state.rocksdb.object_cache import DUELLING, ObjectCache
from millpond.state.rocksdb.object_size import object_bytes
from millpond.state.rocksdb.state import MISSING, RocksDBState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.rocksdb.database import ColumnFamily

__all__ = ("RocksDBValueState", "ValueRows", "rocksdb_value_state")

# What two dictionaries take for an entry at most, while one of them grows.
_PLACE_BYTES: Final = 96
_SAMPLE: Final = 64
# Far too many, so that the first values are weighed soon.
_FIRST_ENTRY_BYTES: Final = 1 << 16
# What is changed is written in the pause of a snapshot, at 1 to 2 us of CPU time each.
_MOST_CHANGED: Final = 1 << 18
# Rows are made in pieces of about this size, so that writing many needs little memory.
_PIECE_BYTES: Final = 4 << 20
# One miss in so many is kept while few values are found again; a power of two.
_ADMITTED: Final = 4


@final
class _Written(dict[Any, Any]):
    """Values that are not in the database yet; `get` looks there too, as the contract asks.

    The state itself uses the plain dictionary's `get`, which knows nothing of the database.
    """

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[Any], Any]) -> None:
        super().__init__()
        self._read = read

    def get(self, key: Any, default: Any = None) -> Any:
        value = self._read(key)
        return default if value is None else value


class ValueRows(RocksDBState):
    """State with one row a slot.

    `_dirty` maps slots to values that are not in the database yet, `_cache` to what is there;
    None is "absent" in both. A slot that is worked with stays in `_dirty` until it is written,
    so that reading and writing it costs one dictionary operation each, as on the heap.

    Attributes:
        cache_entries: how many values may be in `_dirty` before room is made.
    """

    __slots__ = (
        "_cache",
        "_capacity",
        "_clean",
        "_decode",
        "_dirty",
        "_fits",
        "_found",
        "_is_reluctant",
        "_missed",
        "_most_changed",
        "_rounds",
        "_written",
    )

    def __init__(
        self, definition: StateDefinition, family: ColumnFamily, backend: KeyedStateBackend
    ) -> None:
        self._dirty = _Written(self._read)
        self._written: Callable[..., Any] = super(_Written, self._dirty).get
        self._cache = ObjectCache()
        self._clean = self._cache.clean
        self._capacity = 0
        self._found = self._missed = 0
        self._is_reluctant = False
        self._most_changed = _MOST_CHANGED
        super().__init__(definition, family, backend)
        self._entry_bytes = _FIRST_ENTRY_BYTES
        self.limit_cache(self._cache_bytes)
        self._decode = self.codec.decode
        self._fits = fits(definition.value_coder)
        self._rounds = rounds(definition.value_coder)

    def _read(self, slot: Any) -> Any:
        value = self._written(slot, MISSING)
        return self._load(slot) if value is MISSING else value

    def entries(self) -> dict[Any, Any] | None:
        """Return the values as a mapping; see `SupportsEntries` for the rules."""
        return None if self._rounds else self._dirty

    def take(self, slots: Iterable[Any]) -> list[Any]:
        """Remove values and return them, None where there is none."""
        listed = list(slots)
        taken = [self._read(slot) for slot in listed]
        self._dirty.update(dict.fromkeys(listed))
        if len(self._dirty) > self.cache_entries:
            self._make_room()
        return taken

    def _load(self, slot: Any) -> Any:
        clean = self._clean
        value = clean.get(slot, MISSING)
        if value is not MISSING:
            self._found += 1
            return value
        place, cache, family = clean, self._cache, self._family
        # Most slots are neither on trial nor in its control; for them nothing is called.
        if cache.is_contested and not hash((slot,)) & DUELLING:
            value = cache.missed(slot, MISSING)
            if value is not MISSING:
                return value
            place = cache.place
        row_key = self.composite_key(slot)
        try:
            row = family.raw_get(row_key)
        except Exception:  # noqa: BLE001 - once more, for an error with words
            row = family.get(row_key)
        self._missed += 1
        if row is None:
            value = None
        else:
            try:
                value = self._decode(row)
            except Exception as error:
                raise self.damaged(error) from error
            if len(row) > self._entry_bytes:
                self._learn(row)
            # What is absent is kept always: to know it saves a deletion.
            if self._is_reluctant and self._missed % _ADMITTED and place is clean:
                return value
        if len(self._dirty) + len(clean) >= self._capacity:
            self._make_room()
        place[slot] = value
        self.cache_entries -= 1
        return value

    def _store(self, slot: Any, value: Any) -> None:
        if value is not None and self._fits is not None and not self._fits(value):
            value = self.admit(value, self.definition.value_coder)
        dirty = self._dirty
        dirty[slot] = value
        if len(dirty) > self.cache_entries:
            self._make_room()

    def clear(self) -> None:
        """Remove the value of the current key and namespace."""
        self._store(self._scope.current_key, None)

    def _set_entries(self) -> None:
        self._capacity = self._entries_within(self._cache_bytes)
        self.cache_entries = min(self._most_changed, self._capacity - len(self._cache))

    def end_batch(self) -> None:
        """Look at the newest value, so that none can grow unnoticed; see that all have room."""
        dirty = self._dirty
        if not dirty:
            return
        slot = next(reversed(dirty))
        found = _PLACE_BYTES + object_bytes(slot) + object_bytes(self._written(slot))
        if found > self._entry_bytes:
            self._entry_bytes = found
            self.limit_cache(self._cache_bytes)
        # Writers through `entries` do not look at the number themselves.
        if len(dirty) > self.cache_entries:
            self._make_room()

    def _make_room(self) -> None:
        """Drop values, or else write all changed ones, until an eighth of the cache is free."""
        dirty, cache = self._dirty, self._cache
        self._weigh(dirty or self._clean)
        # To keep a value costs a third of reading it: too much where hardly any comes again.
        self._is_reluctant = cache.is_contested and self._missed > 2 * self._found
        self._found = self._missed = 0
        capacity = self._capacity
        is_full = len(dirty) + len(cache) > capacity - (capacity >> 3) - 1
        if len(dirty) > self._most_changed or (is_full and not cache.make_room(dirty, capacity)):
            self._write(dirty)
            cache.absorb(dirty, capacity)
            dirty.clear()
        self.limit_cache(self._cache_bytes)

    def _weigh(self, values: dict[Any, Any]) -> None:
        """Learn from some values how large all are."""
        slots = list(islice(values, 0, None, len(values) // _SAMPLE + 1))
        if slots:
            get = partial(dict.get, values)
            size = sum(object_bytes(slot) + object_bytes(get(slot)) for slot in slots)
            self._entry_bytes = _PLACE_BYTES + size // len(slots)
            self.limit_cache(self._cache_bytes)

    def _learn_rows(self, rows: list[tuple[bytes, bytes | None]]) -> None:
        """Do nothing: the objects themselves are weighed."""

    def flush(self) -> None:
        """Write the changed values, sorted, in batches."""
        dirty = self._dirty
        if not dirty:
            return
        self._write(dirty)
        self._cache.absorb(dirty, self._capacity)
        dirty.clear()
        self.limit_cache(self._cache_bytes)

    @property
    def changed_count(self) -> int:
        """How many slots have changed values."""
        return len(self._dirty)

    def changed_parts(self) -> list[Any]:
        """Return the slots with changed values, those that were changed first in front."""
        return list(self._dirty)

    def count_changed(self, parts: Iterable[Any]) -> int:
        """Return how many of the slots have a changed value."""
        return sum(map(self._dirty.__contains__, parts))

    def leave_changes(self, *, left: bool) -> None:
        """Let changed values be as many as fit, or write them when they are many."""
        self._most_changed = 1 << 62 if left else _MOST_CHANGED
        self.limit_cache(self._cache_bytes)

    def write_back(self, parts: Iterable[Any]) -> None:
        """Write the changed values of some slots."""
        dirty = self._dirty
        piece = {slot: dirty[slot] for slot in parts if slot in dirty}
        if not piece:
            return
        self._write(piece)
        self._cache.absorb(piece, self._capacity)
        for slot in piece:
            del dirty[slot]
        self.limit_cache(self._cache_bytes)

    def evict(self) -> None:
        """Flush and keep only what was changed."""
        dirty = self._dirty
        self._write(dirty)
        self._cache.clear()
        self._cache.absorb(dirty, self._capacity)
        dirty.clear()
        self.limit_cache(self._cache_bytes)

    def _write(self, dirty: dict[Any, Any]) -> None:
        count = max(1, _PIECE_BYTES // self._entry_bytes)
        if len(dirty) <= count:
            self._write_piece(dirty)
            return
        entries = iter(dirty.items())
        while piece := dict(islice(entries, count)):
            self._write_piece(piece)

    def _write_piece(self, dirty: dict[Any, Any]) -> None:
        if None in dirty.values():
            # Not for what is known to be absent: tombstones slow all later reads down.
            is_absent = self._cache.is_absent
            gone = [slot for slot, value in dirty.items() if value is None and not is_absent(slot)]
            kept = {slot: value for slot, value in dirty.items() if value is not None}
            deletions = self.composite_keys(gone)
        else:
            kept, deletions = dirty, []
        row_keys = self.composite_keys(kept)
        try:
            values = self.codec.encode_many(kept.values())
        except Exception:
            # Once more one by one, for an error that names the key.
            for slot, value in kept.items():
                self.encode(slot, value)
            raise
        rows: list[tuple[bytes, bytes | None]] = list(zip(row_keys, values, strict=True))
        rows += [(row_key, None) for row_key in deletions]
        self._write_rows(rows)


class RocksDBValueState(ValueRows, ValueState[Any]):
    """A value of a type that needs no check: pickled."""

    __slots__ = ()

    def value(self) -> Any:
        """Return the value, None if there is none."""
        slot = self._scope.current_key
        value = self._written(slot)
        if value is not None:
            return value
        # A value that was removed, or one that the dictionary does not know.
        return None if slot in self._dirty else self._load(slot)

    def update(self, value: Any) -> None:
        """Set the value; None removes it."""
        dirty = self._dirty
        dirty[self._scope.current_key] = value
        if len(dirty) > self.cache_entries:
            self._make_room()


@final
class _CheckedValueState(RocksDBValueState):
    """A value of a composite type."""

    __slots__ = ()

    def update(self, value: Any) -> None:
        """Set the value; None removes it."""
        self._store(self._scope.current_key, value)


@final
class _ExactValueState(RocksDBValueState):
    """A value of a type whose instances all fit: texts, floats, booleans."""

    __slots__ = ("_type",)

    def __init__(
        self, definition: StateDefinition, family: ColumnFamily, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, family, backend)
        self._type = EXACT_TYPES[definition.value_coder.signature]

    def update(self, value: Any) -> None:
        """Set the value; None removes it."""
        if type(value) is self._type:
            dirty = self._dirty
            dirty[self._scope.current_key] = value
            if len(dirty) > self.cache_entries:
                self._make_room()
        else:
            self._store(self._scope.current_key, value)


@final
class _IntegerValueState(RocksDBValueState):
    """An integer of bounded size."""

    __slots__ = ("_high", "_low")

    def __init__(
        self, definition: StateDefinition, family: ColumnFamily, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, family, backend)
        self._low, self._high = INTEGER_RANGES[definition.value_coder.signature]

    def update(self, value: Any) -> None:
        """Set the value; None removes it."""
        if type(value) is int and self._low <= value <= self._high:
            dirty = self._dirty
            dirty[self._scope.current_key] = value
            if len(dirty) > self.cache_entries:
                self._make_room()
        else:
            self._store(self._scope.current_key, value)


def rocksdb_value_state(
    definition: StateDefinition, family: ColumnFamily, backend: KeyedStateBackend
) -> RocksDBValueState:
    """Make the value state with the cheapest check of the declared type."""
    coder = definition.value_coder
    if coder.signature in EXACT_TYPES:
        return _ExactValueState(definition, family, backend)
    if coder.signature in INTEGER_RANGES:
        return _IntegerValueState(definition, family, backend)
    if fits(coder) is not None:
        return _CheckedValueState(definition, family, backend)
    return RocksDBValueState(definition, family, backend)
