"""`Results`: collects what functions yield and hands it on in batches."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.output_tag import OutputTag
from millpond.operators.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.operators.operator import OperatorContext, Output

__all__ = ("Results", "emit_results")


def emit_results(values: list[Any], timestamps: list[int] | None, output: Output) -> None:
    """Emit results; those of the form ``(output_tag, value)`` go to their side outputs."""
    if not OutputTag.in_use:
        output.emit(Batch(values, timestamps))
        return
    tagged = [
        index
        for index, value in enumerate(values)
        if type(value) is tuple and len(value) == 2 and type(value[0]) is OutputTag
    ]
    if not tagged:
        output.emit(Batch(values, timestamps))
        return
    sides: dict[str, tuple[list[Any], list[int]]] = {}
    for index in tagged:
        tag, value = values[index]
        side = sides.setdefault(tag.tag_id, ([], []))
        side[0].append(value)
        if timestamps is not None:
            side[1].append(timestamps[index])
    aside = set(tagged)
    main = [value for index, value in enumerate(values) if index not in aside]
    times = None
    if timestamps is not None:
        times = [time for index, time in enumerate(timestamps) if index not in aside]
    output.emit(Batch(main, times))
    for tag_id, (side_values, side_times) in sides.items():
        output.emit_side(tag_id, Batch(side_values, None if timestamps is None else side_times))


@final
class Results:
    """Collects the results of timers, which come one by one and may be many."""

    __slots__ = ("_batch_size", "_output", "_timestamps", "_values")

    def __init__(self, context: OperatorContext) -> None:
        self._output = context.output
        self._batch_size = context.batch_size
        self._values: list[Any] = []
        self._timestamps: list[int] = []

    def add(self, results: Iterable[Any] | None, timestamp: int | None) -> None:
        """Add what one call yielded; without a timestamp it is emitted at once."""
        if results is None:
            return
        if timestamp is None:
            self.flush()
            emit_results(list(results), None, self._output)
            return
        before = len(self._values)
        self._values.extend(results)
        self._timestamps.extend(repeat(timestamp, len(self._values) - before))
        if len(self._values) >= self._batch_size:
            self.flush()

    def flush(self) -> None:
        """Emit what is there."""
        if self._values:
            values, timestamps = self._values, self._timestamps
            self._values, self._timestamps = [], []
            emit_results(values, timestamps, self._output)
