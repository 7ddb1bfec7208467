"""`as_json`: Python values as values of JSON from which they can be told apart."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from millpond.common.time import Instant
from millpond.common.types import Row
from millpond.formats.java_values import JavaRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ("as_json",)


def as_json(value: Any) -> Any:
    """Return a value of JSON.

    None, bool, int, str and finite floats stand for themselves, the others are tagged:
    ``{"bytes": hex}``, ``{"tuple": [...]}``, ``{"list": [...]}``, ``{"map": [[key, value], ...]}``,
    ``{"row": [...], "names": [...]}``, ``{"decimal": text}``, ``{"timestamp": text}`` and so on.
    Records of other classes have the class name as tag.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    for kind, render in _RENDERED:
        if isinstance(value, kind):
            return render(value)
    try:
        return {type(value).__name__: _finite(msgspec.to_builtins(value))}
    except (TypeError, ValueError):
        return {"repr": repr(value)}


def _finite(value: Any) -> Any:
    """Tag the floats that JSON has not, in values of JSON."""
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return value


def _all(values: Iterable[Any]) -> list[Any]:
    return [as_json(value) for value in values]


def _float(value: float) -> Any:
    # A key may be of a subclass, which msgspec does not write.
    return float(value) if math.isfinite(value) else {"double": repr(value)}


def _row(row: Row) -> Any:
    names = row.get_field_names()
    rendered = {"row": _all(row)}
    return rendered if names is None else {**rendered, "names": names}


def _map(entries: dict[Any, Any]) -> Any:
    return {"map": [[as_json(key), as_json(value)] for key, value in entries.items()]}


# In this order: a datetime is a date, and a JavaRow a tuple.
_RENDERED: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    (float, _float),
    ((bytes, bytearray), lambda value: {"bytes": bytes(value).hex()}),
    (Row, _row),
    (JavaRow, lambda value: {"row": _all(value)}),
    (dict, _map),
    (tuple, lambda value: {"tuple": _all(value)}),
    (list, lambda value: {"list": _all(value)}),
    ((set, frozenset), lambda value: {"set": _all(value)}),
    (decimal.Decimal, lambda value: {"decimal": str(value)}),
    (Instant, lambda value: {"instant": [value.seconds, value.nanos]}),
    (dt.datetime, lambda value: {"timestamp": value.isoformat()}),
    (dt.date, lambda value: {"date": value.isoformat()}),
    (dt.time, lambda value: {"time": value.isoformat()}),
)
