from __future__ import annotations

import pytest

from millpond.checkpoint.location import CheckpointLocation
from millpond.clock import ManualClock
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from millpond.runtime.channel import Channel
from millpond.runtime.element import END_OF_INPUT, CheckpointBarrier, Idle, Watermark
from millpond.runtime.input_gate import InputGate
from millpond.state.contract.snapshot import SnapshotOptions


class Reader:
    def __init__(self):
        self.calls = []

    def process_batch(self, batch, input_index):
        self.calls.append((input_index, *batch.values))

    def process_watermark(self, timestamp):
        self.calls.append(timestamp)

    def process_idle(self, *, idle):
        self.calls.append("idle" if idle else "active")

    def process_barrier(self, barrier):
        self.calls.append(f"barrier {barrier.checkpoint_id}")

    def process_end(self):
        self.calls.append("end")


def barrier(number):
    return CheckpointBarrier(number, 0, SnapshotOptions(), CheckpointLocation(number, None))


class Gate:
    def __init__(self, *indexes, aligned=True):
        self.channels = [Channel(index) for index in indexes]
        self.clock = ManualClock()
        self.gate = InputGate(self.channels, self.clock, aligned=aligned)

    def send(self, *elements):
        """Send (channel, element); read all; return what the task was told."""
        for channel, element in elements:
            self.channels[channel].queue.append(
                Batch([element]) if isinstance(element, str) else element
            )
        reader = Reader()
        self.gate.drain(reader)
        return reader.calls


def test_channels_are_read_in_order_and_know_their_input():
    assert Gate(0, 1).send((1, "b"), (0, "a"), (1, "c")) == [(0, "a"), (1, "b"), (1, "c")]


def test_nothing_to_read_is_no_progress():
    assert not Gate(0).gate.drain(Reader())


def test_the_watermark_is_the_smallest_and_never_falls():
    gate = Gate(0, 0)
    assert gate.send((0, Watermark(5))) == []
    assert gate.send((1, Watermark(3))) == [3]
    assert gate.send((1, Watermark(2))) == []
    assert gate.send((1, Watermark(9))) == [5]
    assert gate.channels[0].watermark == 5


def test_an_idle_channel_holds_nothing_back():
    gate = Gate(0, 0)
    assert gate.send((0, Watermark(5)), (1, Idle(True))) == [5]
    assert gate.send((0, Idle(True))) == ["idle"]
    assert gate.send((1, Idle(False)), (1, Watermark(7))) == ["active", 7]
    assert gate.send((0, Idle(False)), (0, Watermark(6))) == []
    assert gate.channels[1].watermark == 7
    assert MIN_WATERMARK < 0


def test_a_barrier_blocks_its_channel_until_all_delivered_it():
    gate = Gate(0, 0)
    assert gate.send((0, "a"), (0, barrier(1)), (0, "after"), (1, "b")) == [(0, "a"), (0, "b")]
    assert gate.send((1, barrier(1)), (1, "c")) == ["barrier 1", (0, "c"), (0, "after")]


def test_at_least_once_blocks_nothing():
    gate = Gate(0, 0, aligned=False)
    assert gate.send((0, barrier(1)), (0, "after")) == [(0, "after")]
    assert gate.send((1, barrier(1))) == ["barrier 1"]


def test_a_newer_barrier_gives_the_older_checkpoint_up():
    gate = Gate(0, 0)
    assert gate.send((0, barrier(1)), (0, "x")) == []
    assert gate.send((1, barrier(2))) == [(0, "x")]
    assert gate.send((0, barrier(2))) == ["barrier 2"]
    assert gate.send((1, barrier(1))) == []


def test_an_ended_channel_still_delivers_barriers():
    gate = Gate(0, 0)
    assert gate.send((0, END_OF_INPUT), (0, barrier(1)), (1, barrier(1))) == ["barrier 1"]
    assert gate.send((1, END_OF_INPUT)) == ["end"]
    assert gate.send((0, barrier(2)), (1, barrier(2))) == ["barrier 2"]


@pytest.mark.parametrize("count", [1, 4])
def test_the_end_comes_once(count):
    gate = Gate(*[0] * count)
    ends = [(channel, END_OF_INPUT) for channel in range(count)]
    assert gate.send(*ends) == ["end"]


def test_what_was_held_back_comes_before_the_idleness():
    gate = Gate(0, 0)
    assert gate.send((0, Watermark(10)), (1, Watermark(5)), (0, Idle(True))) == [5]
    assert gate.send((1, Idle(True))) == [10, "idle"]


def test_an_idle_input_that_ends_lets_the_last_watermark_through():
    gate = Gate(0, 1)
    assert gate.send((0, Idle(True)), (1, Idle(True))) == ["idle"]
    gate.send((0, Watermark(MAX_WATERMARK)), (0, END_OF_INPUT))
    last = gate.send((1, Watermark(MAX_WATERMARK)), (1, END_OF_INPUT))
    assert last == ["active", MAX_WATERMARK, "end"]


def test_alignment_is_from_the_first_barrier_to_the_last():
    gate = Gate(0, 0)
    gate.send((0, barrier(1)))
    gate.clock.advance(30)
    assert gate.gate.alignment_ms == 0
    assert gate.send((1, barrier(1))) == ["barrier 1"]
    assert gate.gate.alignment_ms == pytest.approx(30)
    gate.send((0, barrier(2)))
    gate.clock.advance(1_000)
    gate.send((1, barrier(3)))
    gate.clock.advance(5)
    assert gate.send((0, barrier(3))) == ["barrier 3"]
    assert gate.gate.alignment_ms == pytest.approx(5)
    assert Gate(0).send((0, barrier(4))) == ["barrier 4"]
