"""Whether a value is, down to its fields, what decoding its bytes would give.

The checks are several times cheaper than encoding. False says that the value has another form,
or none of the declared type at all: encoding and decoding tells.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from decimal import Decimal
from operator import call
from typing import TYPE_CHECKING, Any

from millpond.common.time import Instant
from millpond.common.typeinfo import (
    BasicArrayTypeInfo,
    BasicType,
    BasicTypeInfo,
    DateTypeInfo,
    ListTypeInfo,
    MapTypeInfo,
    ObjectArrayTypeInfo,
    PrimitiveArrayTypeInfo,
    RowTypeInfo,
    TimestampTypeInfo,
    TimeTypeInfo,
    TupleTypeInfo,
    TypedTypeInfo,
    TypeInformation,
)
from millpond.common.types import Row
from millpond.serialization.coders import coder_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ("EXACT_TYPES", "INTEGER_RANGES", "all_exact", "exactly")

EXACT_TYPES: dict[str, type] = {"BOOLEAN": bool, "DOUBLE": float}
"""Types whose every instance the coder of that signature takes and gives back."""

INTEGER_RANGES: dict[str, tuple[int, int]] = {
    "BYTE": (-(1 << 7), (1 << 7) - 1),
    "SHORT": (-(1 << 15), (1 << 15) - 1),
    "INT": (-(1 << 31), (1 << 31) - 1),
    "LONG": (-(1 << 63), (1 << 63) - 1),
    "BIG_INT": (-(1 << 63), (1 << 63) - 1),
}
"""Smallest and largest value of the integer types."""

_FLOAT = struct.Struct("f")


def exactly(type_info: TypeInformation) -> Callable[[Any], bool] | None:
    """Return the check for a type; None where there is none, for pickled values above all."""
    signature = type_info.signature
    if signature in EXACT_TYPES:
        return _instance(EXACT_TYPES[signature])
    if signature in INTEGER_RANGES:
        return _integer(*INTEGER_RANGES[signature])
    if isinstance(type_info, BasicTypeInfo):
        return _BASIC[type_info.basic_type]
    make = _MAKERS.get(type(type_info))
    return None if make is None else make(type_info)


def all_exact(signature: str, values: Sequence[Any]) -> bool:
    """Return whether it is certain, without a call a value, that all values are exact.

    False says nothing: each must be checked for itself.
    """
    kinds = set(map(type, values))
    if len(kinds) != 1:
        return False
    kind = kinds.pop()
    if signature in INTEGER_RANGES:
        low, high = INTEGER_RANGES[signature]
        return kind is int and low <= min(values) and max(values) <= high
    if signature == "STRING":
        return kind is str and all(map(str.isascii, values))
    return kind is EXACT_TYPES.get(signature)


def _anything(_value: Any) -> bool:
    return True


def _nothing(_value: Any) -> bool:
    return False


def _instance(expected: type) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return type(value) is expected

    return check


def _integer(low: int, high: int) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return type(value) is int and low <= value <= high

    return check


def _float(value: Any) -> bool:
    if type(value) is not float:
        return False
    try:
        return bool(_FLOAT.unpack(_FLOAT.pack(value))[0] == value) or math.isnan(value)
    except OverflowError:
        return False


def _text(value: Any) -> bool:
    if type(value) is not str:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False  # lone surrogates have no bytes
    return True


def _character(value: Any) -> bool:
    return type(value) is str and len(value) == 1 and value <= "\uffff" and _text(value)


def _decimal(value: Any) -> bool:
    return type(value) is Decimal and value.is_finite()


def _instant(value: Any) -> bool:
    return value is None or (
        type(value) is Instant
        and type(value.seconds) is int
        and type(value.nanos) is int
        and -(1 << 63) <= value.seconds < 1 << 63
        and 0 <= value.nanos < 1_000_000_000
    )


def _time(value: Any) -> bool:
    return type(value) is dt.time and _is_plain(value)


def _timestamp(value: Any) -> bool:
    return type(value) is dt.datetime and _is_plain(value)


def _is_plain(value: dt.time | dt.datetime) -> bool:
    return value.tzinfo is None and not value.fold and value.microsecond % 1000 == 0


def _of(type_info: TypeInformation) -> Callable[[Any], bool]:
    # Through the coder, which knows what stands behind external types.
    inner: TypeInformation = coder_for(type_info).type_info  # type: ignore[attr-defined]
    return exactly(inner) or _anything


def _tuple(type_info: TupleTypeInfo) -> Callable[[Any], bool]:
    checks = [_of(field) for field in type_info.get_field_types()]
    count = len(checks)

    def check(value: Any) -> bool:
        return type(value) is tuple and len(value) == count and all(map(call, checks, value))

    if count == 2:
        # The commonest tuples; an iterator over their fields costs more than the checks.
        first, second = checks

        def check_pair(value: Any) -> bool:
            return type(value) is tuple and len(value) == 2 and first(value[0]) and second(value[1])

        return check_pair
    if count == 3:
        one, two, three = checks

        def check_triple(value: Any) -> bool:
            return (
                type(value) is tuple
                and len(value) == 3
                and one(value[0])
                and two(value[1])
                and three(value[2])
            )

        return check_triple
    return check


def _row(type_info: RowTypeInfo) -> Callable[[Any], bool]:
    checks = [_of(field) for field in type_info.get_field_types()]
    names, count = list(type_info.get_field_names()), len(checks)

    def check(value: Any) -> bool:
        if type(value) is not Row or value._fields != names:
            return False
        values = value._values  # noqa: SLF001
        return len(values) == count and all(
            item is None or fits(item) for fits, item in zip(checks, values, strict=True)
        )

    return check


def _list(type_info: ListTypeInfo | BasicArrayTypeInfo) -> Callable[[Any], bool]:
    element = _of(type_info.element_type)
    signature = type_info.element_type.signature

    def check(value: Any) -> bool:
        return type(value) is list and (
            all_exact(signature, value) or all(item is None or element(item) for item in value)
        )

    return check


def _array(type_info: PrimitiveArrayTypeInfo) -> Callable[[Any], bool]:
    signature = type_info.element_type.signature
    if signature == "BYTE":
        return _instance(bytes)
    element = _of(type_info.element_type)

    def check(value: Any) -> bool:
        return type(value) is list and (all_exact(signature, value) or all(map(element, value)))

    return check


def _map(type_info: MapTypeInfo) -> Callable[[Any], bool]:
    key, item = _of(type_info.key_type_info), _of(type_info.value_type_info)

    def check(value: Any) -> bool:
        return (
            type(value) is dict
            and all(map(key, value))
            and all(one is None or item(one) for one in value.values())
        )

    return check


def _fixed(check: Callable[[Any], bool]) -> Callable[[Any], Callable[[Any], bool]]:
    return lambda _type_info: check


_BASIC: dict[BasicType, Callable[[Any], bool]] = {
    BasicType.BIG_DEC: _decimal,
    BasicType.CHAR: _character,
    BasicType.FLOAT: _float,
    BasicType.INSTANT: _instant,
    BasicType.STRING: _text,
}
_MAKERS: dict[type[TypeInformation], Callable[[Any], Callable[[Any], bool]]] = {
    BasicArrayTypeInfo: _list,
    DateTypeInfo: _fixed(_instance(dt.date)),
    ListTypeInfo: _list,
    MapTypeInfo: _map,
    ObjectArrayTypeInfo: _list,
    PrimitiveArrayTypeInfo: _array,
    RowTypeInfo: _row,
    TimeTypeInfo: _fixed(_time),
    TimestampTypeInfo: _fixed(_timestamp),
    TupleTypeInfo: _tuple,
    # What msgspec makes of a record is known only when it was made.
    TypedTypeInfo: _fixed(_nothing),
}
