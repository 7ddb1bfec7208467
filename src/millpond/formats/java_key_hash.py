"""Java's hash code of decoded keys, as a serializer snapshot describes them.

`serialization.key_serializer` hashes the keys of declared types; this one the keys of a file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import mmh3

from millpond.formats import serializer_classes as classes
from millpond.serialization.java_hash import (
    INT_MASK,
    hash_big_decimal,
    hash_big_integer,
    hash_boolean,
    hash_bytes,
    hash_double,
    hash_float,
    hash_long,
    hash_string,
)

if TYPE_CHECKING:
    from millpond.formats.serializer_snapshot import SerializerSnapshot

__all__ = ("HashKey", "key_group_of", "key_hasher")

HashKey = Callable[[Any], int]
"""Takes a decoded key, returns its hash code from 0 to 2**32 - 1."""

_LITTLE_INT = struct.Struct("<I")
_POSITIVE: Final = 0x7FFFFFFF


def key_group_of(java_hash: int, max_parallelism: int) -> int:
    """Return the key group of a key with this hash code (KeyGroupRangeAssignment)."""
    mixed = mmh3.hash(_LITTLE_INT.pack(java_hash), 0)
    return (abs(mixed) & _POSITIVE) % max_parallelism


def key_hasher(snapshot: SerializerSnapshot) -> HashKey | None:
    """Return the function that hashes what `java_decoder` decodes; None if it is not known.

    Lists and maps are no keys in practice, and arrays outside of a row have no hash code in Java.
    """
    name = snapshot.class_name
    if name in _HASHES:
        return _HASHES[name]
    if name == classes.TUPLE:
        return _sequence([key_hasher(field) for field in snapshot.nested], start=0)
    if name == classes.ROW:
        fields = [_in_row(field) for field in snapshot.nested]
        # RowUtils.deepHashCodeRow, for the kind INSERT: the array of fields as Java hashes arrays.
        return _sequence(fields, start=1)
    return None


def _in_row(snapshot: SerializerSnapshot) -> HashKey | None:
    if snapshot.class_name == classes.BYTES:
        return lambda value: 31 + hash_bytes(value)
    hash_code = key_hasher(snapshot)
    if hash_code is None or snapshot.class_name == classes.ROW:
        return hash_code
    return lambda value: 31 + hash_code(value)


def _sequence(fields: list[HashKey | None], *, start: int) -> HashKey | None:
    known = [field for field in fields if field is not None]
    if len(known) != len(fields):
        return None

    def hash_code(values: tuple[Any, ...]) -> int:
        result = start
        for hash_field, value in zip(known, values, strict=True):
            result = 31 * result + (0 if value is None else hash_field(value))
        return result & INT_MASK

    return hash_code


def _integer(value: int) -> int:
    return value & INT_MASK


def _instant(value: tuple[int, int]) -> int:
    return (hash_long(value[0]) + 51 * value[1]) & INT_MASK


def _text(value: str | None) -> int:
    return 0 if value is None else hash_string(value)


_HASHES: Final[dict[str, HashKey]] = {
    **{classes.basic_class(name): _integer for name in ("Byte", "Short", "Int", "Char")},
    **{classes.basic_class(name): hash_long for name in ("Long", "Date", "SqlDate", "SqlTime")},
    classes.basic_class("Boolean"): hash_boolean,
    classes.basic_class("Float"): hash_float,
    classes.basic_class("Double"): hash_double,
    classes.basic_class("BigInt"): hash_big_integer,
    classes.basic_class("BigDec"): hash_big_decimal,
    classes.basic_class("SqlTimestamp"): lambda value: hash_long(value[0]),
    classes.basic_class("Instant"): _instant,
    classes.STRING: _text,
}
