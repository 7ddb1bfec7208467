"""`key_batch_form`: the keys of a batch, checked, as a restore would give them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from millpond.common.typeinfo import BasicType, BasicTypeInfo, RowTypeInfo, TupleTypeInfo
from millpond.errors import MillpondError, SerializationError
from millpond.serialization.basic_coders import FLOATS, NUMBERS
from millpond.serialization.float_key import float_keys
from millpond.serialization.key_serializer import KeySerializer, key_serializer_for
from millpond.serialization.mismatch import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.typeinfo import TypeInformation

__all__ = ("key_batch_form",)

# Equal keys of these types may have different bytes.
_UNEQUAL_BYTES: Final = (*FLOATS, BasicType.BIG_DEC)
_MOST_KNOWN: Final = 1 << 16


def key_batch_form(
    type_info: TypeInformation | None, operator: str | None = None
) -> Callable[[list[Any]], list[Any]] | None:
    """Return what checks a batch's keys and gives them in the form that restored keys have.

    A store holds live keys, and would find out only when a snapshot encodes them. Numbers and
    texts are checked many at a time, others when they are seen first. None for pickled keys, which
    are what they are. The function raises SerializationError for a key of another type.
    """
    serializer = key_serializer_for(type_info)
    declared = serializer.type_info

    def one_by_one(keys: list[Any]) -> list[Any]:
        return [_normal(key, serializer, operator) for key in keys]

    if serializer.pickled:
        return one_by_one if serializer.normalize is not None else None
    if isinstance(declared, BasicTypeInfo):
        if declared.basic_type is BasicType.STRING:
            return _texts(one_by_one)
        if declared.basic_type in NUMBERS:
            code = NUMBERS[declared.basic_type][0]
            return _numbers(code, one_by_one, converts=declared.basic_type in FLOATS)
    return one_by_one if _has_unequal_bytes(declared) else _known(one_by_one)


def _normal(key: Any, serializer: KeySerializer, operator: str | None) -> Any:
    try:
        return serializer.decode(serializer.encode(key))
    except MillpondError as error:
        raise SerializationError(
            f"A key of type {type(key).__name__} does not fit the declared type "
            f"{serializer.signature}: {reason_of(error)}",
            hint=error.hint or "Change the key selector, or the key_type of key_by.",
            operator=operator or None,
            key=repr(key)[:200],
        ) from error


def _texts(one_by_one: Callable[[list[Any]], list[Any]]) -> Callable[[list[Any]], list[Any]]:
    def form(keys: list[Any]) -> list[Any]:
        try:
            "".join(keys)
        except TypeError:
            return one_by_one(keys)
        return keys

    return form


def _numbers(
    code: str, one_by_one: Callable[[list[Any]], list[Any]], *, converts: bool
) -> Callable[[list[Any]], list[Any]]:
    pack, unpack = struct.pack, struct.unpack

    def form(keys: list[Any]) -> list[Any]:
        layout = f"={len(keys)}{code}"
        try:
            packed = pack(layout, *keys)
        except (struct.error, OverflowError, TypeError):
            return one_by_one(keys)
        return float_keys(list(unpack(layout, packed))) if converts else keys

    return form


def _known(one_by_one: Callable[[list[Any]], list[Any]]) -> Callable[[list[Any]], list[Any]]:
    known: dict[Any, Any] = {}

    def form(keys: list[Any]) -> list[Any]:
        try:
            found = list(map(known.get, keys))
        except TypeError:
            return one_by_one(keys)
        if None not in found:
            return found
        if len(known) > _MOST_KNOWN:
            known.clear()
        new = [key for key in dict.fromkeys(keys) if key not in known]
        known.update(zip(new, one_by_one(new), strict=True))
        return [known[key] for key in keys]

    return form


def _has_unequal_bytes(type_info: TypeInformation) -> bool:
    if isinstance(type_info, BasicTypeInfo):
        return type_info.basic_type in _UNEQUAL_BYTES
    if isinstance(type_info, (RowTypeInfo, TupleTypeInfo)):
        return any(map(_has_unequal_bytes, type_info.get_field_types()))
    return False
