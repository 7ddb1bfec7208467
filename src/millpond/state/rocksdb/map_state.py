"""`RocksDBMapState`: a map a key, one row an entry."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, final

from millpond.datastream.state import MapState
from millpond.errors import FormatError, SerializationError, StateTypeError
from millpond.state.contract.declared_type import encoder_error, fits, key_form
from millpond.state.contract.map_iterator import ABSENT, MapStateIterator
from millpond.state.rocksdb.database import prefix_end
from millpond.state.rocksdb.state import MISSING, RocksDBState, delete_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.rocksdb.database import ColumnFamily, Cursor

__all__ = ("RocksDBMapState",)

_INT: Final = struct.Struct(">i")
_SHORT_MAP: Final = 64

# Entries of a map that are written back in one go; the stop that this causes takes about 1 ms.
_LARGEST_PART: Final = 256

_Entries = dict[Any, Any]


class _Part(NamedTuple):
    """Some changed entries of a large map."""

    slot: Any
    keys: list[Any]


@final
class RocksDBMapState(RocksDBState, MapState[Any, Any]):
    """Entries of the user's keys and values, iterated in the order of the keys' bytes.

    `_dirty` and `_clean` map a slot to what is known of its entries, ABSENT for none: what is not
    in the database yet, and what is there. The stored rows of slots in `_cleared` are void. Of
    slots in `_complete` every stored entry is in `_clean`, so that short maps need no scan.
    """

    __slots__ = (
        "_clean",
        "_cleared",
        "_complete",
        "_dirty",
        "_fits_key",
        "_fits_value",
        "_flushes",
        "_key_coder",
        "_key_form",
        "_operations",
    )

    def __init__(
        self, definition: StateDefinition, family: ColumnFamily, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, family, backend)
        if definition.map_key_coder is None:
            raise StateTypeError("A map state needs a type of keys.", state=definition.name)
        self._key_coder = definition.map_key_coder
        self._fits_key = fits(self._key_coder)
        self._key_form = key_form(self._key_coder)
        self._fits_value = fits(definition.value_coder)
        self._dirty: dict[Any, _Entries] = {}
        self._clean: dict[Any, _Entries] = {}
        self._cleared: dict[Any, None] = {}
        self._complete: dict[Any, bool] = {}
        self._operations = 0
        self._flushes = 0

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
        if self._fits_key is not None and not self._fits_key(key):
            key = self.admit(key, self._key_coder, "map key")
        if value is not None and self._fits_value is not None and not self._fits_value(value):
            value = self.admit(value, self.definition.value_coder, "map value")
        slot = self._scope.current_key
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
            self.evict()

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
        self._remove(self._scope.current_key, key)

    def contains(self, key: Any) -> bool:
        """Return whether a key has a value other than None, as PyFlink does."""
        return self.get(key) is not None

    def clear(self) -> None:
        """Remove the entries of the current key and namespace; the rows go at the next flush."""
        slot = self._scope.current_key
        self._dirty.pop(slot, None)
        self._clean.pop(slot, None)
        self._complete.pop(slot, None)
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

    def __iter__(self) -> MapStateIterator:
        return self._iterate(_key)

    def _iterate(self, shape: Callable[[Any, Any], Any]) -> MapStateIterator:
        slot = self._scope.current_key
        stored = self._short(slot)
        keys: Iterable[Any]
        if stored is None:
            stored = {}
            keys = self._keys_of_long(slot, stored)
        else:
            keys = self._keys_of_short(slot, stored)
        flushes = self._flushes

        def lookup(key: Any) -> Any:
            now = self._dirty.get(slot)
            if now is not None:
                value = now.get(key, MISSING)
                if value is not MISSING:
                    return value
            if self._flushes == flushes and slot not in self._cleared:
                # What was read is still what is in the database.
                value = stored.get(key, MISSING)
                if value is not MISSING:
                    return value
            return self._load(slot, key)

        def remove(key: Any) -> None:
            self._remove(slot, key)

        return MapStateIterator(keys, lookup, remove, shape)

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
        cursor = self._family.cursor(prefix, prefix_end(prefix))
        try:
            rows = cursor.read(_SHORT_MAP + 1)
        finally:
            cursor.close()
        if len(rows) > _SHORT_MAP:
            return None
        decode_key, decode_value, start = self._decode_key, self._decode_value, len(prefix)
        found = {decode_key(key, start): decode_value(row) for key, row in rows}
        self._know_all(slot, found)
        # What was known before are these very objects, which may have been handed out.
        return {**found, **self._clean.get(slot, {})}

    def _keys_of_short(self, slot: Any, stored: _Entries) -> list[Any]:
        keys = [key for key, value in stored.items() if value is not ABSENT]
        changed = self._dirty.get(slot)
        if not changed:
            return keys
        present = {**dict.fromkeys(keys, MISSING), **changed}
        keys = [key for key, value in present.items() if value is not ABSENT]
        is_stored = all(stored.get(key, ABSENT) is not ABSENT for key in changed)
        return keys if is_stored else self._sorted(slot, keys)

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
        new.sort(key=_encoded)
        cursor = self._family.cursor(prefix, prefix_end(prefix))
        keys = _merged(new, self._stored(cursor, len(prefix), scanned))
        return (key for key in keys if key not in removed) if removed else keys

    def _sorted(self, slot: Any, keys: Iterable[Any]) -> list[Any]:
        encoded = sorted([(self._encode_key(slot, key), key) for key in keys], key=_encoded)
        return [key for _, key in encoded]

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
            self.evict()
            entries = self._clean[slot] = {}
        entries[key] = value
        return value

    def _remove(self, slot: Any, key: Any) -> None:
        entries = self._dirty.get(slot)
        if slot in self._cleared:
            if entries is not None:
                entries.pop(key, None)
            return
        if entries is None:
            entries = self._dirty[slot] = {}
        entries[key] = ABSENT
        self._operations += 1
        if self._operations > self.cache_entries:
            self.evict()

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
        # What is known already are these very objects, which may have been handed out.
        self._clean[slot] = {**stored, **self._clean.get(slot, {})}
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

    def evict(self) -> None:
        """Flush and keep only what was changed."""
        self._write()
        self._clean.clear()
        self._complete.clear()
        self._clean.update(self._dirty)
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
        for slot, entries in self._dirty.items():
            prefix = self.composite_key(slot)
            known = self._clean.get(slot, {})
            for key, value in entries.items():
                if value is not ABSENT:
                    row = self._encode_value(slot, value)
                    rows.append((prefix + self._encode_key(slot, key), row))
                elif known.get(key, MISSING) is not ABSENT:
                    rows.append((prefix + self._encode_key(slot, key), None))
        self._write_rows(rows)
        self._flushes += 1

    def _encode_key(self, slot: Any, key: Any) -> bytes:
        try:
            data = self._key_coder.encode(key)
            return _INT.pack(len(data)) + data
        except struct.error:
            self.refuse_size(self._key_of(slot), len(data))
        except Exception as error:
            raise self._unfit(error, key) from error

    def _decode_key(self, row: bytes, offset: int) -> Any:
        try:
            if _INT.unpack_from(row, offset)[0] != len(row) - offset - 4:
                raise FormatError("A map key has an impossible length.", bytes=len(row) - offset)
            return self._key_coder.decode_from(row, offset + 4)[0]
        except Exception as error:
            raise self.damaged(error) from error

    def _encode_value(self, slot: Any, value: Any) -> bytes:
        try:
            return self.codec.encode_map_value(value)
        except struct.error:
            self.refuse_size(self._key_of(slot), 1 << 31)
        except Exception as error:
            raise self.unencodable(error, slot, value) from error

    def _decode_value(self, row: bytes) -> Any:
        try:
            return self.codec.decode_map_value(row)
        except Exception as error:
            raise self.damaged(error) from error

    def _unfit(self, error: Exception, key: Any) -> Exception:
        return encoder_error(
            error,
            self._key_coder,
            key,
            state=self.definition.name,
            operator=self._operator_name,
            key=self._backend.current_key,
            part="map key",
        )

    def _refuse_unhashable(self, key: Any, error: TypeError) -> NoReturn:
        raise self._unfit(SerializationError("Map keys must be hashable."), key) from error


def _merged(new: list[tuple[bytes, Any]], stored: Iterator[tuple[bytes, Any]]) -> Iterator[Any]:
    """Yield keys in the order of their bytes, those in both once."""
    position = 0
    for encoded, key in stored:
        while position < len(new) and new[position][0] < encoded:
            yield new[position][1]
            position += 1
        if position < len(new) and new[position][0] == encoded:
            position += 1
        yield key
    for _, key in new[position:]:
        yield key


def _encoded(entry: tuple[bytes, Any]) -> bytes:
    return entry[0]


def _pair(key: Any, value: Any) -> tuple[Any, Any]:
    return key, value


def _key(key: Any, value: Any) -> Any:
    return key


def _value(key: Any, value: Any) -> Any:
    return value
