"""`ListRows`: a list a key, in rows of a few elements, so that appending reads nothing."""

from __future__ import annotations

from abc import abstractmethod
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from millpond.datastream.state import ListState
from millpond.state.contract.declared_type import all_fit, fits
from millpond.state.rocksdb.database import Cursor, prefix_end
from millpond.state.rocksdb.state import RocksDBState, delete_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.rocksdb.database import ColumnFamily
    from millpond.state.rocksdb.list_sequence import ListSequence

__all__ = ("ListRows", "LongList")

# A clean list that is longer is not held.
_CACHED_ELEMENTS: Final = 1024
_PIECE_ROWS: Final = 512
_SHORT_READ_ROWS: Final = 64
# Of lists with more rows their keys are not held.
_FEW_ROWS: Final = 4
# Rows are made in pieces of about this size, so that writing many needs little memory.
_PIECE_BYTES: Final = 4 << 20
# So much of what was added a view makes elements of at a time.
_PIECE_OF_TAIL: Final = 1 << 13


class ListRows(RocksDBState, ListState[Any]):
    """Elements in the order they were added.

    A row is composite key ‖ 8-byte sequence number; the numbers ascend over the whole backend.
    It holds what was added between two flushes, or a bounded part of it.
    Several elements are held as a piece, whose form a subclass decides. `_tails` holds what is not
    written yet, `_clean` whole lists, short ones, as the database has them, `_cleared` the slots
    whose rows are void when the cache is written back, with the rows' keys if they are known.
    `_row_keys` knows them of lists of few rows that were read, until a row is added.
    The cache counts the lengths of pieces, and some more for each list.
    """

    _list_weight: ClassVar[int]
    _empty: Callable[[], Any]

    __slots__ = (
        "_added",
        "_clean",
        "_cleared",
        "_fits",
        "_loaded",
        "_longest_cached",
        "_row_keys",
        "_sequence",
        "_tails",
    )

    def __init__(
        self,
        definition: StateDefinition,
        family: ColumnFamily,
        backend: KeyedStateBackend,
        sequence: ListSequence,
        element_length: int = 1,
    ) -> None:
        """Make the state; `element_length` is what an element takes in a piece."""
        super().__init__(definition, family, backend)
        self._tails: dict[Any, Any] = {}
        self._clean: dict[Any, Any] = {}
        self._cleared: dict[Any, list[bytes] | None] = {}
        self._row_keys: dict[Any, list[bytes]] = {}
        self._added = 0
        self._loaded = 0
        self._longest_cached = _CACHED_ELEMENTS * element_length
        self._sequence = sequence
        self._fits = fits(definition.value_coder)

    @abstractmethod
    def elements_of(self, piece: Any) -> list[Any]:
        """Return the elements of a piece."""

    @abstractmethod
    def _piece_of(self, values: Iterable[Any]) -> Any:
        """Return a new piece with elements that the user gave, or refuse all of them."""

    @abstractmethod
    def _joined(self, rows: list[tuple[bytes, bytes]]) -> Any:
        """Return the piece that rows make up together."""

    @abstractmethod
    def _append(self, slot: Any, piece: Any) -> None:
        """Add a piece, not an empty one, to the tail of a slot."""

    @abstractmethod
    def _absorb(self, slot: Any, tail: Any) -> None:
        """Make a tail that was written a part of the clean list of a slot."""

    @abstractmethod
    def _chunks(self, slot: Any, tail: Any) -> list[bytes]:
        """Return the values of the rows that hold a tail."""

    def add_all(self, values: Iterable[Any]) -> None:
        """Append elements; none of them if one does not fit."""
        piece = self._piece_of(values)
        if piece:
            self._append(self._scope.current_key, piece)

    def update(self, values: Iterable[Any]) -> None:
        """Replace the elements; an empty iterable removes them all."""
        piece = self._piece_of(values)
        slot = self._scope.current_key
        self._clear(slot)
        if piece:
            self._append(slot, piece)

    def clear(self) -> None:
        """Remove the elements of the current key and namespace."""
        self._clear(self._scope.current_key)
        if self._added > self.cache_entries:
            self._make_room()

    def merge_namespaces(self, target: Any, sources: Iterable[Any]) -> None:
        """Move the lists of `sources` behind the list of `target`."""
        target_slot = self.at(target)
        for namespace in sources:
            slot = self.at(namespace)
            if slot == target_slot:
                continue
            for piece in self._pieces(slot):
                if piece:
                    self._append(target_slot, piece)
            self._clear(slot)

    def _pieces(self, slot: Any) -> Iterator[Any]:
        tail = self._tails.get(slot, ())[:]
        if slot not in self._cleared:
            stored = self._clean.get(slot)
            if stored is None:
                stored = self._load(slot)
            if isinstance(stored, Cursor):
                yield from self.read_pieces(stored, self.composite_key(slot))
            else:
                yield stored
        yield tail

    def _clear(self, slot: Any) -> None:
        tail = self._tails.pop(slot, None)
        if tail is not None:
            self._added -= len(tail) + self._list_weight
        stored = self._clean.get(slot)
        # A list known to be empty in the database needs no deletion there.
        if stored is None or stored:
            self._clean.pop(slot, None)
            # What was cleared before was not read again.
            if slot not in self._cleared:
                self._cleared[slot] = self._row_keys.pop(slot, None)
                self._added += self._list_weight

    def _load(self, slot: Any) -> Any:
        """Read a list: return its elements as a piece, or a cursor if they are many."""
        start = self.composite_key(slot)
        end = prefix_end(start)
        rows = self._family.read(start, end, _SHORT_READ_ROWS)
        piece = self._joined(rows)
        if len(piece) > self._longest_cached:
            return self._family.cursor(start, end)
        if len(rows) == _SHORT_READ_ROWS:
            cursor = self._family.cursor(rows[-1][0] + b"\0", end)
            for row in cursor.rows():
                piece += self._joined([row])
                if len(piece) > self._longest_cached:
                    return cursor
            cursor.close()
        is_new = len(rows) <= _FEW_ROWS and slot not in self._row_keys
        self._hold(slot, piece, is_new=is_new)
        if len(rows) <= _FEW_ROWS:
            self._row_keys[slot] = [key for key, _ in rows]
        return piece

    def _hold(self, slot: Any, piece: Any, *, is_new: bool) -> None:
        """Keep a list that was read, for the first time as far as is known if it `is_new`."""
        self._count_loaded(len(piece) + self._list_weight)
        self._clean[slot] = piece

    def _count_loaded(self, length: int) -> None:
        self._loaded += length
        if self._loaded > self.cache_entries:
            # Only what is clean may be dropped here: whoever reads a list holds its tail.
            self._forget()

    def _forget(self) -> None:
        self._clean.clear()
        self._row_keys.clear()
        self._loaded = 0

    def read_pieces(self, cursor: Cursor, start: bytes) -> Iterator[Any]:
        """Yield the elements at a cursor's moment, in pieces; several readers may take turns."""
        while True:
            cursor.seek(start)
            rows = cursor.read(_PIECE_ROWS)
            if not rows:
                return
            yield self._joined(rows)
            if len(rows) < _PIECE_ROWS:
                return
            start = rows[-1][0] + b"\0"

    def flush(self) -> None:
        """Write cleared and appended rows, sorted, in batches."""
        self._write()
        clean, empty = self._clean, self._empty
        for slot in self._cleared:
            clean[slot] = empty()
        for slot in clean.keys() & self._tails.keys():
            self._absorb(slot, self._tails[slot])
        self._tails.clear()
        self._cleared.clear()
        self._loaded += self._added
        self._added = 0

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
        tails, cleared, added = self._tails, self._cleared, self._added
        slots = list(parts)
        self._tails = {slot: tails.pop(slot) for slot in slots if slot in tails}
        self._cleared = {slot: cleared.pop(slot) for slot in slots if slot in cleared}
        self._added = sum(map(len, self._tails.values()))
        self._added += self._list_weight * self.changed_count
        left = added - self._added
        try:
            self.flush()
        finally:
            # Nothing is left of the part, unless it failed.
            self._added += left
            tails.update(self._tails)
            cleared.update(self._cleared)
            self._tails, self._cleared = tails, cleared

    def _make_room(self) -> None:
        """Write what waits; drop the lists only when they are too many for the cache."""
        self.flush()
        if self._loaded > self.cache_entries:
            self._forget()

    def evict(self) -> None:
        """Flush and drop all lists."""
        self._write()
        self._tails.clear()
        self._cleared.clear()
        self._forget()
        self._added = 0

    def _write(self) -> None:
        tails = self._tails
        # Before a row is written, since not all may be.
        for slot in self._row_keys.keys() & tails.keys():
            del self._row_keys[slot]
        rows: list[tuple[bytes, bytes | None]] = []
        for slot, keys in self._cleared.items():
            if keys is None:
                rows += delete_rows(self._family, self.composite_key(slot))
            else:
                rows += [(key, None) for key in keys]
        pieces = self._added * self._entry_bytes // _PIECE_BYTES + 1
        count = len(tails) // pieces + 1
        slots = iter(tails)
        while piece := list(islice(slots, count)):
            rows += self._rows_of(piece)
            self._write_rows(rows)
            rows = []
        self._write_rows(rows)

    def _rows_of(self, slots: list[Any]) -> list[tuple[bytes, bytes]]:
        tails, chunks_of = self._tails, self._chunks
        rows: list[tuple[bytes, bytes]] = []
        for slot, prefix in zip(slots, self.composite_keys(slots), strict=True):
            chunks = chunks_of(slot, tails[slot])
            number = self._sequence.reserve(len(chunks))
            for place, chunk in enumerate(chunks, number):
                rows.append((prefix + place.to_bytes(8, "big"), chunk))
        return rows

    def _checked(self, values: Iterable[Any]) -> list[Any]:
        """Return a new list of elements that all fit, as they read after a restore."""
        if values is None:
            self.refuse_none("the elements of a list state")
        elements = list(values)
        if all_fit(self.definition.value_coder, elements):
            return elements
        check = self._fits
        if check is not None:
            for place, element in enumerate(elements):
                if not check(element):
                    elements[place] = self._admitted(element)
        return elements

    def _admitted(self, element: Any) -> Any:
        if element is None:
            self.refuse_none("added to a list state")
        return self.admit(element, self.definition.value_coder, "list element")


@final
class LongList:
    """The elements of a long list at the moment it was got; iterable again and again."""

    __slots__ = ("_cursor", "_start", "_state", "_tail")

    def __init__(self, state: ListRows, cursor: Cursor | None, start: bytes, tail: Any) -> None:
        """Take a cursor at what is stored, None if nothing is, and a copy of what is not."""
        self._state = state
        self._cursor = cursor
        self._start = start
        self._tail = tail

    def __iter__(self) -> Iterator[Any]:
        elements_of, tail = self._state.elements_of, self._tail
        if self._cursor is not None:
            for piece in self._state.read_pieces(self._cursor, self._start):
                yield from elements_of(piece)
        for start in range(0, len(tail), _PIECE_OF_TAIL):
            yield from elements_of(tail[start : start + _PIECE_OF_TAIL])
