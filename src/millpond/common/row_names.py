"""Gives values the rows that their declared type has, as a way through PyFlink's coders does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.common.collection_types import (
    BasicArrayTypeInfo,
    ListTypeInfo,
    MapTypeInfo,
    ObjectArrayTypeInfo,
)
from millpond.common.composite_types import RowTypeInfo, TupleTypeInfo
from millpond.common.types import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.common.type_information import TypeInformation

    Naming = Callable[[Any], Any]

__all__ = ("row_naming",)


def row_naming(type_info: TypeInformation | None) -> Callable[[Any], Any] | None:
    """Return what makes values fit a type with rows; None for a type that has none in it.

    Where the type has a row, a tuple, a list or a row without names becomes a row with the names
    of the type. Rows with names keep them, and what fits no row stays as it is.
    """
    if isinstance(type_info, RowTypeInfo):
        return _row(type_info.get_field_names(), _fields(type_info))
    if isinstance(type_info, TupleTypeInfo):
        return _tuple(_fields(type_info))
    if isinstance(type_info, ListTypeInfo | BasicArrayTypeInfo | ObjectArrayTypeInfo):
        return _elements(row_naming(type_info.element_type))
    if isinstance(type_info, MapTypeInfo):
        return _map(row_naming(type_info.key_type_info), row_naming(type_info.value_type_info))
    return None


def _fields(type_info: RowTypeInfo | TupleTypeInfo) -> list[tuple[int, Naming]]:
    named = [(index, row_naming(field)) for index, field in enumerate(type_info.get_field_types())]
    return [(index, naming) for index, naming in named if naming is not None]


def _row(names: Sequence[str], fields: Sequence[tuple[int, Naming]]) -> Naming:
    def name(value: Any) -> Any:
        if isinstance(value, Row):
            own = value.get_field_names()
            if own is not None and not fields:
                return value
            row = Row.of_kind(value.get_row_kind(), *value)
            row.set_field_names(names if own is None else own)
        elif isinstance(value, tuple | list):
            row = Row(*value)
            row.set_field_names(names)
        else:
            return value
        for index, naming in fields:
            if index < len(row):
                row[index] = naming(row[index])
        return row

    return name


def _tuple(fields: Sequence[tuple[int, Naming]]) -> Naming | None:
    if not fields:
        return None

    def name(value: Any) -> Any:
        if not isinstance(value, tuple):
            return value
        values = list(value)
        for index, naming in fields:
            if index < len(values):
                values[index] = naming(values[index])
        return tuple(values)

    return name


def _elements(naming: Naming | None) -> Naming | None:
    if naming is None:
        return None
    return lambda value: [*map(naming, value)] if isinstance(value, list | tuple) else value


def _map(key: Naming | None, value: Naming | None) -> Naming | None:
    if key is None and value is None:
        return None
    keys, values = key or _same, value or _same

    def name(mapping: Any) -> Any:
        if not isinstance(mapping, dict):
            return mapping
        return {keys(each): values(entry) for each, entry in mapping.items()}

    return name


def _same(value: Any) -> Any:
    return value
