"""`MapRows`: keys and values of a map as bytes of rows, and the errors if there are none."""

from __future__ import annotations

import struct
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

from millpond.errors import SerializationError, StateTypeError
from millpond.state.contract.declared_type import (
    INTEGER_RANGES,
    encoder_error,
    fits,
    key_form,
)
from millpond.state.contract.map_iterator import ABSENT
from millpond.state.rocksdb.map_key import map_key_decoder, map_key_encoder
from millpond.state.rocksdb.state import RocksDBState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from millpond.serialization.coder import Coder
    from millpond.state.contract.definition import StateDefinition
    from millpond.state.contract.keyed_backend import KeyedStateBackend
    from millpond.state.rocksdb.database import ColumnFamily

__all__ = ("MapRows", "first_of_pair", "merged", "present")


first_of_pair = itemgetter(0)


class MapRows(RocksDBState):
    """What map state knows of its declared types."""

    __slots__ = (
        "_decode_map_key",
        "_decode_row",
        "_encode_map_key",
        "_encode_row",
        "_fits_key",
        "_fits_value",
        "_key_coder",
        "_key_form",
        "_largest_key",
        "_largest_value",
        "_least_key",
        "_least_value",
    )

    def __init__(
        self, definition: StateDefinition, family: ColumnFamily, backend: KeyedStateBackend
    ) -> None:
        super().__init__(definition, family, backend)
        if definition.map_key_coder is None:
            raise StateTypeError("A map state needs a type of keys.", state=definition.name)
        self._key_coder = definition.map_key_coder
        self._decode_map_key = map_key_decoder(self._key_coder)
        self._encode_map_key = map_key_encoder(self._key_coder)
        self._fits_key = fits(self._key_coder)
        self._key_form = key_form(self._key_coder)
        self._fits_value = fits(definition.value_coder)
        # No number is within the bounds where another type is declared.
        self._least_key, self._largest_key = _bounds(self._key_coder)
        self._least_value, self._largest_value = _bounds(definition.value_coder)
        self._decode_row = self.codec.decode_map_value
        self._encode_row = self.codec.encode_map_value

    def _sorted(self, slot: Any, keys: Iterable[Any]) -> list[Any]:
        encoded = sorted([(self._encode_key(slot, key), key) for key in keys], key=first_of_pair)
        return [key for _, key in encoded]

    def _encode_key(self, slot: Any, key: Any) -> bytes:
        try:
            return self._encode_map_key(key)
        except struct.error:
            self.refuse_size(self._key_of(slot), 1 << 31)
        except Exception as error:
            raise self._unfit(error, key) from error

    def _decode_key(self, row: bytes, offset: int) -> Any:
        try:
            return self._decode_map_key(row, offset)
        except Exception as error:
            raise self.damaged(error) from error

    def _encode_value(self, slot: Any, value: Any) -> bytes:
        try:
            return self._encode_row(value)
        except struct.error:
            self.refuse_size(self._key_of(slot), 1 << 31)
        except Exception as error:
            raise self.unencodable(error, slot, value) from error

    def _decode_value(self, row: bytes) -> Any:
        try:
            return self._decode_row(row)
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


def _bounds(coder: Coder) -> tuple[int, int]:
    return INTEGER_RANGES.get(coder.signature, (1, 0))


def present(entries: dict[Any, Any]) -> dict[Any, Any]:
    """Return the entries without those that are ABSENT, in a new dictionary."""
    return {key: value for key, value in entries.items() if value is not ABSENT}


def merged(new: list[tuple[bytes, Any]], stored: Iterator[tuple[bytes, Any]]) -> Iterator[Any]:
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
