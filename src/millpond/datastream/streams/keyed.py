"""`KeyedStream`: a stream partitioned by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from millpond.datastream.functions import KeyedProcessFunction, ReduceFunction
from millpond.datastream.operator_spec import (
    AggregationKind,
    FieldAggregationSpec,
    OperatorSpec,
    ProcessSpec,
    ReduceSpec,
)
from millpond.datastream.streams.function_check import function_of, function_or_callable
from millpond.datastream.streams.plain import DataStream
from millpond.datastream.streams.unnamed import UnnamedStream
from millpond.datastream.transformation import Edge
from millpond.errors import InvalidProgramError, UnsupportedOperationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.typeinfo import TypeInformation
    from millpond.datastream.functions import KeySelector, Partitioner
    from millpond.datastream.partitioning import KeyGroupPartitioning
    from millpond.datastream.state import MapStateDescriptor
    from millpond.datastream.stream_execution_environment import StreamExecutionEnvironment
    from millpond.datastream.streams.interval_join import IntervalJoin
    from millpond.datastream.streams.windowed import WindowedStream
    from millpond.datastream.window import WindowAssigner

__all__ = ("KeyedStream",)


class KeyedStream(UnnamedStream):
    """A stream whose operators have state and timers for each key."""

    def __init__(
        self,
        environment: StreamExecutionEnvironment,
        edges: tuple[Edge, ...],
        partitioning: KeyGroupPartitioning,
        side_type: TypeInformation | None = None,
    ) -> None:
        super().__init__(environment, edges, side_type)
        self._key = partitioning

    def shuffle(self) -> NoReturn:
        """Refuse: the keys say where records go."""
        self._refuse_partitioning()

    def rebalance(self) -> NoReturn:
        """Refuse: the keys say where records go."""
        self._refuse_partitioning()

    def rescale(self) -> NoReturn:
        """Refuse: the keys say where records go."""
        self._refuse_partitioning()

    def forward(self) -> NoReturn:
        """Refuse: the keys say where records go."""
        self._refuse_partitioning()

    def broadcast(self, *broadcast_state_descriptors: MapStateDescriptor) -> NoReturn:
        """Refuse: the keys say where records go."""
        self._refuse_partitioning()

    def partition_custom(
        self,
        partitioner: Callable[[Any, int], int] | Partitioner,
        key_selector: Callable[[Any], Any] | KeySelector,
    ) -> NoReturn:
        """Refuse: the keys say where records go."""
        self._refuse_partitioning()

    @staticmethod
    def _refuse_partitioning() -> NoReturn:
        raise UnsupportedOperationError(
            "The partitioning of a KeyedStream cannot be overridden.",
            hint="Call this on the stream before key_by.",
        )

    def process(  # type: ignore[override]  # PyFlink narrows the argument here
        self, func: KeyedProcessFunction, output_type: TypeInformation | None = None
    ) -> DataStream:
        """Process each record with its key's state and timers."""
        function_of(func, KeyedProcessFunction, "process on a keyed stream")
        return self._add("KEYED PROCESS", ProcessSpec(func), output_type)

    def reduce(self, func: Callable[[Any, Any], Any] | ReduceFunction) -> DataStream:
        """Combine each record with the key's last result; every result is emitted."""
        value_type = self.get_type()
        spec = ReduceSpec(function_or_callable(func, ReduceFunction, "reduce"), value_type)
        return self._add("Reduce", spec, value_type)

    def sum(self, position_to_sum: int | str = 0) -> DataStream:
        """Add up a field of each key's records; the other fields are those of the first."""
        return self._aggregate(AggregationKind.SUM, position_to_sum)

    def min(self, position_to_min: int | str = 0) -> DataStream:
        """Keep the smallest value of a field; the other fields are those of the first."""
        return self._aggregate(AggregationKind.MIN, position_to_min)

    def max(self, position_to_max: int | str = 0) -> DataStream:
        """Keep the largest value of a field; the other fields are those of the first."""
        return self._aggregate(AggregationKind.MAX, position_to_max)

    def min_by(self, position_to_min_by: int | str = 0) -> DataStream:
        """Keep the record with the smallest value of a field; the first of equals."""
        return self._aggregate(AggregationKind.MIN_BY, position_to_min_by)

    def max_by(self, position_to_max_by: int | str = 0) -> DataStream:
        """Keep the record with the largest value of a field; the first of equals."""
        return self._aggregate(AggregationKind.MAX_BY, position_to_max_by)

    def window(self, window_assigner: WindowAssigner[Any, Any]) -> WindowedStream:
        """Put each key's records into windows."""
        from millpond.datastream.streams.windowed import WindowedStream

        return WindowedStream(self, window_assigner)

    def count_window(self, size: int, slide: int = 0) -> WindowedStream:
        """Put each key's records into windows of `size` records, every `slide` records."""
        from millpond.datastream.window import (
            CountSlidingWindowAssigner,
            CountTumblingWindowAssigner,
        )

        if slide == 0:
            return self.window(CountTumblingWindowAssigner(size))
        return self.window(CountSlidingWindowAssigner(size, slide))

    def interval_join(self, other_stream: KeyedStream) -> IntervalJoin:
        """Pair records with those of a keyed stream whose timestamps are near enough.

        Raises:
            InvalidProgramError: the other stream is not keyed.
        """
        from millpond.datastream.streams.interval_join import IntervalJoin

        if not isinstance(other_stream, KeyedStream):
            raise InvalidProgramError(
                f"An interval join needs a keyed stream, not {other_stream!r}.",
                hint="Call key_by on both streams.",
            )
        return IntervalJoin(self, other_stream)

    def _aggregate(self, kind: AggregationKind, position: int | str) -> DataStream:
        if isinstance(position, bool) or not isinstance(position, int | str):
            raise InvalidProgramError(
                f"{kind} needs the position or the name of a field, not {position!r}."
            )
        value_type = self.get_type()
        return self._add(kind.value, FieldAggregationSpec(kind, position, value_type), value_type)

    def _add(
        self, name: str, spec: OperatorSpec, output_type: TypeInformation | None
    ) -> DataStream:
        transformation = self._environment.add_transformation(
            name, spec, self._edges, output_type=output_type, keyed=self._key
        )
        return DataStream(self._environment, (Edge(transformation),))
