"""`RocksDBNumberListState`: a list of numbers a key, held as the bytes that its rows have."""

from __future__ import annotations

import itertools
import struct
import sys
from array import array
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from millpond.errors import FormatError
from millpond.state.rocksdb.database import Cursor
from millpond.state.rocksdb.list_rows import ListRows, LongList

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.rocksdb.database import ColumnFamily
    from millpond.state.rocksdb.list_sequence import ListSequence

__all__ = ("RocksDBNumberListState",)

_ROW_ELEMENTS: Final = 128
# What a list takes in memory beside its bytes, and a number that was decoded.
_LIST_BYTES: Final = 256
_NUMBER_BYTES: Final = 40
# Of more bytes that were added and not written `get` makes no list.
_LONG_TAIL_BYTES: Final = 256 * 1024
_IS_LITTLE_ENDIAN: Final = sys.byteorder == "little"
_HEAD = struct.Struct(">i")
_pack_head = _HEAD.pack
_unpack_head = _HEAD.unpack_from
_pack_place = struct.Struct(">Q").pack


@final
class RocksDBNumberListState(ListRows):
    """A list of numbers of one length: pieces are their bytes, and the cache counts bytes.

    Packing a number checks it, and makes of it what reads the same after a restore: just what the
    coder does. `_ready` has the elements, written or not, of lists that were read from memory.
    """

    __slots__ = ("_code", "_pack", "_packers", "_ready", "_row_bytes", "_size")

    _list_weight: ClassVar[int] = _LIST_BYTES
    _empty = bytes

    def __init__(
        self,
        definition: StateDefinition,
        family: ColumnFamily,
        backend: KeyedStateBackend,
        sequence: ListSequence,
        code: str,
    ) -> None:
        """Make the state of numbers that have this code in `struct`."""
        packer = struct.Struct(f">{code}")
        super().__init__(definition, family, backend, sequence, packer.size)
        self._entry_bytes = 1
        self.limit_cache(self._cache_bytes)
        self._code = code
        self._size = packer.size
        self._row_bytes = _ROW_ELEMENTS * packer.size
        self._pack = packer.pack
        self._packers: dict[int, Callable[..., bytes]] = {}
        self._ready: dict[Any, list[Any]] = {}

    def get(self) -> Iterable[Any]:
        """Return the elements of now: a new list, or for long lists a lazy, repeatable view."""
        slot = self._scope.current_key
        elements = self._ready.get(slot)
        if elements is not None:
            return elements[:]
        tail = self._tails.get(slot, b"")
        stored = self._clean.get(slot)
        if stored is not None or slot in self._cleared:
            piece = stored + tail if stored else tail
            return self._from_memory(slot, piece)
        stored = self._load(slot)
        if isinstance(stored, Cursor):
            return LongList(self, stored, self.composite_key(slot), bytes(tail))
        if len(tail) > self._longest_cached:
            return LongList(self, None, b"", stored + tail)
        return self.elements_of(stored + tail if tail else stored)

    def _from_memory(self, slot: Any, piece: bytes | bytearray) -> Iterable[Any]:
        if len(piece) > _LONG_TAIL_BYTES:
            return LongList(self, None, b"", bytes(piece))
        elements = self.elements_of(piece)
        # Read for the second time: it may be read again.
        if len(piece) <= self._longest_cached:
            self._count_loaded(len(elements) * _NUMBER_BYTES)
            self._ready[slot] = elements[:]
        return elements

    def add(self, value: Any) -> None:
        """Append an element. O(1), without reading."""
        try:
            packed = self._pack(value)
        except Exception:  # noqa: BLE001 - whatever it is, there is one text for it
            packed = self._pack(self._admitted(value))
        slot = self._scope.current_key
        tail = self._tails.get(slot)
        if tail is None:
            self._tails[slot] = packed
            self._added += self._size + self._list_weight
        else:
            if type(tail) is bytes:
                tail = self._tails[slot] = bytearray(tail)
            tail += packed
            self._added += self._size
        if self._ready:
            self._extend_ready(slot, packed)
        if self._added > self.cache_entries:
            self._make_room()

    def _append(self, slot: Any, piece: bytes | bytearray) -> None:
        tail = self._tails.get(slot)
        if tail is None:
            self._tails[slot] = piece
            self._added += len(piece) + self._list_weight
        else:
            if type(tail) is bytes:
                tail = self._tails[slot] = bytearray(tail)
            tail += piece
            self._added += len(piece)
        if self._ready:
            self._extend_ready(slot, piece)
        if self._added > self.cache_entries:
            self._make_room()

    def _extend_ready(self, slot: Any, piece: bytes | bytearray) -> None:
        elements = self._ready.get(slot)
        if elements is None:
            return
        elements += self.elements_of(piece)
        self._loaded += len(piece) // self._size * _NUMBER_BYTES
        if len(elements) * self._size > self._longest_cached:
            del self._ready[slot]

    def _hold(self, slot: Any, piece: bytes, *, is_new: bool) -> None:
        # Lists that are read once in a long while would only push others out.
        if is_new and piece:
            self._count_loaded(self._list_weight)
        else:
            super()._hold(slot, piece, is_new=is_new)

    def _clear(self, slot: Any) -> None:
        self._ready.pop(slot, None)
        super()._clear(slot)

    def _forget(self) -> None:
        self._ready.clear()
        super()._forget()

    def elements_of(self, piece: bytes | bytearray) -> list[Any]:
        """Return the numbers that bytes hold."""
        numbers = array(self._code, piece)
        if _IS_LITTLE_ENDIAN:
            numbers.byteswap()
        return numbers.tolist()

    def _piece_of(self, values: Iterable[Any]) -> bytes:
        if values is None:
            self.refuse_none("the elements of a list state")
        elements = values if type(values) is list else list(values)
        count = len(elements)
        pack = self._packers.get(count)
        if pack is None:
            pack = struct.Struct(f">{count}{self._code}").pack
            if count <= _ROW_ELEMENTS:
                self._packers[count] = pack
        try:
            return pack(*elements)
        except Exception:  # noqa: BLE001 - whatever it is, there is one text for it
            return pack(*self._checked(elements))

    def _joined(self, rows: list[tuple[bytes, bytes]]) -> bytes:
        if len(rows) == 1:
            return self._content(rows[0][1])
        content_of = self._content
        return b"".join([content_of(row) for _, row in rows])

    def _content(self, row: bytes) -> bytes:
        length = len(row) - 4
        if length < 0 or length % self._size or _unpack_head(row)[0] != length:
            self._refuse(row)
        return row[4:]

    def _refuse(self, row: bytes) -> None:
        try:
            self.codec.decode_elements(row)
        except FormatError as error:
            raise self.damaged(error) from error

    def _absorb(self, slot: Any, tail: bytes | bytearray) -> None:
        stored = self._clean[slot]
        if len(stored) + len(tail) <= self._longest_cached:
            self._clean[slot] = stored + tail
        else:
            del self._clean[slot]

    def _rows_of(self, slots: list[Any]) -> list[tuple[bytes, bytes]]:
        tails = [self._tails[slot] for slot in slots]
        if max(map(len, tails)) > self._row_bytes:
            return super()._rows_of(slots)
        places = itertools.count(self._sequence.reserve(len(slots)))
        return [
            (prefix + _pack_place(place), _pack_head(len(tail)) + tail)
            for prefix, place, tail in zip(self.composite_keys(slots), places, tails, strict=False)
        ]

    def _chunks(self, slot: Any, tail: bytes | bytearray) -> list[bytes]:
        most = self._row_bytes
        if len(tail) <= most:
            return [_pack_head(len(tail)) + tail]
        pieces = (tail[start : start + most] for start in range(0, len(tail), most))
        return [_pack_head(len(piece)) + piece for piece in pieces]

    def _learn_rows(self, rows: list[tuple[bytes, bytes | None]]) -> None:
        """Do nothing: bytes are counted as what they are."""
