"""The kinds of window functions behind one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from millpond.datastream.functions import (
    AllWindowFunction,
    ProcessAllWindowFunction,
    ProcessWindowFunction,
    WindowFunction,
)
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from millpond.operators.window_context import WindowFunctionContext

__all__ = ("WindowResults", "window_results")

WindowResults = Callable[[Any, Any, Sequence[Any]], Iterable[Any] | None]
"""Given (key, window, contents); None stands for handing the contents on."""


def window_results(function: Any, context: WindowFunctionContext) -> WindowResults | None:
    """Return one call for any kind of window function; None when there is no function."""
    if function is None:
        return None
    if isinstance(function, WindowFunction):
        return function.apply
    if isinstance(function, AllWindowFunction):
        apply = function.apply
        return lambda _key, window, contents: apply(window, contents)
    if isinstance(function, ProcessWindowFunction):
        process = function.process

        def call_keyed(key: Any, window: Any, contents: Sequence[Any]) -> Iterable[Any] | None:
            context.current_window = window
            return process(key, context, contents)

        return call_keyed
    if isinstance(function, ProcessAllWindowFunction):
        process_all = function.process

        def call_all(_key: Any, window: Any, contents: Sequence[Any]) -> Iterable[Any] | None:
            context.current_window = window
            return process_all(context, contents)

        return call_all
    raise InvalidProgramError(f"{function!r} is no window function.")
