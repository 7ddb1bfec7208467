"""`WindowedStream` and `AllWindowedStream`: records in windows, before the function is known."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Self

from millpond.datastream._windows.timestamps import check_timestamps
from millpond.datastream._windows.validation import validate_window
from millpond.datastream.functions import (
    AggregateFunction,
    AllWindowFunction,
    ProcessAllWindowFunction,
    ProcessWindowFunction,
    ReduceFunction,
    WindowFunction,
)
from millpond.datastream.operator_spec import WindowSpec
from millpond.datastream.output_tag import OutputTag
from millpond.datastream.streams.function_check import function_of, function_or_callable
from millpond.datastream.window import Evictor, MergingWindowAssigner, Trigger, WindowAssigner
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.typeinfo import TypeInformation
    from millpond.datastream.stream_execution_environment import StreamExecutionEnvironment
    from millpond.datastream.streams.keyed import KeyedStream
    from millpond.datastream.streams.plain import DataStream

__all__ = ("AllWindowedStream", "WindowedStream")


class _Windowed:
    """What keyed and global windows have in common."""

    _apply_kind: type = WindowFunction
    _process_kind: type = ProcessWindowFunction
    _all_windows = False

    def __init__(self, keyed_stream: KeyedStream, assigner: WindowAssigner[Any, Any]) -> None:
        function_of(assigner, WindowAssigner, "window")
        self._stream = keyed_stream
        self._spec = WindowSpec(
            assigner, element_type=keyed_stream.get_type(), all_windows=self._all_windows
        )

    def get_execution_environment(self) -> StreamExecutionEnvironment:
        """Return the environment of the program."""
        return self._stream.get_execution_environment()

    def get_input_type(self) -> TypeInformation | None:
        """Return the declared type of the records."""
        return self._stream.get_type()

    def trigger(self, trigger: Trigger[Any, Any]) -> Self:
        """Replace the assigner's default trigger.

        Raises:
            InvalidProgramError: it is no trigger, or the windows merge and it cannot.
        """
        if not isinstance(trigger, Trigger):
            raise InvalidProgramError(f"The trigger must be a Trigger, not {trigger!r}.")
        if isinstance(self._spec.assigner, MergingWindowAssigner) and not trigger.can_merge():
            raise InvalidProgramError(
                f"{type(trigger).__name__} cannot merge, but "
                f"{type(self._spec.assigner).__name__} makes windows that do.",
                hint="Give the trigger can_merge and on_merge, or use windows of fixed bounds.",
            )
        self._spec = dataclasses.replace(self._spec, trigger=trigger)
        return self

    def evictor(self, evictor: Evictor) -> Self:
        """Drop elements of a window before or after its function, as Java Flink.

        Raises:
            InvalidProgramError: it is no evictor.
        """
        function_of(evictor, Evictor, "evictor")
        self._spec = dataclasses.replace(self._spec, evictor=evictor)
        return self

    def allowed_lateness(self, time_ms: int) -> Self:
        """Keep windows for so long after the watermark passed their end.

        Raises:
            InvalidProgramError: it is negative, or no whole number.
        """
        if not isinstance(time_ms, int) or isinstance(time_ms, bool):
            raise InvalidProgramError(
                f"The allowed lateness is {time_ms!r}.", hint="Give it in milliseconds, as an int."
            )
        if time_ms < 0:
            raise InvalidProgramError(f"The allowed lateness {time_ms} ms is negative.")
        self._spec = dataclasses.replace(self._spec, allowed_lateness_ms=time_ms)
        return self

    def side_output_late_data(self, output_tag: OutputTag) -> Self:
        """Send records that are too late to a side output instead of dropping them.

        Raises:
            InvalidProgramError: it is no output tag.
        """
        function_of(output_tag, OutputTag, "side_output_late_data")
        self._spec = dataclasses.replace(self._spec, late_data_tag=output_tag)
        return self

    def reduce(
        self,
        reduce_function: Callable[[Any, Any], Any] | ReduceFunction,
        window_function: Any = None,
        output_type: TypeInformation | None = None,
    ) -> DataStream:
        """Combine a window's records one by one; only the result is kept."""
        self._check_window_function(window_function)
        if window_function is None and output_type is None:
            output_type = self.get_input_type()
        spec = dataclasses.replace(
            self._spec,
            reduce=function_or_callable(reduce_function, ReduceFunction, "reduce"),
            window_function=window_function,
        )
        return self._add("Reduce", spec, output_type)

    def aggregate(
        self,
        aggregate_function: AggregateFunction,
        window_function: Any = None,
        accumulator_type: TypeInformation | None = None,
        output_type: TypeInformation | None = None,
    ) -> DataStream:
        """Add a window's records to an accumulator; only it is kept."""
        function_of(aggregate_function, AggregateFunction, "aggregate")
        self._check_window_function(window_function)
        spec = dataclasses.replace(
            self._spec,
            aggregate=aggregate_function,
            window_function=window_function,
            accumulator_type=accumulator_type,
        )
        return self._add("Aggregate", spec, output_type)

    def apply(self, window_function: Any, output_type: TypeInformation | None = None) -> DataStream:
        """Call a window function with all records of the window."""
        function_of(window_function, self._apply_kind, "apply on windows")
        spec = dataclasses.replace(self._spec, window_function=window_function)
        return self._add("Apply", spec, output_type)

    def process(
        self, process_window_function: Any, output_type: TypeInformation | None = None
    ) -> DataStream:
        """Call a process window function with all records of the window and its context."""
        function_of(process_window_function, self._process_kind, "process on windows")
        spec = dataclasses.replace(self._spec, window_function=process_window_function)
        return self._add("Process", spec, output_type)

    def _check_window_function(self, function: Any) -> None:
        if function is not None:
            function_of(function, (self._apply_kind, self._process_kind), "The window function")

    def _add(
        self, function_name: str, spec: WindowSpec, output_type: TypeInformation | None
    ) -> DataStream:
        if spec.evictor is not None and (spec.reduce or spec.aggregate):
            # Evictors need the elements: keep them, and combine when the window fires.
            function_name = f"Evicting {function_name}"
        validate_window(spec)
        check_timestamps(spec.assigner, self._stream._edges)
        name = f"{type(spec.assigner).__name__}, {function_name}"
        stream = self._stream._add(name, spec, output_type)
        if self._all_windows:
            stream.force_non_parallel()
        return stream


class WindowedStream(_Windowed):
    """Each key's records in windows."""


class AllWindowedStream(_Windowed):
    """All records in windows; runs as one subtask."""

    _apply_kind = AllWindowFunction
    _process_kind = ProcessAllWindowFunction
    _all_windows = True
