"""Gives rows the field names of their declared type, as a way through PyFlink's row coder does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.common.types import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("named_rows",)


def named_rows(values: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Return tuples, lists and rows without names as rows with these; others as they are."""
    return [_named(value, names) for value in values]


def _named(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, Row):
        if value.get_field_names() is not None:
            return value
        row = Row.of_kind(value.get_row_kind(), *value)
    elif isinstance(value, tuple | list):
        row = Row(*value)
    else:
        return value
    row.set_field_names(names)
    return row
