"""`RocksDBListState`: a list a key, whose elements are held as the objects they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from millpond.state.rocksdb.database import Cursor
from millpond.state.rocksdb.list_rows import ListRows, LongList
from millpond.state.rocksdb.number_list_state import RocksDBNumberListState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.rocksdb.database import ColumnFamily
    from millpond.state.rocksdb.list_sequence import ListSequence

__all__ = ("RocksDBListState", "rocksdb_list_state")

# What an element takes in memory beside its bytes, and what a list takes, in elements.
_ELEMENT_BYTES: Final = 64
_LIST_ELEMENTS: Final = 4


@final
class RocksDBListState(ListRows):
    """A list of any type: pieces are lists of objects, and the cache counts elements."""

    __slots__ = ()

    _list_weight: ClassVar[int] = _LIST_ELEMENTS
    _empty = list

    def get(self) -> Iterable[Any]:
        """Return the elements of now: a new list, or for long lists a lazy, repeatable view."""
        slot = self._scope.current_key
        tail = self._tails.get(slot, ())
        if slot in self._cleared:
            return list(tail)
        stored = self._clean.get(slot)
        if stored is None:
            stored = self._load(slot)
            if isinstance(stored, Cursor):
                return LongList(self, stored, self.composite_key(slot), list(tail))
        return [*stored, *tail]

    def add(self, value: Any) -> None:
        """Append an element. O(1), without reading."""
        if self._fits is not None and not self._fits(value):
            value = self._admitted(value)
        slot = self._scope.current_key
        tail = self._tails.get(slot)
        if tail is None:
            self._tails[slot] = [value]
            self._added += 1 + self._list_weight
        else:
            tail.append(value)
            self._added += 1
        if self._added > self.cache_entries:
            self._make_room()

    def elements_of(self, piece: list[Any]) -> list[Any]:
        """Return the piece itself."""
        return piece

    def _piece_of(self, values: Iterable[Any]) -> list[Any]:
        return self._checked(values)

    def _joined(self, rows: list[tuple[bytes, bytes]]) -> list[Any]:
        decode, elements = self.codec.decode_elements, []
        try:
            for _, row in rows:
                elements += decode(row)
        except Exception as error:
            raise self.damaged(error) from error
        return elements

    def _append(self, slot: Any, piece: list[Any]) -> None:
        tail = self._tails.get(slot)
        if tail is None:
            self._tails[slot] = piece[:]
            self._added += len(piece) + self._list_weight
        else:
            tail += piece
            self._added += len(piece)
        if self._added > self.cache_entries:
            self._make_room()

    def _absorb(self, slot: Any, tail: list[Any]) -> None:
        stored = self._clean[slot]
        if len(stored) + len(tail) <= self._longest_cached:
            stored += tail
        else:
            del self._clean[slot]

    def _chunks(self, slot: Any, tail: list[Any]) -> list[bytes]:
        try:
            return self.codec.encode_elements(tail)
        except Exception:
            # Once more one by one, for an error that names the key.
            for element in tail:
                self.encode(slot, element)
            raise

    def _learn_rows(self, rows: list[tuple[bytes, bytes | None]]) -> None:
        # What the cache counts are elements, of which a row holds many.
        written = [value for _, value in rows if value is not None]
        elements = sum(map(len, self._tails.values()))
        if elements:
            self._entry_bytes = _ELEMENT_BYTES + 2 * sum(map(len, written)) // elements
            self.limit_cache(self._cache_bytes)


def rocksdb_list_state(
    definition: StateDefinition,
    family: ColumnFamily,
    backend: KeyedStateBackend,
    sequence: ListSequence,
) -> ListRows:
    """Make the list state that suits the declared type."""
    code = getattr(definition.value_coder, "struct_code", None)
    if code is None:
        return RocksDBListState(definition, family, backend, sequence)
    return RocksDBNumberListState(definition, family, backend, sequence, code)
