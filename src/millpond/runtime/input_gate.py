"""`InputGate`: the channels that lead to a task, their watermarks and the alignment of barriers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

from millpond.operators.batch import MIN_WATERMARK, Batch
from millpond.runtime.element import CheckpointBarrier, Element, EndOfInput, Idle, Watermark
from millpond.runtime.watermark_valve import WatermarkValve, combine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.clock import Clock
    from millpond.runtime.channel import Channel
    from millpond.runtime.pace import Pace

__all__ = ("GateReader", "InputGate")


class GateReader(Protocol):
    """The task behind a gate."""

    def process_batch(self, batch: Batch, input_index: int) -> None:
        """Process records of one input."""
        ...

    def process_watermark(self, timestamp: int) -> None:
        """The smallest watermark of all channels has risen."""
        ...

    def process_idle(self, *, idle: bool) -> None:
        """All channels became idle, or one active again."""
        ...

    def process_barrier(self, barrier: CheckpointBarrier) -> None:
        """All channels delivered the barrier."""
        ...

    def process_end(self) -> None:
        """All channels ended."""
        ...


@final
class InputGate:
    """Reads channels in the order of their index, each until it is empty or blocked.

    So what a task does depends only on what its channels hold. A channel that delivered a barrier
    is blocked until all others did (Flink's aligned, exactly-once barriers); with `aligned` false
    nothing blocks (at least once).

    Attributes:
        alignment_ms: from the first barrier to the last of the latest checkpoint.
        records: how many were handed to the task.
    """

    def __init__(self, channels: Sequence[Channel], clock: Clock, *, aligned: bool = True) -> None:
        self.channels = channels
        self.alignment_ms = 0.0
        self.records = 0
        self._clock = clock
        self._first_barrier_at = 0.0
        self._aligned = aligned
        self._watermark = MIN_WATERMARK
        self._idle = False
        self._ended = False
        self._barrier: CheckpointBarrier | None = None
        self._delivered: set[int] = set()
        self._valves = {
            index: WatermarkValve([each for each in channels if each.input_index == index])
            for index in sorted({channel.input_index for channel in channels})
        }

    @property
    def watermark(self) -> int:
        """The event time of the task's input, in ms; never falls."""
        return self._watermark

    def drain(self, reader: GateReader) -> bool:
        """Read everything that can be read; return whether there was anything."""
        progress = False
        again = True
        while again:
            again = False
            for index, channel in enumerate(self.channels):
                queue = channel.queue
                while queue and not channel.blocked:
                    again = progress = True
                    element = queue.popleft()
                    if isinstance(element, Batch):
                        self.records += len(element)
                        reader.process_batch(element, channel.input_index)
                    else:
                        self._control(reader, index, channel, element)
        return progress

    def drain_in_slices(self, reader: GateReader, pace: Pace) -> bool:
        """Do as `drain`, but cut long batches, and let `pace` interrupt after every piece.

        What a task does is the same: operators see the same records in the same order.
        """
        progress = False
        again = True
        while again:
            again = False
            for index, channel in enumerate(self.channels):
                queue = channel.queue
                while queue and not channel.blocked:
                    again = progress = True
                    element = queue.popleft()
                    if type(element) is Batch:
                        if len(element.values) > pace.records:
                            element, rest = _cut(element, pace.records)
                            queue.appendleft(rest)
                        self.records += len(element)
                        reader.process_batch(element, channel.input_index)
                        pace.worked()
                    else:
                        self._control(reader, index, channel, element)
        return progress

    def resume(self, reader: GateReader) -> None:
        """Take up the watermarks of an unaligned checkpoint, before what was in flight is read."""
        for channel in self.channels:
            self._valves[channel.input_index].advance(channel, channel.restored_watermark)
        self._advance(reader)

    def _control(self, reader: GateReader, index: int, channel: Channel, element: Element) -> None:
        if isinstance(element, Watermark):
            self._valves[channel.input_index].advance(channel, element.timestamp)
            self._advance(reader)
        elif isinstance(element, CheckpointBarrier):
            self._deliver(reader, index, channel, element)
        elif isinstance(element, Idle):
            self._valves[channel.input_index].set_idle(channel, idle=element.idle)
            self._advance(reader)
        elif isinstance(element, EndOfInput):
            channel.ended = True
            if not self._ended and all(each.ended for each in self.channels):
                self._ended = True
                reader.process_end()

    def _advance(self, reader: GateReader) -> None:
        watermark, idle = combine(tuple(self._valves.values()))
        if self._idle and not idle:
            self._idle = False
            reader.process_idle(idle=False)
        if watermark > self._watermark:
            self._watermark = watermark
            reader.process_watermark(watermark)
        if idle and not self._idle:
            # After the watermark: downstream does not hear what an idle channel says.
            self._idle = True
            reader.process_idle(idle=True)

    def _deliver(
        self, reader: GateReader, index: int, channel: Channel, barrier: CheckpointBarrier
    ) -> None:
        current = self._barrier
        if current is None or barrier.checkpoint_id > current.checkpoint_id:
            # A newer barrier means that the older checkpoint was given up.
            self._release()
            self._barrier = barrier
            self._first_barrier_at = self._clock.monotonic()
        elif barrier.checkpoint_id < current.checkpoint_id:
            return
        self._delivered.add(index)
        channel.blocked = self._aligned
        if len(self._delivered) == len(self.channels):
            self._release()
            self.alignment_ms = (self._clock.monotonic() - self._first_barrier_at) * 1000
            reader.process_barrier(barrier)

    def _release(self) -> None:
        self._barrier = None
        self._delivered.clear()
        for channel in self.channels:
            channel.blocked = False


def _cut(batch: Batch, count: int) -> tuple[Batch, Batch]:
    """Return the first records of a batch and the others."""
    values, timestamps, keys = batch.values, batch.timestamps, batch.keys
    return (
        Batch(values[:count], timestamps and timestamps[:count], keys and keys[:count]),
        Batch(values[count:], timestamps and timestamps[count:], keys and keys[count:]),
    )
