"""`DataStream`: a stream of records and what can be done with it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from millpond.common.java_text import java_text
from millpond.datastream.connectors.print import PrintSink
from millpond.datastream.functions import (
    FilterFunction,
    FlatMapFunction,
    KeySelector,
    MapFunction,
    NullByteKeySelector,
    Partitioner,
    ProcessFunction,
    SinkFunction,
)
from millpond.datastream.operator_spec import (
    FilterSpec,
    FlatMapSpec,
    MapSpec,
    OperatorSpec,
    ProcessSpec,
    SinkFunctionSpec,
    SinkSpec,
    TimestampsSpec,
)
from millpond.datastream.output_tag import OutputTag
from millpond.datastream.partitioning import (
    BroadcastPartitioning,
    CustomPartitioning,
    ForwardPartitioning,
    KeyGroupPartitioning,
    Partitioning,
    RebalancePartitioning,
    RescalePartitioning,
    ShufflePartitioning,
)
from millpond.datastream.streams.function_check import (
    check_strategy,
    function_of,
    function_or_callable,
)
from millpond.datastream.streams.named import NamedStream
from millpond.datastream.streams.sink import DataStreamSink
from millpond.datastream.transformation import ChainingStrategy, Edge
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.execution_config import ExecutionConfig
    from millpond.common.typeinfo import TypeInformation
    from millpond.common.watermark_strategy import WatermarkStrategy
    from millpond.datastream.connectors.sink import Sink
    from millpond.datastream.state import MapStateDescriptor
    from millpond.datastream.stream_execution_environment import StreamExecutionEnvironment
    from millpond.datastream.streams.cached import CachedDataStream
    from millpond.datastream.streams.closeable_iterator import CloseableIterator
    from millpond.datastream.streams.connected import (
        BroadcastConnectedStream,
        BroadcastStream,
        ConnectedStreams,
    )
    from millpond.datastream.streams.joined import CoGroupedStreams, JoinedStreams
    from millpond.datastream.streams.keyed import KeyedStream
    from millpond.datastream.streams.windowed import AllWindowedStream
    from millpond.datastream.window import WindowAssigner

__all__ = ("DataStream",)


class DataStream(NamedStream):
    """A stream of records.

    Each method that transforms it adds an operator to the program and returns the new stream;
    nothing runs before `execute`.
    """

    def __init__(
        self,
        environment: StreamExecutionEnvironment,
        edges: tuple[Edge, ...],
        side_type: TypeInformation | None = None,
    ) -> None:
        super().__init__(edges[0].source)
        self._environment = environment
        self._edges = edges
        self._side_type = side_type

    def get_type(self) -> TypeInformation | None:
        """Return the declared type of the records, or None."""
        if self._edges[0].side_tag is not None:
            return self._side_type
        return self._transformation.output_type

    def get_execution_environment(self) -> StreamExecutionEnvironment:
        """Return the environment of the program."""
        return self._environment

    def get_execution_config(self) -> ExecutionConfig:
        """Return the execution configuration of the program."""
        return self._environment.get_config()

    def force_non_parallel(self) -> Self:
        """Run the operator as one subtask, for good."""
        self._transformation.parallelism = 1
        self._transformation.max_parallelism = 1
        self._transformation.force_non_parallel = True
        return self

    def set_buffer_timeout(self, timeout_millis: int) -> Self:
        """Accept Flink's flush interval; batches are handed on at once here."""
        self._transformation.buffer_timeout_ms = timeout_millis
        return self

    def start_new_chain(self) -> Self:
        """Start a new task with this operator."""
        self._transformation.chaining = ChainingStrategy.HEAD
        return self

    def cache(self) -> CachedDataStream:
        """Compute the records once and keep them for later jobs; see `CachedDataStream`.

        Raises:
            UnsupportedOperationError: the stream is keyed, partitioned or a union.
        """
        from millpond.datastream.streams.cached import CachedDataStream

        return CachedDataStream(self)

    # -- one record at a time

    def map(
        self,
        func: Callable[[Any], Any] | MapFunction,
        output_type: TypeInformation | None = None,
    ) -> DataStream:
        """Turn each record into one."""
        return self._add(
            "Map", MapSpec(function_or_callable(func, MapFunction, "map")), output_type
        )

    def flat_map(
        self,
        func: Callable[[Any], Any] | FlatMapFunction,
        output_type: TypeInformation | None = None,
    ) -> DataStream:
        """Turn each record into any number of records."""
        spec = FlatMapSpec(function_or_callable(func, FlatMapFunction, "flat_map"))
        return self._add("Flat Map", spec, output_type)

    def filter(self, func: Callable[[Any], bool] | FilterFunction) -> DataStream:
        """Keep the records that `func` is true for."""
        spec = FilterSpec(function_or_callable(func, FilterFunction, "filter"))
        return self._add("Filter", spec, self.get_type())

    def process(
        self, func: ProcessFunction, output_type: TypeInformation | None = None
    ) -> DataStream:
        """Process each record with access to time and side outputs."""
        hint = "A KeyedProcessFunction belongs behind key_by."
        function_of(func, ProcessFunction, "process", hint)
        return self._add("PROCESS", ProcessSpec(func), output_type)

    def project(self, *field_indexes: int) -> DataStream:
        """Keep some fields of tuples or rows, in the given order.

        Raises:
            InvalidProgramError: the stream's type is no tuple or row, or an index is out of range.
        """
        return _project(self, field_indexes)

    # -- keys and partitions

    def key_by(
        self,
        key_selector: Callable[[Any], Any] | KeySelector,
        key_type: TypeInformation | None = None,
    ) -> KeyedStream:
        """Partition by key; keyed state and timers belong to the key of the record.

        Without `key_type` the key is pickled, as PyFlink does. Where the stream's type has rows,
        tuples and rows without names become rows with its names.
        """
        from millpond.datastream.streams.keyed import KeyedStream

        selector = function_or_callable(key_selector, KeySelector, "key_by")
        if isinstance(selector, KeySelector):
            selector = selector.get_key
        partitioning = KeyGroupPartitioning(selector, key_type, self.get_type())
        edges = self._partitioned(partitioning)
        return KeyedStream(self._environment, edges, partitioning, self._side_type)

    def shuffle(self) -> DataStream:
        """Send each record to a random subtask (seeded: a replay repeats it)."""
        return self._repartition(ShufflePartitioning())

    def rebalance(self) -> DataStream:
        """Deal records to all subtasks in turn."""
        return self._repartition(RebalancePartitioning())

    def rescale(self) -> DataStream:
        """Deal records to a group of subtasks in turn."""
        return self._repartition(RescalePartitioning())

    def forward(self) -> DataStream:
        """Keep records in the subtask with the same index."""
        return self._repartition(ForwardPartitioning(explicit=True))

    def broadcast(
        self, *broadcast_state_descriptors: MapStateDescriptor
    ) -> DataStream | BroadcastStream:
        """Send every record to every subtask; with descriptors, for broadcast state."""
        from millpond.datastream.streams.connected import BroadcastStream

        stream = self._repartition(BroadcastPartitioning())
        if broadcast_state_descriptors:
            return BroadcastStream(stream, list(broadcast_state_descriptors))
        return stream

    def partition_custom(
        self,
        partitioner: Callable[[Any, int], int] | Partitioner,
        key_selector: Callable[[Any], Any] | KeySelector,
    ) -> DataStream:
        """Send each record where `partitioner(key, number of subtasks)` says."""
        partition = function_or_callable(partitioner, Partitioner, "partition_custom")
        selector = function_or_callable(key_selector, KeySelector, "partition_custom")
        if isinstance(partition, Partitioner):
            partition = partition.partition
        if isinstance(selector, KeySelector):
            selector = selector.get_key
        return self._repartition(CustomPartitioning(partition, selector))

    # -- several streams

    def union(self, *streams: DataStream) -> DataStream:
        """Merge with streams of the same type; each record comes out once.

        Raises:
            InvalidProgramError: another one is no stream of this program, or of another type.
        """
        edges = self._edges
        for stream in streams:
            if not isinstance(stream, DataStream) or stream._environment is not self._environment:
                other = (
                    "one of another environment" if isinstance(stream, DataStream) else repr(stream)
                )
                raise InvalidProgramError(f"union needs streams of this program, not {other}.")
            types = self.get_type(), stream.get_type()
            if None not in types and types[0] != types[1]:
                raise InvalidProgramError(
                    f"Streams of different types cannot be united: {types[0]} and {types[1]}.",
                    hint="Use connect, or map one of them.",
                )
            edges += stream._edges
        return DataStream(self._environment, edges, self._side_type)

    def connect(
        self, ds: DataStream | BroadcastStream
    ) -> ConnectedStreams | BroadcastConnectedStream:
        """Pair with a stream of another type for a function with two inputs."""
        from millpond.datastream.streams.connected import (
            BroadcastConnectedStream,
            BroadcastStream,
            ConnectedStreams,
        )

        if isinstance(ds, BroadcastStream):
            return BroadcastConnectedStream(self, ds, ds.broadcast_state_descriptors)
        return ConnectedStreams(self, ds)

    def join(self, other_stream: DataStream) -> JoinedStreams:
        """Join with another stream by key and window, as Java Flink; see `JoinedStreams`."""
        from millpond.datastream.streams.joined import JoinedStreams

        return JoinedStreams(self, other_stream)

    def co_group(self, other_stream: DataStream) -> CoGroupedStreams:
        """Group with another stream by key and window, as Java Flink; see `CoGroupedStreams`."""
        from millpond.datastream.streams.joined import CoGroupedStreams

        return CoGroupedStreams(self, other_stream)

    def get_side_output(self, output_tag: OutputTag) -> DataStream:
        """Return the records that this stream's operator sent to a side output."""
        function_of(output_tag, OutputTag, "get_side_output")
        edge = Edge(self._transformation, side_tag=output_tag.tag_id)
        return DataStream(self._environment, (edge,), output_tag.type_info)

    def window_all(self, window_assigner: WindowAssigner[Any, Any]) -> AllWindowedStream:
        """Put all records into windows, in one subtask."""
        from millpond.datastream.streams.windowed import AllWindowedStream

        keyed = self.key_by(NullByteKeySelector())
        return AllWindowedStream(keyed, window_assigner)

    # -- time

    def assign_timestamps_and_watermarks(self, watermark_strategy: WatermarkStrategy) -> DataStream:
        """Give records event times and the stream watermarks.

        Raises:
            InvalidProgramError: it is no WatermarkStrategy.
        """
        check_strategy(watermark_strategy)
        spec = TimestampsSpec(watermark_strategy)
        return self._add("Timestamps/Watermarks", spec, self.get_type())

    # -- ends

    def sink_to(self, sink: Sink) -> DataStreamSink:
        """Write to a sink."""
        return self._add_sink("Sink", sink)

    def add_sink(self, sink_func: SinkFunction | Sink) -> DataStreamSink:
        """Write to a sink, in PyFlink's older spelling."""
        if not isinstance(sink_func, SinkFunction):
            return self._add_sink("Sink", sink_func)
        spec = SinkFunctionSpec(sink_func)
        transformation = self._environment.add_transformation("Sink", spec, self._edges)
        return DataStreamSink(transformation)

    def print(self, sink_identifier: str | None = None) -> DataStreamSink:
        """Print each record on standard output, as PyFlink does.

        Records of a declared type look as Java writes them, ``(a,1)`` or ``+I[a, 1]``; without a
        type they look as Python writes them.
        """
        text = partial(java_text, type_info=self.get_type())
        return self._add_sink("Print to Std. Out", PrintSink(sink_identifier, format=text))

    def print_to_err(self, sink_identifier: str | None = None) -> DataStreamSink:
        """Print each record on standard error, as `printToErr` of Java Flink."""
        text = partial(java_text, type_info=self.get_type())
        sink = PrintSink(sink_identifier, standard_error=True, format=text)
        return self._add_sink("Print to Std. Err", sink)

    def execute_and_collect(
        self, job_execution_name: str | None = None, limit: int | None = None
    ) -> CloseableIterator | list[Any]:
        """Run the program and return this stream's records.

        With `limit` a list of at most so many, else an iterator that should be closed.
        """
        return self._environment.execute_and_collect(self, job_execution_name, limit)

    # -- for the other streams

    def _add_sink(self, name: str, sink: Sink) -> DataStreamSink:
        transformation = self._environment.add_transformation(name, SinkSpec(sink), self._edges)
        return DataStreamSink(transformation)

    def _add(
        self, name: str, spec: OperatorSpec, output_type: TypeInformation | None
    ) -> DataStream:
        transformation = self._environment.add_transformation(
            name, spec, self._edges, output_type=output_type
        )
        return DataStream(self._environment, (Edge(transformation),))

    def _partitioned(self, partitioning: Partitioning) -> tuple[Edge, ...]:
        return tuple(replace(edge, partitioning=partitioning) for edge in self._edges)

    def _repartition(self, partitioning: Partitioning) -> DataStream:
        return DataStream(self._environment, self._partitioned(partitioning), self._side_type)


def _project(stream: DataStream, indexes: tuple[int, ...]) -> DataStream:
    from millpond.common.typeinfo import RowTypeInfo, TupleTypeInfo, Types
    from millpond.common.types import Row

    output_type = stream.get_type()
    if not isinstance(output_type, RowTypeInfo | TupleTypeInfo):
        raise InvalidProgramError("Only streams of tuples or rows can be projected.")
    fields = output_type.get_field_types()
    if not indexes or not all(0 <= index < len(fields) for index in indexes):
        raise InvalidProgramError(
            f"project needs field indexes between 0 and {len(fields) - 1}, not {indexes}."
        )
    types = [fields[index] for index in indexes]

    if isinstance(output_type, RowTypeInfo):
        names = output_type.get_field_names()
        projected = Types.ROW_NAMED([names[index] for index in indexes], types)
        return stream.map(lambda row: Row(*[row[index] for index in indexes]), projected)
    return stream.map(lambda value: tuple(value[index] for index in indexes), Types.TUPLE(types))
