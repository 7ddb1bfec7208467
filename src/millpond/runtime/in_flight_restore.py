"""Puts the records that were in flight at a checkpoint back into the channels of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.datastream.partitioning import KeyGroupPartitioning
from millpond.errors import FormatError, SerializationError, SnapshotCorruptedError
from millpond.operators.batch import Batch
from millpond.runtime.element import Watermark
from millpond.runtime.in_flight import IN_FLIGHT_STATE, InFlightChannel, InFlightCodec
from millpond.runtime.partitioner import partitioner_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from millpond.formats.handles import OperatorState
    from millpond.runtime.channel import Channel
    from millpond.runtime.job_graph import JobGraph
    from millpond.runtime.partitioner import Partition
    from millpond.state.contract.snapshot import SnapshotReader

__all__ = ("restore_in_flight",)


def restore_in_flight(
    graph: JobGraph,
    restored: Mapping[bytes, OperatorState],
    channels: Mapping[int, Sequence[Sequence[Channel]]],
    reader: SnapshotReader,
) -> None:
    """Fill channels before anything is opened; `channels` by edge, sender and receiver.

    With the same parallelism at both ends every channel gets what it had. Else the records are
    dealt anew by the edge's partitioner, and event time stands at the channel that was last.

    Raises:
        SnapshotCorruptedError: the records are damaged, of another type, or their edge is gone.
    """
    codec = InFlightCodec(graph)
    for vertex in graph.vertices:
        state = restored.get(vertex.operators[0].operator_id)
        by_edge: dict[int, list[InFlightChannel]] = {}
        for found in [] if state is None else _read(state, vertex.vertex_id, codec, reader):
            number = codec.edge_number(vertex.vertex_id, found.edge)
            if number is not None:
                by_edge.setdefault(number, []).append(found)
        for number, held in by_edge.items():
            _fill(graph, number, held, channels[number])


def _read(
    state: OperatorState, vertex_id: int, codec: InFlightCodec, reader: SnapshotReader
) -> list[InFlightChannel]:
    found: list[InFlightChannel] = []
    for _, subtask in sorted(state.subtasks.items()):
        handle = subtask.operator_raw
        if handle is None or IN_FLIGHT_STATE not in handle.partitions:
            continue
        with reader.open(handle.stream) as stream:
            data = stream.read()
        try:
            found.extend(codec.decode(vertex_id, data))
        except (FormatError, SerializationError) as error:
            raise SnapshotCorruptedError(
                f"The records in flight cannot be read: {error.message}",
                hint=error.hint or "Restore from an older checkpoint, or from a savepoint.",
                **error.context,
            ) from error
    return found


def _fill(
    graph: JobGraph,
    number: int,
    held: Sequence[InFlightChannel],
    channels: Sequence[Sequence[Channel]],
) -> None:
    edge = graph.edges[number]
    senders, receivers = len(channels), len(channels[0])
    target = graph.vertices[edge.target_vertex]
    partitions: list[Partition] = [
        partitioner_for(
            edge.partitioning,
            source_index=index,
            source_parallelism=senders,
            target_parallelism=receivers,
            target_max_parallelism=target.max_parallelism,
            target=target.operators[0].name,
        )
        for index in range(senders)
    ]
    if all((each.senders, each.receivers) == (senders, receivers) for each in held):
        keyed = isinstance(edge.partitioning, KeyGroupPartitioning)
        _put_back(held, channels, partitions if keyed else None)
    else:
        _deal_anew(held, channels, partitions)


def _put_back(
    held: Sequence[InFlightChannel],
    channels: Sequence[Sequence[Channel]],
    keyed: Sequence[Partition] | None,
) -> None:
    """Give every channel what it had; `keyed` partitions put the keys beside the records."""
    for each in held:
        channel = channels[each.sender][each.receiver]
        channel.restored_watermark = each.watermark
        for element in each.elements:
            if keyed is not None and isinstance(element, Batch):
                for receiver, part in keyed[each.sender](element):
                    channels[each.sender][receiver].queue.append(part)
            else:
                channel.queue.append(element)


def _deal_anew(
    held: Sequence[InFlightChannel],
    channels: Sequence[Sequence[Channel]],
    partitions: Sequence[Partition],
) -> None:
    lowest = min(each.watermark for each in held)
    reached = min(_last_watermark(each) for each in held)
    for row in channels:
        for channel in row:
            channel.restored_watermark = lowest
    for each in held:
        sender = each.sender % len(channels)
        for element in each.elements:
            if isinstance(element, Batch):
                for receiver, part in partitions[sender](element):
                    channels[sender][receiver].queue.append(part)
    for row in channels:
        for channel in row:
            channel.queue.append(Watermark(reached))


def _last_watermark(channel: InFlightChannel) -> int:
    return max(
        channel.watermark,
        *(each.timestamp for each in channel.elements if isinstance(each, Watermark)),
        channel.watermark,
    )
