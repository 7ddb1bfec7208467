"""Records in flight at an unaligned checkpoint: what channels held, as bytes and back.

Flink's channel state, in a form of our own: values by the declared type of their stream, pickled
where there is none, as PyFlink sends them. `docs/formats/in-flight.md` has the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from millpond.errors import FormatError, SerializationError
from millpond.formats.buffer import Buffer, BufferWriter
from millpond.operators.batch import Batch
from millpond.runtime.element import Watermark
from millpond.serialization.coders import coder_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.runtime.channel import Channel
    from millpond.runtime.job_graph import JobEdge, JobGraph
    from millpond.serialization.coder import Coder

__all__ = ("IN_FLIGHT_STATE", "EdgeName", "InFlightChannel", "InFlightCodec")

IN_FLIGHT_STATE = "millpond-in-flight"
"""The name of the raw operator state that holds them, of the receiving operator."""

_MAGIC = b"MPIF"
_VERSION = 1
_BATCH = 0
_WATERMARK = 1

EdgeName = tuple[bytes, str, int, int]
"""Sending operator's id, side output, input, and number among edges that are equal so far."""


@final
@dataclass(frozen=True, slots=True)
class InFlightChannel:
    """One channel at a checkpoint: its reader's watermark (ms), and what was not read yet.

    `senders` and `receivers` are the parallelisms at both ends then.
    """

    edge: EdgeName
    sender: int
    receiver: int
    senders: int
    receivers: int
    watermark: int
    elements: tuple[Batch | Watermark, ...]


@final
class InFlightCodec:
    """Encodes and decodes the channels that lead to one subtask. Used by the task's thread."""

    def __init__(self, graph: JobGraph) -> None:
        self._graph = graph
        self.names = _edge_names(graph)
        self._numbers = {
            (edge.target_vertex, self.names[number]): number
            for number, edge in enumerate(graph.edges)
        }
        self._coders: dict[int, Coder] = {}

    def edge_number(self, target_vertex: int, name: EdgeName) -> int | None:
        """Return the number of an edge in this graph, None if it has none of that name."""
        return self._numbers.get((target_vertex, name))

    def encode(self, channels: Sequence[Channel], receiver: int) -> bytes:
        """Return the bytes; idleness and ends are left out, since sources say them again.

        Raises:
            SerializationError: a record does not fit the declared type of its stream.
        """
        out = BufferWriter()
        out.raw(_MAGIC)
        out.uint16(_VERSION)
        out.int32(receiver)
        out.int32(len(channels))
        for channel in channels:
            self._encode_channel(out, channel)
        return out.to_bytes()

    def decode(self, target_vertex: int, data: bytes) -> list[InFlightChannel]:
        """Return the channels; those of edges that the graph does not have must be empty.

        Raises:
            FormatError: the bytes are damaged, or records belong to an edge that is gone.
            SerializationError: the records are of another type.
        """
        buffer = Buffer(data)
        if buffer.take(len(_MAGIC), "the magic number") != _MAGIC:
            raise buffer.error("These are no records in flight.")
        version = buffer.uint16("the version")
        if version != _VERSION:
            raise buffer.error("Unknown version of records in flight.", version=version)
        receiver = buffer.int32("a subtask")
        count = buffer.count("channels", 40)
        channels = [self._decode_channel(buffer, target_vertex, receiver) for _ in range(count)]
        buffer.expect_end("the records in flight")
        return channels

    def _coder(self, number: int) -> Coder:
        coder = self._coders.get(number)
        if coder is None:
            edge = self._graph.edges[number]
            source = self._graph.vertices[edge.source_vertex].operators[edge.source_operator]
            declared = source.output_type if edge.side_tag is None else None
            coder = self._coders[number] = coder_for(declared)
        return coder

    def _encode_channel(self, out: BufferWriter, channel: Channel) -> None:
        edge: JobEdge = self._graph.edges[channel.edge]
        operator_id, side, input_index, ordinal = self.names[channel.edge]
        out.raw(operator_id)
        out.utf(side)
        out.uint8(input_index)
        out.uint16(ordinal)
        out.int32(channel.sender)
        out.int32(self._graph.vertices[edge.source_vertex].parallelism)
        out.int32(self._graph.vertices[edge.target_vertex].parallelism)
        out.int64(channel.watermark)
        elements = [each for each in channel.queue if isinstance(each, Batch | Watermark)]
        out.int32(len(elements))
        encode = self._coder(channel.edge).encode
        for element in elements:
            if isinstance(element, Watermark):
                out.uint8(_WATERMARK)
                out.int64(element.timestamp)
                continue
            out.uint8(_BATCH)
            out.int32(len(element.values))
            out.uint8(int(element.timestamps is not None))
            if element.timestamps is not None:
                out.int64_array(tuple(element.timestamps))
            try:
                for value in element.values:
                    out.sized_bytes(encode(value))
            except SerializationError as error:
                error.hint = "Declare the stream's type, or leave unaligned checkpoints disabled."
                error.context.setdefault("operator", edge_source_name(self._graph, edge))
                raise

    def _decode_channel(self, buffer: Buffer, target_vertex: int, receiver: int) -> InFlightChannel:
        name: EdgeName = (
            buffer.take(16, "an operator id"),
            buffer.utf("a side output"),
            buffer.uint8("an input"),
            buffer.uint16("a number"),
        )
        sender, senders, receivers = (buffer.int32("a subtask") for _ in range(3))
        watermark = buffer.int64("a watermark")
        number = self.edge_number(target_vertex, name)
        elements: list[Batch | Watermark] = []
        for _ in range(buffer.count("elements", 6)):
            kind = buffer.uint8("the kind of an element")
            if kind == _WATERMARK:
                elements.append(Watermark(buffer.int64("a watermark")))
            elif kind == _BATCH:
                if number is None:
                    raise FormatError(
                        "Records are in flight on a connection that the job does not have.",
                        hint="Start the changed job from a savepoint, which is always aligned.",
                    )
                elements.append(self._decode_batch(buffer, number))
            else:
                raise buffer.error("Unknown kind of element in flight.", kind=kind)
        return InFlightChannel(
            name, sender, receiver, senders, receivers, watermark, tuple(elements)
        )

    def _decode_batch(self, buffer: Buffer, number: int) -> Batch:
        count = buffer.count("records", 4)
        timestamps = None
        if buffer.boolean("whether there are timestamps"):
            timestamps = list(buffer.int64_array(count, "timestamps"))
        decode = self._coder(number).decode_from
        values: list[Any] = []
        for _ in range(count):
            data = buffer.sized_bytes("a record")
            value, end = decode(data, 0)
            if end != len(data):
                raise buffer.error("Bytes are left behind a record.", bytes=len(data) - end)
            values.append(value)
        return Batch(values, timestamps)


def edge_source_name(graph: JobGraph, edge: JobEdge) -> str:
    """Return the name of the operator that sends over an edge."""
    return graph.vertices[edge.source_vertex].operators[edge.source_operator].name


def _edge_names(graph: JobGraph) -> list[EdgeName]:
    names: list[EdgeName] = []
    seen: dict[tuple[Any, ...], int] = {}
    for edge in graph.edges:
        source = graph.vertices[edge.source_vertex].operators[edge.source_operator]
        key = (edge.target_vertex, source.operator_id, edge.side_tag or "", edge.input_index)
        ordinal = seen.get(key, 0)
        seen[key] = ordinal + 1
        names.append((source.operator_id, edge.side_tag or "", edge.input_index, ordinal))
    return names
