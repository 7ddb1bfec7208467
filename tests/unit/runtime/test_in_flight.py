from __future__ import annotations

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.partitioning import ForwardPartitioning, RebalancePartitioning
from millpond.errors import FormatError, SerializationError, SnapshotCorruptedError
from millpond.formats.handles import (
    DistributionMode,
    OperatorState,
    OperatorStateHandle,
    OperatorStatePartition,
    SubtaskState,
)
from millpond.operators.batch import MIN_WATERMARK, Batch
from millpond.runtime.channel import Channel
from millpond.runtime.element import END_OF_INPUT, Idle, Watermark
from millpond.runtime.in_flight import IN_FLIGHT_STATE, InFlightCodec
from millpond.runtime.in_flight_restore import restore_in_flight
from millpond.runtime.job_graph import JobEdge, JobGraph, JobVertex, OperatorNode
from millpond.testing.memory_snapshots import MemorySnapshots


def graph(parallelism=1, output_type=None, partitioning=None, sender=b"s"):
    def vertex(number, operator_id):
        node = OperatorNode(
            operator_id * 16, f"op{number}", None, b"", output_type, None, None, frozenset()
        )
        return JobVertex(number, (node,), (), parallelism, 128, False)

    edge = JobEdge(0, 0, 1, None, partitioning or ForwardPartitioning(), 0)
    return JobGraph("job", (vertex(0, sender), vertex(1, b"r")), (edge,))


def channel(*elements, watermark=MIN_WATERMARK):
    one = Channel(0, 0, 0)
    one.watermark = watermark
    one.queue.extend(elements)
    return one


def shown(elements):
    return [
        each.timestamp if isinstance(each, Watermark) else (each.values, each.timestamps, each.keys)
        for each in elements
    ]


@pytest.mark.parametrize(
    ("declared", "values"), [(Types.LONG(), [1, -2]), (None, [{"any": object}, None])]
)
def test_elements_come_back(declared, values):
    codec = InFlightCodec(graph(output_type=declared))
    held = channel(
        Batch(values, [5, 6]),
        Watermark(7),
        Idle(True),
        Batch(values[:1]),
        END_OF_INPUT,
        watermark=3,
    )
    (found,) = codec.decode(1, codec.encode([held], 0))
    assert (found.sender, found.receiver, found.senders, found.receivers) == (0, 0, 1, 1)
    assert found.watermark == 3
    assert shown(found.elements) == [(values, [5, 6], None), 7, (values[:1], None, None)]


def test_a_record_of_another_type_is_named():
    codec = InFlightCodec(graph(output_type=Types.LONG()))
    with pytest.raises(SerializationError) as caught:
        codec.encode([channel(Batch(["text"]))], 0)
    assert caught.value.context["operator"] == "op0"
    assert "unaligned" in caught.value.hint


def test_damaged_bytes_are_an_error():
    codec = InFlightCodec(graph(output_type=Types.LONG()))
    data = codec.encode([channel(Batch([1, 2], [3, 4]), Watermark(5))], 0)
    for size in range(len(data)):
        with pytest.raises((FormatError, SerializationError)):
            codec.decode(1, data[:size])
    for damaged in (b"X" + data[1:], data[:5] + b"\x09" + data[6:], data + b"\x00"):
        with pytest.raises(FormatError):
            codec.decode(1, damaged)


class Snapshot:
    def __init__(self, old, by_receiver):
        self.snapshots = MemorySnapshots()
        codec = InFlightCodec(old)
        subtasks = {}
        for receiver, channels in by_receiver.items():
            stream = self.snapshots.keep(codec.encode(channels, receiver))
            partition = OperatorStatePartition(DistributionMode.SPLIT, (0,))
            handle = OperatorStateHandle({IN_FLIGHT_STATE: partition}, stream)
            subtasks[receiver] = SubtaskState(operator_raw=handle)
        self.restored = {b"r" * 16: OperatorState(b"r" * 16, len(by_receiver), 128, subtasks)}

    def restore(self, new):
        parallelism = new.vertices[0].parallelism
        channels = {0: [[Channel(0, 0, s) for _ in range(parallelism)] for s in range(parallelism)]}
        restore_in_flight(new, self.restored, channels, self.snapshots.reader())
        return channels[0]


def test_the_same_parallelism_puts_everything_back():
    old = graph(output_type=Types.LONG())
    held = channel(Batch([1]), Watermark(9), watermark=4)
    ((found,),) = Snapshot(old, {0: [held]}).restore(old)
    assert (found.restored_watermark, found.watermark) == (4, MIN_WATERMARK)
    assert shown(found.queue) == [([1], None, None), 9]


def test_another_parallelism_deals_anew_and_starts_at_the_slowest():
    types = {"output_type": Types.LONG(), "partitioning": RebalancePartitioning()}
    one = channel(Batch(list(range(6))), Watermark(30), watermark=10)
    rows = Snapshot(graph(1, **types), {0: [one]}).restore(graph(3, **types))
    assert {each.restored_watermark for row in rows for each in row} == {10}
    values = [
        v
        for row in rows
        for each in row
        for e in each.queue
        if isinstance(e, Batch)
        for v in e.values
    ]
    assert sorted(values) == list(range(6))
    assert all(shown(each.queue)[-1] == 30 for row in rows for each in row)


def test_records_of_a_connection_that_is_gone_are_an_error():
    old = graph(output_type=Types.LONG())
    changed = graph(output_type=Types.LONG(), sender=b"x")
    with pytest.raises(SnapshotCorruptedError, match="connection that the job does not have"):
        Snapshot(old, {0: [channel(Batch([1]))]}).restore(changed)
    ((found,),) = Snapshot(old, {0: [channel(watermark=5)]}).restore(changed)
    assert not found.queue
