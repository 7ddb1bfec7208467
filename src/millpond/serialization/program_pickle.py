"""Pickles of programs: functions by value, with the files that their code came from."""

from __future__ import annotations

import io
from collections import ChainMap
from dataclasses import MISSING
from types import CodeType
from typing import TYPE_CHECKING, Any, ClassVar

import cloudpickle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("ProgramPickler", "pickle_program")

_MSGSPEC_CACHE = "__msgspec_cache__"


def pickle_program(value: Any) -> bytes:
    """Return the pickle of an object that holds functions, classes or lambdas of a program.

    Raises what pickling one of them raises. Read it back with `pickle.loads`.
    """
    buffer = io.BytesIO()
    ProgramPickler(buffer).dump(value)
    return buffer.getvalue()


def _code_from(file: str, make: Callable[..., CodeType], arguments: tuple[Any, ...]) -> CodeType:
    return make(*arguments).replace(co_filename=file)


def _reduce_code(code: CodeType) -> tuple[Any, ...]:
    # Since 3.1.3 cloudpickle writes "<dynamic-code>" for every file, and a traceback of a user's
    # function would lose its lines.
    make, arguments = cloudpickle.Pickler.dispatch_table[CodeType](code)
    return _code_from, (code.co_filename, make, arguments)


def _reduce_missing(missing: object) -> str:
    # By its name in `dataclasses`. A copy is another object, and to msgspec the default of every
    # field that has none: a record without the field would be read as complete.
    del missing
    return "MISSING"


class ProgramPickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's pickler; code keeps the name of its file, classes stay free of caches."""

    dispatch_table: ClassVar[Mapping[type, Callable[..., Any]]] = ChainMap(
        {CodeType: _reduce_code, type(MISSING): _reduce_missing}, cloudpickle.Pickler.dispatch_table
    )

    def reducer_override(self, value: Any) -> Any:
        """Leave out what msgspec keeps in a record class that a coder was made for.

        It cannot be pickled, and msgspec makes it anew where it is missing.
        """
        if isinstance(value, type) and _MSGSPEC_CACHE in vars(value):
            delattr(value, _MSGSPEC_CACHE)
        return super().reducer_override(value)
