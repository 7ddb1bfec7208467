"""Outputs of operators: the next operator of the chain, the channels of an edge, or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.operators.operator import Operator, Output
from millpond.runtime.element import Element, Idle, Watermark

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.operators.batch import Batch
    from millpond.runtime.channel import Channel
    from millpond.runtime.partitioner import Partition

__all__ = ("ChainedOutput", "EdgeOutput", "OperatorOutput")


@final
class ChainedOutput:
    """Hands batches straight to the next operator of the chain."""

    def __init__(self, operator: Operator) -> None:
        self.emit: Callable[[Batch], None] = operator.process_batch
        self.emit_watermark: Callable[[int], None] = operator.process_watermark
        self._operator = operator

    def emit_idle(self, *, idle: bool) -> None:
        """Hand idleness on."""
        self._operator.process_idle(idle=idle)


@final
class EdgeOutput:
    """Partitions batches and puts them into channels.

    Attributes:
        records: how many were given to `emit`.
    """

    def __init__(self, channels: Sequence[Channel], partition: Partition) -> None:
        self.records = 0
        self._queues = [channel.queue for channel in channels]
        self._partition = partition

    def emit(self, batch: Batch) -> None:
        """Deal the batch to the channels."""
        count = len(batch)
        if count:
            self.records += count
            queues = self._queues
            for channel, part in self._partition(batch):
                queues[channel].append(part)

    def emit_watermark(self, timestamp: int) -> None:
        """Put a watermark into every channel."""
        self.broadcast(Watermark(timestamp))

    def emit_idle(self, *, idle: bool) -> None:
        """Put an idleness into every channel."""
        self.broadcast(Idle(idle))

    def broadcast(self, element: Element) -> None:
        """Put an element into every channel."""
        for queue in self._queues:
            queue.append(element)


@final
class OperatorOutput(Output):
    """All that an operator's results go to: main outputs and side outputs by tag."""

    def __init__(
        self,
        main: Sequence[ChainedOutput | EdgeOutput],
        sides: dict[str, list[ChainedOutput | EdgeOutput]],
    ) -> None:
        self._main = tuple(main)
        self._sides = sides
        self._all = (*self._main, *(output for outputs in sides.values() for output in outputs))
        if len(self._main) == 1:
            # The common case costs no loop and no further call.
            self.emit = self._main[0].emit  # type: ignore[method-assign, assignment]
        if len(self._all) == 1:
            self.emit_watermark = self._all[0].emit_watermark  # type: ignore[method-assign, assignment]

    def emit(self, batch: Batch) -> None:
        """Hand the batch to every main output."""
        for output in self._main:
            output.emit(batch)

    def emit_watermark(self, timestamp: int) -> None:
        """Hand the watermark to every output."""
        for output in self._all:
            output.emit_watermark(timestamp)

    def emit_idle(self, *, idle: bool) -> None:
        """Hand the idleness to every output."""
        for output in self._all:
            output.emit_idle(idle=idle)

    def emit_side(self, tag_id: str, batch: Batch) -> None:
        """Hand the batch to the outputs of one side; dropped when there are none."""
        for output in self._sides.get(tag_id, ()):
            output.emit(batch)
