"""Functions between the values of declared types and those of JSON."""

from __future__ import annotations

import base64
import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from millpond.common.basic_types import BasicType, BasicTypeInfo
from millpond.common.collection_types import (
    BasicArrayTypeInfo,
    ListTypeInfo,
    MapTypeInfo,
    ObjectArrayTypeInfo,
    PrimitiveArrayTypeInfo,
)
from millpond.common.composite_types import RowTypeInfo
from millpond.common.temporal_types import DateTypeInfo, TimestampTypeInfo, TimeTypeInfo
from millpond.common.types import Row
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.type_information import TypeInformation

    Function = Callable[[Any], Any]

__all__ = ("decode_json", "encode_json", "reader_of", "writer_of")

_LIMITS: Final = {
    BasicType.BYTE: 1 << 7,
    BasicType.SHORT: 1 << 15,
    BasicType.INT: 1 << 31,
    BasicType.LONG: 1 << 63,
}
_ARRAYS: Final = (
    PrimitiveArrayTypeInfo, BasicArrayTypeInfo, ObjectArrayTypeInfo, ListTypeInfo,
)  # fmt: skip


encode_json: Final = msgspec.json.Encoder(decimal_format="number").encode
"""Encodes what `writer_of` and `decode_json` give."""

decode_json: Final = msgspec.json.Decoder(float_hook=Decimal).decode
"""Decodes for `reader_of`: numbers keep all their digits."""


def reader_of(type_info: TypeInformation, *, missing_fails: bool) -> Function:
    """Return what makes a value of decoded JSON; null is None.

    The function raises ValueError.

    Raises:
        InvalidProgramError: the type has no form in JSON.
    """
    read = _reader(type_info, missing_fails)
    return lambda value: None if value is None else read(value)


def _reader(type_info: TypeInformation, missing_fails: bool) -> Function:
    if isinstance(type_info, RowTypeInfo):
        return _row_reader(type_info, missing_fails)
    if isinstance(type_info, BasicTypeInfo) and type_info.basic_type in _BASIC_READERS:
        return _BASIC_READERS[type_info.basic_type]
    if _is_bytes(type_info):
        return lambda value: base64.b64decode(_text(value), validate=True)
    if isinstance(type_info, _ARRAYS):
        element = reader_of(type_info.element_type, missing_fails=missing_fails)
        return lambda value: [element(each) for each in _of(list, value)]
    if isinstance(type_info, MapTypeInfo):
        _check_map(type_info)
        entry = reader_of(type_info.value_type_info, missing_fails=missing_fails)
        return lambda value: {key: entry(each) for key, each in _of(dict, value).items()}
    for kind, read, _ in _TEMPORAL:
        if isinstance(type_info, kind):
            return read
    raise _no_form(type_info)


def _row_reader(type_info: RowTypeInfo, missing_fails: bool) -> Function:
    names = type_info.get_field_names()
    fields = [
        (name, reader_of(field, missing_fails=missing_fails))
        for name, field in zip(names, type_info.get_field_types(), strict=True)
    ]

    def read(value: Any) -> Row:
        given = _of(dict, value)
        values = []
        for name, read_field in fields:
            if missing_fails and name not in given:
                raise ValueError(f"there is no field '{name}'")
            try:
                values.append(read_field(given.get(name)))
            except ValueError as error:
                raise ValueError(f"field '{name}': {error}") from error
        row = Row(*values)
        row.set_field_names(names)
        return row

    return read


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{value!r} is no {'object' if kind is dict else 'array'}")  # noqa: TRY004
    return value


def _text(value: Any) -> str:
    """Return a text as it is, and anything else as its JSON, as Flink does."""
    return value if isinstance(value, str) else encode_json(value).decode()


def _integer_reader(limit: int) -> Function:
    def read(value: Any) -> int:
        number = _big_integer(value)
        if not -limit <= number < limit:
            raise ValueError(f"{number} is out of range")
        return number

    return read


def _big_integer(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError(f"{value} is no number")  # noqa: TRY004
    return value if isinstance(value, int) else int(_text(value).strip())


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError(f"{value} is no number")  # noqa: TRY004
    return float(_text(value).strip())


def _decimal(value: Any) -> Decimal:
    text = _text(value).strip()
    try:
        return Decimal(text)
    except ArithmeticError as error:
        raise ValueError(f"{text!r} is no number") from error


def _boolean(value: Any) -> bool:
    return value if isinstance(value, bool) else _text(value).strip().lower() == "true"


def _time(value: Any) -> dt.time:
    return dt.time.fromisoformat(_text(value)).replace(tzinfo=None)


def _timestamp(value: Any) -> dt.datetime:
    return dt.datetime.fromisoformat(_text(value)).replace(tzinfo=None)


def _write_time(value: dt.time) -> str:
    return value.isoformat() + "Z"


def _write_timestamp(value: dt.datetime) -> str:
    return value.replace(tzinfo=None).isoformat() + "Z"


_BASIC_READERS: Final[dict[BasicType, Function]] = {
    **{basic: _integer_reader(limit) for basic, limit in _LIMITS.items()},
    BasicType.STRING: _text,
    BasicType.CHAR: _text,
    BasicType.BOOLEAN: _boolean,
    BasicType.FLOAT: _float,
    BasicType.DOUBLE: _float,
    BasicType.BIG_INT: _big_integer,
    BasicType.BIG_DEC: _decimal,
}
_TEMPORAL: Final[tuple[tuple[type, Function, Function], ...]] = (
    (DateTypeInfo, lambda value: dt.date.fromisoformat(_text(value)), dt.date.isoformat),
    (TimeTypeInfo, _time, _write_time),
    (TimestampTypeInfo, _timestamp, _write_timestamp),
)


def writer_of(type_info: TypeInformation) -> Function:
    """Return what makes a value that JSON can hold; None is null.

    Raises:
        InvalidProgramError: the type has no form in JSON.
    """
    write = _writer(type_info)
    return lambda value: None if value is None else write(value)


def _writer(type_info: TypeInformation) -> Function:
    if isinstance(type_info, RowTypeInfo):
        return _row_writer(type_info)
    if isinstance(type_info, BasicTypeInfo):
        kinds = _WRITTEN.get(type_info.basic_type)
        if kinds is not None:
            return _checked(kinds)
    if _is_bytes(type_info):
        return lambda value: base64.b64encode(value).decode("ascii")
    if isinstance(type_info, _ARRAYS):
        element = writer_of(type_info.element_type)
        return lambda value: [element(each) for each in value]
    if isinstance(type_info, MapTypeInfo):
        _check_map(type_info)
        entry = writer_of(type_info.value_type_info)
        return lambda value: {key: entry(each) for key, each in value.items()}
    for kind, _, write in _TEMPORAL:
        if isinstance(type_info, kind):
            return write
    raise _no_form(type_info)


_WRITTEN: Final[dict[BasicType, tuple[type, ...]]] = {
    BasicType.STRING: (str,),
    BasicType.CHAR: (str,),
    BasicType.BOOLEAN: (bool,),
    **dict.fromkeys((*_LIMITS, BasicType.BIG_INT), (int,)),
    **dict.fromkeys((BasicType.FLOAT, BasicType.DOUBLE), (float, int)),
    BasicType.BIG_DEC: (Decimal, int),
}


def _checked(kinds: tuple[type, ...]) -> Function:
    def write(value: Any) -> Any:
        if not isinstance(value, kinds):
            raise TypeError(f"{value!r} is no {kinds[0].__name__}")
        return value

    return write


def _row_writer(type_info: RowTypeInfo) -> Function:
    names = type_info.get_field_names()
    writers = [writer_of(field) for field in type_info.get_field_types()]

    def write(value: Any) -> dict[str, Any]:
        values = value.get_fields_by_names(names) if isinstance(value, Row) else list(value)
        fields = zip(names, writers, values, strict=True)
        return {name: write_field(each) for name, write_field, each in fields}

    return write


def _is_bytes(type_info: TypeInformation) -> bool:
    if not isinstance(type_info, PrimitiveArrayTypeInfo):
        return False
    element = type_info.element_type
    return isinstance(element, BasicTypeInfo) and element.basic_type is BasicType.BYTE


def _check_map(type_info: MapTypeInfo) -> None:
    key = type_info.key_type_info
    if not (isinstance(key, BasicTypeInfo) and key.basic_type is BasicType.STRING):
        raise InvalidProgramError("Keys of JSON objects are texts.", type=type_info.signature)


def _no_form(type_info: TypeInformation) -> InvalidProgramError:
    return InvalidProgramError("The type has no form in JSON.", type=type_info.signature)
