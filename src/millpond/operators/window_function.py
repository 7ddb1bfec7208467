"""The kinds of window functions behind one call, and where their results go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.functions import (
    AllWindowFunction,
    ProcessAllWindowFunction,
    ProcessWindowFunction,
    WindowFunction,
)
from millpond.datastream.output_tag import OutputTag
from millpond.errors import InvalidProgramError
from millpond.operators.batch import Batch

if TYPE_CHECKING:
    from millpond.operators.operator import Output
    from millpond.operators.window_context import WindowFunctionContext

__all__ = ("WindowOutput", "WindowResults", "window_results")

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


@final
class WindowOutput:
    """Collects results until they make a batch.

    A result ``(output_tag, value)`` goes to the side output.
    """

    __slots__ = ("_batch_size", "_output", "_side", "timestamps", "values")

    def __init__(self, output: Output, batch_size: int) -> None:
        self._output = output
        self._batch_size = batch_size
        self._side: dict[str, tuple[list[Any], list[int | None]]] = {}
        self.values: list[Any] = []
        self.timestamps: list[int] = []

    def add(self, results: Iterable[Any], timestamp: int) -> None:
        """Add what a window function returned."""
        values, timestamps = self.values, self.timestamps
        for result in results:
            if isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], OutputTag):
                self.add_side(result[0].tag_id, result[1], timestamp)
            else:
                values.append(result)
                timestamps.append(timestamp)
        if len(values) >= self._batch_size:
            self.flush()

    def add_side(self, tag_id: str, value: Any, timestamp: int | None) -> None:
        """Add a record for a side output."""
        values, timestamps = self._side.setdefault(tag_id, ([], []))
        values.append(value)
        timestamps.append(timestamp)

    def flush(self) -> None:
        """Hand on what was collected."""
        if self.values:
            batch = Batch(self.values, self.timestamps)
            self.values, self.timestamps = [], []
            self._output.emit(batch)
        if self._side:
            side, self._side = self._side, {}
            for tag_id, (values, timestamps) in side.items():
                known = [timestamp for timestamp in timestamps if timestamp is not None]
                batch = Batch(values, known if len(known) == len(values) else None)
                self._output.emit_side(tag_id, batch)
