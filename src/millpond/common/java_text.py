"""`java_text`: a value of a declared type as Java prints it.

`DataStream.print` and text sinks of PyFlink show what the JVM's toString() gives, such as
``+I[a, 1]`` for a row and ``(a,1)`` for a tuple, and tests of ported programs compare it.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from millpond.common.basic_types import BasicType, BasicTypeInfo, PickledBytesTypeInfo
from millpond.common.collection_types import (
    BasicArrayTypeInfo,
    ListTypeInfo,
    MapTypeInfo,
    ObjectArrayTypeInfo,
    PrimitiveArrayTypeInfo,
)
from millpond.common.composite_types import ExternalTypeInfo, RowTypeInfo, TupleTypeInfo
from millpond.common.temporal_types import TimestampTypeInfo
from millpond.common.types import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.common.time import Instant
    from millpond.common.type_information import TypeInformation

__all__ = ("java_text",)

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - written with a Z by hand: Java's year range


def java_text(value: Any, type_info: TypeInformation | None = None) -> str:
    """Return the text; without a declared type, or with PICKLED, it is `str(value)`.

    Raises:
        TypeError: the value is nothing of the declared type, and has no text as such.
    """
    try:
        return _text(value, type_info)
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise TypeError(
            f"{value!r} does not fit the declared type {type_info!r} of its stream: {error}. "
            "Change the value, or the output_type of the operator that made it."
        ) from None


def _text(value: Any, type_info: TypeInformation | None) -> str:
    if type_info is None or isinstance(type_info, PickledBytesTypeInfo):
        return str(value)
    if value is None:
        return "null"
    if isinstance(type_info, BasicTypeInfo):
        return _basic_text(value, type_info.basic_type)
    if isinstance(type_info, TimestampTypeInfo):
        return _timestamp_text(value)
    if isinstance(type_info, ExternalTypeInfo):
        return _text(value, type_info.type_info)
    return _compound_text(value, type_info)


def _compound_text(value: Any, type_info: TypeInformation) -> str:
    if isinstance(type_info, TupleTypeInfo):
        return f"({','.join(_field_texts(value, type_info.get_field_types()))})"
    if isinstance(type_info, RowTypeInfo):
        named = isinstance(value, Row)
        items = value.get_fields_by_names(type_info.get_field_names()) if named else value
        kind = value.get_row_kind() if named else "+I"
        return f"{kind}[{', '.join(_field_texts(items, type_info.get_field_types()))}]"
    if isinstance(type_info, MapTypeInfo):
        key_type, value_type = type_info.key_type_info, type_info.value_type_info
        pairs = [f"{_text(k, key_type)}={_text(v, value_type)}" for k, v in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(
        type_info, ListTypeInfo | BasicArrayTypeInfo | ObjectArrayTypeInfo | PrimitiveArrayTypeInfo
    ):
        if isinstance(value, bytes):
            value = [byte - 256 if byte > 127 else byte for byte in value]
        return f"[{', '.join(_text(item, type_info.element_type) for item in value)}]"
    return str(value)


def _field_texts(items: Sequence[Any], types: list[TypeInformation]) -> list[str]:
    if isinstance(items, str) or len(items) != len(types):
        raise ValueError(f"it has {len(types)} fields")
    return [_text(item, kind) for item, kind in zip(items, types, strict=True)]


def _basic_text(value: Any, basic_type: BasicType) -> str:
    if basic_type is BasicType.BOOLEAN:
        return "true" if value else "false"
    if basic_type in {BasicType.DOUBLE, BasicType.FLOAT}:
        return _float_text(float(value))
    if basic_type is BasicType.INSTANT:
        return _instant_text(value)
    return str(value)


def _float_text(value: float) -> str:
    """Return Double.toString(): plain from 0.001 up to 10 million, else with an exponent."""
    if value != value:  # noqa: PLR0124 - NaN
        return "NaN"
    sign, magnitude = ("-", -value) if repr(value).startswith("-") else ("", value)
    if magnitude == float("inf"):
        return f"{sign}Infinity"
    text = repr(magnitude)
    if magnitude == 0 or 1e-3 <= magnitude < 1e7:
        return sign + text
    mantissa, _, written = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading_zeros = len(whole + fraction) - len(digits)
    exponent = int(written or 0) + len(whole) - 1 - leading_zeros
    digits = digits.rstrip("0")
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"


def _timestamp_text(value: dt.datetime) -> str:
    text = value.isoformat(" ")
    return f"{text.rstrip('0')}" if value.microsecond else f"{text}.0"


def _instant_text(value: Instant) -> str:
    """Return Instant.toString(): ISO 8601 in UTC with no, 3, 6 or 9 digits of a second."""
    text = (_EPOCH + dt.timedelta(seconds=value.seconds)).isoformat()
    fraction = f"{value.nanos:09d}"
    while fraction.endswith("000"):
        fraction = fraction[:-3]
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"
