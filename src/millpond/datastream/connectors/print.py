"""`PrintSink`: records as lines on standard output, written as Flink writes them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO, final

from millpond.common.java_text import java_text
from millpond.datastream.connectors.sink import Sink, SinkWriter, SinkWriterContext

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ("PrintSink",)


@final
class PrintSink(Sink):
    """Prints a line a record; what `DataStream.print` adds.

    With several subtasks each line begins with the number of its subtask, as in Flink:
    ``2> value``, or ``identifier:2> value``. Nothing is held back, so a recovered job prints some
    lines again.

    Args:
        sink_identifier: put before each line, or None.
        standard_error: print there instead.
        format: makes the text of a record; `str` gives Python's own.
    """

    def __init__(
        self,
        sink_identifier: str | None = None,
        *,
        standard_error: bool = False,
        format: Callable[[Any], str] = java_text,
    ) -> None:
        self._sink_identifier = sink_identifier
        self._standard_error = standard_error
        self._format = format

    def create_writer(
        self,
        context: SinkWriterContext,
        restored: Sequence[Any],
    ) -> SinkWriter:
        """Print to what is standard output when the job starts."""
        parts = [] if not self._sink_identifier else [self._sink_identifier]
        if context.parallelism > 1:
            parts.append(str(context.subtask_index + 1))
        prefix = f"{':'.join(parts)}> " if parts else ""
        return _PrintWriter(
            prefix, sys.stderr if self._standard_error else sys.stdout, self._format
        )


@final
class _PrintWriter(SinkWriter):
    def __init__(self, prefix: str, stream: TextIO, format: Callable[[Any], str]) -> None:
        self._prefix = prefix
        self._stream = stream
        self._format = format

    def write(self, values: list[Any], timestamps: list[int] | None) -> None:
        if not values:
            return
        prefix, format = self._prefix, self._format
        self._stream.write("".join([f"{prefix}{format(value)}\n" for value in values]))
        self._stream.flush()
