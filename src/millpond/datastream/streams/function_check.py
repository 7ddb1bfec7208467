"""Checks of what users give to the methods of streams."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream.functions import Function, KeySelector
from millpond.errors import InvalidProgramError

__all__ = ("check_strategy", "function_of", "function_or_callable")


def function_of(function: Any, kinds: type | tuple[type, ...], method: str, hint: str = "") -> Any:
    """Check that a user function is of its class, or one of several.

    Raises:
        InvalidProgramError: it is not; `hint` is given unless the class itself was passed.
    """
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if isinstance(function, kinds):
        return function
    forgotten_call = isinstance(function, type) and issubclass(function, kinds)
    names = " or ".join(kind.__name__ for kind in kinds)
    article = "an" if names[0] in "AEIOU" else "a"
    raise InvalidProgramError(
        f"{method} needs {article} {names}, not {_text(function)}.",
        hint=f"Write {function.__name__}()." if forgotten_call else hint or None,
    )


def function_or_callable(function: Any, kind: type, operator: str) -> Any:
    """Check that a user function is of its class or a plain callable.

    Raises:
        InvalidProgramError: it is neither.
    """
    forgotten_call = isinstance(function, type) and issubclass(function, Function)
    if isinstance(function, kind) or (callable(function) and not forgotten_call):
        return function
    hint = f"Write {function.__name__}()." if forgotten_call else None
    if kind is KeySelector and isinstance(function, int | str):
        hint = f"Write lambda record: record[{function!r}]."
    raise InvalidProgramError(
        f"{operator} needs a {kind.__name__} or a callable, not {_text(function)}.",
        hint=hint,
        operator=operator,
    )


def check_strategy(strategy: object) -> None:
    """Check that it is a watermark strategy, or None, which makes no watermarks.

    Raises:
        InvalidProgramError: it is not.
    """
    if strategy is not None and not isinstance(strategy, WatermarkStrategy):
        raise InvalidProgramError(
            f"Event time needs a WatermarkStrategy, not {_text(strategy)}.",
            hint="Write WatermarkStrategy.for_monotonous_timestamps()"
            ".with_timestamp_assigner(...), or WatermarkStrategy.no_watermarks().",
        )


def _text(given: object) -> str:
    """Name a class and an object without address; others as Python writes them."""
    if isinstance(given, type):
        return f"the class {given.__name__}"
    text = repr(given)
    if isinstance(given, FunctionType):
        return f"the function {given.__name__}"
    return f"an object of the class {type(given).__name__}" if text.endswith(">") else text
