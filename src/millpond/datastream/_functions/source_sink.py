"""Source and sink functions: the simple way to read from and write to the outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from millpond.datastream._functions.function import Function, JavaFunctionWrapper

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("SinkFunction", "SourceFunction")


class SourceFunction(JavaFunctionWrapper, Function):
    """Reads from the outside by yielding records.

    PyFlink wraps a Java object; here a source is written in Python. A checkpoint may be taken
    between two records, so state must be changed before the record is yielded that it belongs to.

    `run` has its turn on the job's thread: while it waits for a record the job waits. What it has
    yielded is handed on after 200 ms, or with its next record, and event time moves there.

    Attributes:
        bounded: `run` comes to an end; must be set for BATCH execution.
    """

    bounded: bool = False

    class SourceContext(ABC):
        """What `run` may ask."""

        @abstractmethod
        def get_index_of_this_subtask(self) -> int:
            """Return the subtask's index, from 0."""

        @abstractmethod
        def get_number_of_parallel_subtasks(self) -> int:
            """Return the source's parallelism."""

        @abstractmethod
        def current_processing_time(self) -> int:
            """Return the processing time in ms."""

    @abstractmethod
    def run(self, ctx: SourceFunction.SourceContext) -> Iterable[Any]:
        """Yield records until the source is exhausted or cancelled."""

    def cancel(self) -> None:
        """Make `run` end soon."""


class SinkFunction(JavaFunctionWrapper, Function):
    """Writes records to the outside, one by one.

    With `CheckpointedFunction` and `CheckpointListener` it can write exactly once.
    """

    class Context(ABC):
        """What `invoke` may ask."""

        @abstractmethod
        def current_processing_time(self) -> int:
            """Return the processing time in ms."""

        @abstractmethod
        def current_watermark(self) -> int:
            """Return the watermark in ms."""

        @abstractmethod
        def timestamp(self) -> int | None:
            """Return the record's timestamp in ms, or None when it has none."""

    @abstractmethod
    def invoke(self, value: Any, context: SinkFunction.Context) -> None:
        """Write a record."""
