"""`RocksDBMapState`: a map a key, one row an entry."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from millpond.datastream.state import MapState
from millpond.state.contract.map_iterator import (
    ABSENT,
    MapStateIterator,
    ShortMapIterator,
    Walks,
)
from millpond.state.rocksdb.database import prefix_end
from millpond.state.rocksdb.map_rows import MapRows, first_of_pair, merged, present
from millpond.state.rocksdb.state import MISSING, delete_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.rocksdb.database import ColumnFamily, Cursor

__all__ = ("RocksDBMapState",)

_SHORT_MAP: Final = 64

# Entries of a map that are written back in one go; the stop that this causes takes about 1 ms.
_LARGEST_PART: Final = 256

_Entries = dict[Any, Any]


class _Part(NamedTuple):
    """Some changed entries of a large map."""

    slot: Any
    keys: list[Any]


@final
class RocksDBMapState(MapRows, MapState[Any, Any]):
    """Entries of the user's keys and values, iterated in the order of the keys' bytes.

    `_dirty` and `_clean` map a slot to what is known of its entries, ABSENT for none: what is not
    in the database yet, and what is there. The stored rows of slots in `_cleared` are void. Of
    slots in `_complete` every stored entry is in `_clean`, so that short maps need no scan. So many
    of a slot's first entries in `_dirty` as `_ordered` says are in the order of their bytes. Slots
    with an ABSENT among the entries of either are in `_holed`.
    """

    __slots__ = (
        "_clean",
        "_cleared",
        "_complete",
        "_dirty",
        "_flushes",
        "_holed",
        "_operations",
        "_ordered",
        "_under_way",
        "_walks",
    )

    def __init__(
        self, definition: StateDefinition, family: ColumnFamily, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, family, backend)
        self._dirty: dict[Any, _Entries] = {}
        self._clean: dict[Any, _Entries] = {}
        self._cleared: dict[Any, None] = {}
        self._complete: dict[Any, bool] = {}
        self._ordered: dict[Any, int] = {}
        self._holed: set[Any] = set()
        self._operations = 0
        self._flushes = 0
        self._walks = Walks()
        self._under_way = self._walks.under_way

    def get(self, key: Any) -> Any:
        """Return a key's value, None if there is none."""
        if self._key_form is not None:
            key = self._key_form(key)
        slot = self._scope.current_key
        entries = self._dirty.get(slot)
        if entries is not None:
            value = entries.get(key, MISSING)
            if value is not MISSING:
                return None if value is ABSENT else value
        value = self._load(slot, key)
        return None if value is ABSENT else value

    def put(self, key: Any, value: Any) -> None:
        """Set a key's value; None is a value."""
        # Integers are compared here: `fits` would cost as much as all that follows.
        if type(key) is int and self._least_key <= key <= self._largest_key:
            pass
        elif self._fits_key is not None and not self._fits_key(key):
            key = self.admit(key, self._key_coder, "map key")
        if type(value) is int and self._least_value <= value <= self._largest_value:
            pass
        elif value is not None and self._fits_value is not None and not self._fits_value(value):
            value = self.admit(value, self.definition.value_coder, "map value")
        slot = self._scope.current_key
        if self._under_way:
            self._walks.outdate(slot)
        entries = self._dirty.get(slot)
        try:
            if entries is None:
                self._dirty[slot] = {key: value}
            else:
                entries[key] = value
        except TypeError as error:
            self._refuse_unhashable(key, error)
        self._operations += 1
        if self._operations > self.cache_entries:
            self._make_room()

    def put_all(self, dict_value: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None) -> None:
        """Set the values of several keys, given as a dictionary or as pairs."""
        if dict_value is None:
            return
        pairs = dict_value.items() if isinstance(dict_value, Mapping) else dict_value
        for key, value in list(pairs):
            self.put(key, value)

    def remove(self, key: Any) -> None:
        """Remove a key; nothing happens if it is not there."""
        if self._key_form is not None:
            key = self._key_form(key)
        self.remove_at(self._scope.current_key, key)

    def contains(self, key: Any) -> bool:
        """Return whether a key has a value other than None, as PyFlink does."""
        return self.get(key) is not None

    def clear(self) -> None:
        """Remove the entries of the current key and namespace; the rows go at the next flush."""
        slot = self._scope.current_key
        if self._under_way:
            self._walks.outdate(slot)
        self._dirty.pop(slot, None)
        self._ordered.pop(slot, None)
        self._clean.pop(slot, None)
        self._complete.pop(slot, None)
        self._holed.discard(slot)
        self._cleared[slot] = None
        self._operations += 1

    def is_empty(self) -> bool:
        """Return whether there is no entry."""
        slot = self._scope.current_key
        entries = self._dirty.get(slot, {})
        if any(value is not ABSENT for value in entries.values()):
            return False
        if slot in self._cleared:
            return True
        if slot in self._complete:
            stored = self._clean[slot].items()
            return all(value is ABSENT or key in entries for key, value in stored)
        prefix = self.composite_key(slot)
        is_stored = False
        for row in self._family.scan_keys(prefix):
            is_stored = True
            if entries.get(self._decode_key(row, len(prefix)), MISSING) is not ABSENT:
                return False
        if not is_stored:
            self._know_all(slot, {})
        return True

    def items(self) -> MapStateIterator:
        """Iterate over (key, value) pairs; the iterator can `remove()`."""
        return self._iterate(_pair)

    def keys(self) -> MapStateIterator:
        """Iterate over the keys; the iterator can `remove()`."""
        return self._iterate(_key)

    def values(self) -> MapStateIterator:
        """Iterate over the values; the iterator can `remove()`."""
        return self._iterate(_value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._iterate(_key))

    def _iterate(self, shape: Callable[[Any, Any], Any]) -> MapStateIterator:
        slot = self._scope.current_key
        stored = self._short(slot)
        if stored is None:
            return self._iterate_long(slot, shape)
        entries = self._short_entries(slot, stored)
        keys = list(entries)
        if shape is _pair:
            results: list[Any] = list(entries.items())
        else:
            results = list(entries.values()) if shape is _value else keys[:]
        return self._walks.add(ShortMapIterator(keys, results, self, slot, shape))

    def _iterate_long(self, slot: Any, shape: Callable[[Any, Any], Any]) -> MapStateIterator:
        stored: _Entries = {}
        flushes = self._flushes

        def lookup(key: Any) -> Any:
            if (
                self._flushes == flushes
                and slot not in self._cleared
                and key not in self._dirty.get(slot, ())
            ):
                # What was read is still what is in the database.
                value = stored.get(key, MISSING)
                if value is not MISSING:
                    return value
            return self.entry_at(slot, key)

        keys = self._keys_of_long(slot, stored)
        return MapStateIterator(keys, lookup, partial(self.remove_at, slot), shape)

    def entry_at(self, slot: Any, key: Any) -> Any:
        """Return a key's value in the map of a slot, or ABSENT."""
        entries = self._dirty.get(slot)
        if entries is not None:
            value = entries.get(key, MISSING)
            if value is not MISSING:
                return value
        return self._load(slot, key)

    def _short(self, slot: Any) -> _Entries | None:
        """Return what is stored for a slot in the order of the rows; None if that is much.

        Values may be ABSENT.
        """
        if slot in self._cleared:
            return {}
        is_sorted = self._complete.get(slot)
        if is_sorted is not None:
            known = self._clean[slot]
            if not is_sorted:
                known = self._clean[slot] = {key: known[key] for key in self._sorted(slot, known)}
                self._complete[slot] = True
            return known
        prefix = self.composite_key(slot)
        rows = self._family.read(prefix, prefix_end(prefix), _SHORT_MAP + 1)
        if len(rows) > _SHORT_MAP:
            return None
        decode_key, decode_value, start = self._decode_map_key, self._decode_row, len(prefix)
        try:
            found = {decode_key(key, start): decode_value(row) for key, row in rows}
        except Exception as error:
            raise self.damaged(error) from error
        before = self._clean.get(slot)
        if before:
            # What was known before are these very objects, which may have been handed out.
            found.update(before)
        self._know_all(slot, found)
        return found

    def _short_entries(self, slot: Any, stored: _Entries) -> _Entries:
        """Return the entries in the order of the rows; not to be changed by the caller."""
        is_holed = slot in self._holed
        if is_holed:
            stored = present(stored)
        changed = self._dirty.get(slot)
        if not changed:
            return stored
        if not stored:
            changed = self._new_entries(slot, changed)
            return present(changed) if is_holed else changed
        entries = {**stored, **changed}
        is_stored = len(entries) == len(stored)
        if is_holed:
            entries = present(entries)
        if is_stored:
            return entries
        return {key: entries[key] for key in self._sorted(slot, entries)}

    def _new_entries(self, slot: Any, changed: _Entries) -> _Entries:
        """Keep the entries of a map of which nothing is stored in their order."""
        if self._ordered.get(slot) != len(changed):
            changed = {key: changed[key] for key in self._sorted(slot, changed)}
            self._dirty[slot] = changed
            self._ordered[slot] = len(changed)
        return changed

    def _keys_of_long(self, slot: Any, scanned: _Entries) -> Iterator[Any]:
        """Return the keys of a slot with many rows; `scanned` has the value of the last one."""
        prefix = self.composite_key(slot)
        new: list[tuple[bytes, Any]] = []
        removed: set[Any] = set()
        for key, value in self._dirty.get(slot, {}).items():
            if value is ABSENT:
                removed.add(key)
            else:
                new.append((self._encode_key(slot, key), key))
        new.sort(key=first_of_pair)
        cursor = self._family.cursor(prefix, prefix_end(prefix))
        keys = merged(new, self._stored(cursor, len(prefix), scanned))
        return (key for key in keys if key not in removed) if removed else keys

    def _load(self, slot: Any, key: Any) -> Any:
        """Return the value of a key that `_dirty` knows nothing about."""
        if slot in self._cleared:
            return ABSENT
        entries = self._clean.get(slot)
        if entries is None:
            entries = self._clean[slot] = {}
        else:
            value = entries.get(key, MISSING)
            if value is not MISSING:
                return value
            if slot in self._complete:
                return ABSENT
        row = self._family.get(self.composite_key(slot) + self._encode_key(slot, key))
        value = ABSENT if row is None else self._decode_value(row)
        if row is not None and len(row) > self._entry_bytes:
            self._learn(row)
        self._operations += 1
        if self._operations > self.cache_entries:
            self._make_room()
            entries = self._clean.setdefault(slot, {})
        entries[key] = value
        if value is ABSENT:
            self._holed.add(slot)
        return value

    def remove_at(self, slot: Any, key: Any) -> None:
        """Remove a key from the map of a slot; nothing happens if it is not there."""
        if self._under_way:
            self._walks.outdate(slot)
        entries = self._dirty.get(slot)
        if slot in self._cleared:
            if entries is not None:
                entries.pop(key, None)
                self._ordered.pop(slot, None)
            return
        if entries is None:
            entries = self._dirty[slot] = {}
        entries[key] = ABSENT
        self._holed.add(slot)
        self._operations += 1
        if self._operations > self.cache_entries:
            self._make_room()

    def _stored(
        self, cursor: Cursor, prefix_length: int, scanned: _Entries
    ) -> Iterator[tuple[bytes, Any]]:
        """Yield encoded and decoded keys."""
        for row_key, row in cursor.rows():
            key = self._decode_key(row_key, prefix_length)
            scanned.clear()
            scanned[key] = self._decode_value(row)
            yield row_key[prefix_length:], key
        cursor.close()

    def _know_all(self, slot: Any, stored: _Entries) -> None:
        """Remember every stored entry of a slot, unless the cache is full."""
        self._operations += len(stored) + 1
        if self._operations > self.cache_entries:
            return
        known = self._clean.get(slot)
        if known:
            # What is known already are these very objects, which may have been handed out.
            stored = {**stored, **known}
        self._clean[slot] = stored
        self._complete[slot] = True

    def flush(self) -> None:
        """Write cleared and changed rows, sorted, in batches."""
        self._write()
        clean = self._clean
        for slot in self._cleared:
            clean[slot] = {}
            self._complete[slot] = True
        for slot, entries in self._dirty.items():
            known = clean.get(slot)
            if known is None:
                clean[slot] = entries
                continue
            if self._complete.get(slot):
                # Keys that are new, or were looked for in vain, are behind those of their rows.
                self._complete[slot] = all(known.get(k, ABSENT) is not ABSENT for k in entries)
            known.update(entries)
        self._dirty.clear()
        self._cleared.clear()

    @property
    def changed_count(self) -> int:
        """How many slots have changed entries; those that were cleared first count twice."""
        return len(self._dirty) + len(self._cleared)

    def changed_parts(self) -> list[Any]:
        """Return the slots with changed entries; of large maps pieces."""
        dirty, cleared = self._dirty, self._cleared
        parts: list[Any] = [slot for slot in cleared if slot not in dirty]
        for slot, entries in dirty.items():
            if len(entries) <= _LARGEST_PART or slot in cleared:
                parts.append(slot)
            else:
                keys = list(entries)
                parts += [
                    _Part(slot, keys[start : start + _LARGEST_PART])
                    for start in range(0, len(keys), _LARGEST_PART)
                ]
        return parts

    def count_changed(self, parts: Iterable[Any]) -> int:
        """Return how many of the parts have changed entries; of a piece its first one counts."""
        dirty, cleared = self._dirty, self._cleared
        return sum(
            part.keys[0] in dirty.get(part.slot, ())
            if type(part) is _Part
            else part in dirty or part in cleared
            for part in parts
        )

    def write_back(self, parts: Iterable[Any]) -> None:
        """Write the changed entries of some parts."""
        self._ordered.clear()
        dirty, cleared = self._dirty, self._cleared
        part_dirty: dict[Any, _Entries] = {}
        part_cleared: dict[Any, None] = {}
        for part in parts:
            slot = part.slot if type(part) is _Part else part
            if slot in cleared:
                part_cleared[slot] = cleared.pop(slot)
            entries = dirty.get(slot)
            if entries is None:
                continue
            if type(part) is not _Part or slot in part_cleared:
                part_dirty.setdefault(slot, {}).update(dirty.pop(slot))
                continue
            taken = {key: entries.pop(key) for key in part.keys if key in entries}
            part_dirty.setdefault(slot, {}).update(taken)
            if not entries:
                del dirty[slot]
        self._dirty, self._cleared = part_dirty, part_cleared
        try:
            self.flush()
        finally:
            # Nothing is left of the parts, unless it failed.
            for slot, entries in self._dirty.items():
                dirty[slot] = {**entries, **dirty.get(slot, {})}
            cleared.update(self._cleared)
            self._dirty, self._cleared = dirty, cleared

    def _make_room(self) -> None:
        """Write and drop what is held, unless it is few entries that are used again and again."""
        dirty, clean = self._dirty, self._clean
        held = len(dirty) + len(clean) + len(self._cleared)
        held += sum(map(len, dirty.values())) + sum(map(len, clean.values()))
        if held > self.cache_entries // 2:
            self.evict()
        else:
            self._operations = held

    def evict(self) -> None:
        """Flush and keep only what was changed."""
        self._write()
        self._clean.clear()
        self._complete.clear()
        self._clean.update(self._dirty)
        self._holed.intersection_update(self._dirty)
        self._dirty.clear()
        self._cleared.clear()
        self._operations = 0

    def _write(self) -> None:
        if not self._dirty and not self._cleared:
            return
        rows: list[tuple[bytes, bytes | None]] = []
        for slot in self._cleared:
            prefix = self.composite_key(slot)
            kept = [prefix + self._encode_key(slot, key) for key in self._dirty.get(slot, ())]
            rows += delete_rows(self._family, prefix, kept)
        prefixes = self.composite_keys(self._dirty)
        for (slot, entries), prefix in zip(self._dirty.items(), prefixes, strict=True):
            for key, value in entries.items():
                if value is not ABSENT:
                    row = self._encode_value(slot, value)
                    rows.append((prefix + self._encode_key(slot, key), row))
                elif self._clean.get(slot, {}).get(key, MISSING) is not ABSENT:
                    rows.append((prefix + self._encode_key(slot, key), None))
        self._write_rows(rows)
        self._ordered.clear()
        self._flushes += 1


def _pair(key: Any, value: Any) -> tuple[Any, Any]:
    return key, value


def _key(key: Any, value: Any) -> Any:
    return key


def _value(key: Any, value: Any) -> Any:
    return value
