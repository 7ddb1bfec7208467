"""`ConnectedStreams` and broadcast streams: two inputs, one function."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from millpond.datastream.functions import (
    BroadcastProcessFunction,
    CoFlatMapFunction,
    CoMapFunction,
    CoProcessFunction,
    KeyedBroadcastProcessFunction,
    KeyedCoProcessFunction,
    KeySelector,
)
from millpond.datastream.operator_spec import (
    BroadcastProcessSpec,
    CoFlatMapSpec,
    CoMapSpec,
    CoProcessSpec,
    OperatorSpec,
)
from millpond.datastream.streams.function_check import function_of
from millpond.datastream.streams.keyed import KeyedStream
from millpond.datastream.streams.plain import DataStream
from millpond.datastream.transformation import Edge
from millpond.errors import InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.typeinfo import TypeInformation
    from millpond.datastream.state import MapStateDescriptor

__all__ = ("BroadcastConnectedStream", "BroadcastStream", "ConnectedStreams", "connect_keyed")


class ConnectedStreams:
    """Two streams, possibly of different types, that share an operator and its state."""

    def __init__(self, stream1: DataStream, stream2: DataStream) -> None:
        self.stream1 = stream1
        self.stream2 = stream2

    def key_by(
        self,
        key_selector1: Callable[[Any], Any] | KeySelector,
        key_selector2: Callable[[Any], Any] | KeySelector,
        key_type: TypeInformation | None = None,
    ) -> ConnectedStreams:
        """Partition both by key; the keys must be of the same type."""
        return ConnectedStreams(
            self.stream1.key_by(key_selector1, key_type),
            self.stream2.key_by(key_selector2, key_type),
        )

    def map(self, func: CoMapFunction, output_type: TypeInformation | None = None) -> DataStream:
        """Turn each record of either stream into one."""
        function_of(func, CoMapFunction, "map on connected streams")
        return self._add("Co-Map", CoMapSpec(func), output_type)

    def flat_map(
        self, func: CoFlatMapFunction, output_type: TypeInformation | None = None
    ) -> DataStream:
        """Turn each record of either stream into any number of records."""
        function_of(func, CoFlatMapFunction, "flat_map on connected streams")
        return self._add("Co-Flat Map", CoFlatMapSpec(func), output_type)

    def process(
        self,
        func: CoProcessFunction | KeyedCoProcessFunction,
        output_type: TypeInformation | None = None,
    ) -> DataStream:
        """Process records of both streams with shared state and timers."""
        if self._is_keyed():
            function_of(func, KeyedCoProcessFunction, "process on connected keyed streams")
        else:
            hint = "For a KeyedCoProcessFunction call key_by on both streams."
            function_of(func, CoProcessFunction, "process on connected streams", hint)
        return self._add("Co-Process", CoProcessSpec(func), output_type)

    def _is_keyed(self) -> bool:
        first = isinstance(self.stream1, KeyedStream)
        if first != isinstance(self.stream2, KeyedStream):
            raise InvalidProgramError(
                "Only one of the connected streams is keyed.",
                hint="Call key_by on both, or on the connected streams.",
            )
        return first

    def _add(
        self, name: str, spec: OperatorSpec, output_type: TypeInformation | None
    ) -> DataStream:
        keyed = self.stream1._key if self._is_keyed() else None  # type: ignore[attr-defined]
        return _two_inputs(self.stream1, self.stream2, name, spec, output_type, keyed)


class BroadcastStream:
    """A stream whose records reach every subtask, with the states they are kept in."""

    def __init__(
        self,
        input_stream: DataStream,
        broadcast_state_descriptors: list[MapStateDescriptor],
    ) -> None:
        self.input_stream = input_stream
        self.broadcast_state_descriptors = broadcast_state_descriptors


class BroadcastConnectedStream:
    """A stream connected with a broadcast stream."""

    def __init__(
        self,
        non_broadcast_stream: DataStream,
        broadcast_stream: BroadcastStream,
        broadcast_state_descriptors: list[MapStateDescriptor],
    ) -> None:
        self.non_broadcast_stream = non_broadcast_stream
        self.broadcast_stream = broadcast_stream
        self.broadcast_state_descriptors = broadcast_state_descriptors

    def process(
        self,
        func: BroadcastProcessFunction | KeyedBroadcastProcessFunction,
        output_type: TypeInformation | None = None,
    ) -> DataStream:
        """Process records with broadcast state; only broadcast records may change it."""
        keyed = getattr(self.non_broadcast_stream, "_key", None)
        kind = KeyedBroadcastProcessFunction if keyed else BroadcastProcessFunction
        hint = "" if keyed else "For a KeyedBroadcastProcessFunction call key_by on the stream."
        function_of(func, kind, "process with a broadcast stream", hint)
        spec = BroadcastProcessSpec(func, tuple(self.broadcast_state_descriptors))
        return _two_inputs(
            self.non_broadcast_stream,
            self.broadcast_stream.input_stream,
            "Broadcast Process",
            spec,
            output_type,
            keyed,
        )


def connect_keyed(
    first: KeyedStream,
    second: KeyedStream,
    name: str,
    spec: OperatorSpec,
    output_type: TypeInformation | None,
) -> DataStream:
    """Add an operator with two keyed inputs."""
    return _two_inputs(first, second, name, spec, output_type, first._key)


def _two_inputs(
    first: DataStream,
    second: DataStream,
    name: str,
    spec: OperatorSpec,
    output_type: TypeInformation | None,
    keyed: Any,
) -> DataStream:
    environment = first.get_execution_environment()
    if keyed is not None and isinstance(second, KeyedStream):
        types = keyed.key_type, second._key.key_type
        if None not in types and types[0] != types[1]:
            raise InvalidProgramError(
                f"The keys of the two inputs differ: {types[0]} and {types[1]}.", operator=name
            )
    edges = tuple(
        replace(edge, input_index=index)
        for index, stream in enumerate((first, second))
        for edge in stream._edges
    )
    transformation = environment.add_transformation(
        name, spec, edges, output_type=output_type, keyed=keyed
    )
    return DataStream(environment, (Edge(transformation),))
