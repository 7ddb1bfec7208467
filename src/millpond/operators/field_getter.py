"""`field_getter`: a function that only takes a field of a record, as one that needs no frame."""

from __future__ import annotations

from dis import get_instructions
from operator import itemgetter
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ("field_getter", "take")

_VARIADIC: Final = 0x04 | 0x08  # *arguments and **keywords, as code objects flag them


def field_getter(function: Callable[..., Any]) -> itemgetter[Any] | None:
    """Return the itemgetter that does what a function does; None if it does anything else.

    Such are itemgetters of one item, ``lambda record: record[0]``, and methods whose only line is
    ``return value["name"]``, as key selectors and timestamp assigners often are. They are known by
    their bytecode, which is compared with what this interpreter makes of such a lambda. Calling
    them costs 60 ns a record, the itemgetter 20.
    """
    if isinstance(function, itemgetter):
        return function if len(function.__reduce__()[1]) == 1 else None
    first = 0
    if isinstance(function, MethodType):
        function, first = function.__func__, 1
    if not isinstance(function, FunctionType):
        return None
    code = function.__code__
    if code.co_flags & _VARIADIC or code.co_kwonlyargcount or code.co_argcount <= first:
        return None
    try:
        load, constant, *rest = _steps(function)
    except ValueError:
        return None
    name = code.co_varnames[first]
    for known_load, known_constant, *known_rest in _KNOWN:
        if (load[0], load[2], constant[0], rest) == (
            known_load[0],
            name,
            known_constant[0],
            known_rest,
        ):
            return itemgetter(constant[2])
    return None


def take(getter: itemgetter[Any] | None, records: Sequence[Any]) -> list[Any] | None:
    """Return what a getter takes from each record; None where the function itself must be called.

    That is so without a getter, and when one of the records has no such field: then the user's own
    line has to raise the error.
    """
    if getter is None:
        return None
    try:
        taken = list(map(getter, records))
    except Exception:
        return None
    # A record may raise StopIteration, which would end map() without an error.
    return taken if len(taken) == len(records) else None


def _steps(function: Callable[..., Any]) -> list[tuple[str, int | None, Any]]:
    return [
        (step.opname, step.arg, step.argval)
        for step in get_instructions(function)
        if step.opname not in {"RESUME", "NOP"}
    ]


# Small integers and other constants may be loaded in different ways.
_KNOWN: Final = tuple(
    _steps(each) for each in (lambda record: record[0], lambda record: record[""])
)
