"""`RocksDBListState`: a list a key, in rows of a few elements, so that appending reads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from millpond.datastream.state import ListState
from millpond.state.contract.declared_type import all_fit, fits
from millpond.state.rocksdb.database import prefix_end
from millpond.state.rocksdb.state import RocksDBState, delete_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.rocksdb.database import ColumnFamily, Cursor
    from millpond.state.rocksdb.list_sequence import ListSequence

__all__ = ("RocksDBListState",)

_CACHED_ELEMENTS: Final = 1024
# What an element takes in memory beside its bytes, and what a list takes, in elements.
_ELEMENT_BYTES: Final = 64
_LIST_ELEMENTS: Final = 4
_PIECE_ROWS: Final = 512
_SHORT_READ_ROWS: Final = 64


@final
class RocksDBListState(RocksDBState, ListState[Any]):
    """Elements in the order they were added.

    A row is composite key ‖ 8-byte sequence number; the numbers ascend over the whole backend.
    It holds what was added between two flushes, or a bounded part of it.
    `_tails` holds the elements that are not written yet, `_cleared` the slots whose rows are void
    when the cache is written back, `_clean` whole lists, short ones, as the database has them.
    The cache counts elements, and a few more for each list.
    """

    __slots__ = ("_appended", "_clean", "_cleared", "_fits", "_loaded", "_sequence", "_tails")

    def __init__(
        self,
        definition: StateDefinition,
        family: ColumnFamily,
        backend: KeyedStateBackend,
        sequence: ListSequence,
    ) -> None:
        super().__init__(definition, family, backend)
        self._tails: dict[Any, list[Any]] = {}
        self._clean: dict[Any, list[Any]] = {}
        self._cleared: dict[Any, None] = {}
        self._appended = 0
        self._loaded = 0
        self._sequence = sequence
        self._fits = fits(definition.value_coder)

    def get(self) -> Iterable[Any]:
        """Return the elements of now: a new list, or for long lists a lazy, repeatable view."""
        slot = self._scope.current_key
        tail = self._tails.get(slot, ())
        if slot in self._cleared:
            return list(tail)
        stored: list[Any] | Cursor | None = self._clean.get(slot)
        if stored is None:
            stored = self._load(slot)
        if isinstance(stored, list):
            return [*stored, *tail]
        return _LongList(self, stored, self.composite_key(slot), list(tail))

    def add(self, value: Any) -> None:
        """Append an element. O(1), without reading."""
        if self._fits is not None and not self._fits(value):
            if value is None:
                self.refuse_none("added to a list state")
            value = self.admit(value, self.definition.value_coder, "list element")
        slot = self._scope.current_key
        tail = self._tails.get(slot)
        if tail is None:
            self._tails[slot] = [value]
            self._appended += 1 + _LIST_ELEMENTS
        else:
            tail.append(value)
            self._appended += 1
        if self._appended > self.cache_entries:
            self._make_room()

    def add_all(self, values: Iterable[Any]) -> None:
        """Append elements; none of them if one does not fit."""
        added = self._checked(values)
        if added:
            self._append(self._scope.current_key, added)

    def update(self, values: Iterable[Any]) -> None:
        """Replace the elements; an empty iterable removes them all."""
        elements = self._checked(values)
        slot = self._scope.current_key
        self._clear(slot)
        if elements:
            self._append(slot, elements)

    def clear(self) -> None:
        """Remove the elements of the current key and namespace."""
        self._clear(self._scope.current_key)

    def merge_namespaces(self, target: Any, sources: Iterable[Any]) -> None:
        """Move the lists of `sources` behind the list of `target`."""
        target_slot = self.at(target)
        for namespace in sources:
            slot = self.at(namespace)
            if slot == target_slot:
                continue
            for piece in self._pieces(slot):
                self._append(target_slot, piece)
            self._clear(slot)

    def _pieces(self, slot: Any) -> Iterator[list[Any]]:
        tail = self._tails.get(slot, [])[:]
        if slot not in self._cleared:
            stored: list[Any] | Cursor | None = self._clean.get(slot)
            if stored is None:
                stored = self._load(slot)
            if isinstance(stored, list):
                yield stored
            else:
                yield from self.read_pieces(stored, self.composite_key(slot))
        yield tail

    def _append(self, slot: Any, elements: list[Any]) -> None:
        if not elements:
            return
        tail = self._tails.get(slot)
        if tail is None:
            self._tails[slot] = elements[:]
            self._appended += len(elements) + _LIST_ELEMENTS
        else:
            tail += elements
            self._appended += len(elements)
        if self._appended > self.cache_entries:
            self._make_room()

    def _clear(self, slot: Any) -> None:
        tail = self._tails.pop(slot, None)
        if tail is not None:
            self._appended -= len(tail) + _LIST_ELEMENTS
        # A list known to be empty in the database needs no deletion there.
        if self._clean.get(slot) != []:
            self._cleared[slot] = None
            self._clean.pop(slot, None)

    def _load(self, slot: Any) -> list[Any] | Cursor:
        """Return the stored elements, or a cursor if they are many."""
        start = self.composite_key(slot)
        end = prefix_end(start)
        rows = self._family.read(start, end, _SHORT_READ_ROWS)
        elements: list[Any] = self._decode(rows[0][1]) if rows else []
        for _, row in rows[1:]:
            elements += self._decode(row)
        if len(elements) > _CACHED_ELEMENTS:
            return self._family.cursor(start, end)
        if len(rows) == _SHORT_READ_ROWS:
            cursor = self._family.cursor(rows[-1][0] + b"\0", end)
            for _, row in cursor.rows():
                elements += self._decode(row)
                if len(elements) > _CACHED_ELEMENTS:
                    return cursor
            cursor.close()
        # Only what is clean may be dropped here: the caller holds the tail of this list.
        self._loaded += len(elements) + _LIST_ELEMENTS
        if self._loaded > self.cache_entries:
            self._clean.clear()
            self._loaded = 0
        self._clean[slot] = elements
        return elements

    def read_pieces(self, cursor: Cursor, start: bytes) -> Iterator[list[Any]]:
        """Yield the elements at a cursor's moment, in pieces; several readers may take turns."""
        while True:
            cursor.seek(start)
            rows = cursor.read(_PIECE_ROWS)
            if not rows:
                return
            piece: list[Any] = []
            for _, row in rows:
                piece += self._decode(row)
            yield piece
            if len(rows) < _PIECE_ROWS:
                return
            start = rows[-1][0] + b"\0"

    def _decode(self, row: bytes) -> list[Any]:
        try:
            return self.codec.decode_elements(row)
        except Exception as error:
            raise self.damaged(error) from error

    def flush(self) -> None:
        """Write cleared and appended rows, sorted, in batches."""
        self._write()
        clean = self._clean
        for slot in self._cleared:
            clean[slot] = []
        for slot, tail in self._tails.items():
            stored = clean.get(slot)
            if stored is not None:
                if len(stored) + len(tail) <= _CACHED_ELEMENTS:
                    stored.extend(tail)
                else:
                    del clean[slot]
        self._tails.clear()
        self._cleared.clear()
        self._loaded += self._appended
        self._appended = 0

    @property
    def changed_count(self) -> int:
        """How many slots have changed lists; those that were cleared first count twice."""
        return len(self._tails) + len(self._cleared)

    def changed_parts(self) -> list[Any]:
        """Return the slots whose lists have changed."""
        tails = self._tails
        return [*tails, *(slot for slot in self._cleared if slot not in tails)]

    def count_changed(self, parts: Iterable[Any]) -> int:
        """Return how many of the slots have changed lists."""
        tails, cleared = self._tails, self._cleared
        return sum(slot in tails or slot in cleared for slot in parts)

    def write_back(self, parts: Iterable[Any]) -> None:
        """Write what was added to the lists of some slots, and remove what was cleared."""
        tails, cleared, appended = self._tails, self._cleared, self._appended
        slots = list(parts)
        self._tails = {slot: tails.pop(slot) for slot in slots if slot in tails}
        self._cleared = {slot: cleared.pop(slot) for slot in slots if slot in cleared}
        self._appended = sum(len(tail) + _LIST_ELEMENTS for tail in self._tails.values())
        left = appended - self._appended
        try:
            self.flush()
        finally:
            # Nothing is left of the part, unless it failed.
            self._appended += left
            tails.update(self._tails)
            cleared.update(self._cleared)
            self._tails, self._cleared = tails, cleared

    def _make_room(self) -> None:
        """Write what waits; drop the lists only when they are too many for the cache."""
        self.flush()
        if self._loaded > self.cache_entries:
            self._clean.clear()
            self._loaded = 0

    def evict(self) -> None:
        """Flush and drop all lists."""
        self._write()
        self._tails.clear()
        self._cleared.clear()
        self._clean.clear()
        self._appended = self._loaded = 0

    def _write(self) -> None:
        if not self._tails and not self._cleared:
            return
        rows: list[tuple[bytes, bytes | None]] = []
        for slot in self._cleared:
            rows += delete_rows(self._family, self.composite_key(slot))
        tails = self._tails
        for slot, prefix in zip(tails, self.composite_keys(tails), strict=True):
            chunks = self._encode_elements(slot, tails[slot])
            number = self._sequence.reserve(len(chunks))
            for place, chunk in enumerate(chunks, number):
                rows.append((prefix + place.to_bytes(8, "big"), chunk))
        self._write_rows(rows)

    def _learn_rows(self, rows: list[tuple[bytes, bytes | None]]) -> None:
        # What the cache counts are elements, of which a row holds many.
        written = [value for _, value in rows if value is not None]
        elements = sum(map(len, self._tails.values()))
        if elements:
            self._entry_bytes = _ELEMENT_BYTES + 2 * sum(map(len, written)) // elements
            self.limit_cache(self._cache_bytes)

    def _encode_elements(self, slot: Any, elements: list[Any]) -> list[bytes]:
        try:
            return self.codec.encode_elements(elements)
        except Exception:
            # Once more one by one, for an error that names the key.
            for element in elements:
                self.encode(slot, element)
            raise

    def _checked(self, values: Iterable[Any]) -> list[Any]:
        if values is None:
            self.refuse_none("the elements of a list state")
        elements = list(values)
        if all_fit(self.definition.value_coder, elements):
            return elements
        check = self._fits
        if check is not None:
            coder = self.definition.value_coder
            for place, element in enumerate(elements):
                if not check(element):
                    if element is None:
                        self.refuse_none("added to a list state")
                    elements[place] = self.admit(element, coder, "list element")
        return elements


@final
class _LongList:
    """The elements of a long list at the moment it was got; iterable again and again."""

    __slots__ = ("_cursor", "_start", "_state", "_tail")

    def __init__(
        self, state: RocksDBListState, cursor: Cursor, start: bytes, tail: list[Any]
    ) -> None:
        self._state = state
        self._cursor = cursor
        self._start = start
        self._tail = tail

    def __iter__(self) -> Iterator[Any]:
        for piece in self._state.read_pieces(self._cursor, self._start):
            yield from piece
        yield from self._tail
