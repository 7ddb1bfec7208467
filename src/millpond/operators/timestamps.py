"""The operator that assigns timestamps and watermarks in the middle of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.operators.batch import MAX_WATERMARK, Batch
from millpond.operators.event_time import EventTimeAssignment
from millpond.operators.operator import Operator

if TYPE_CHECKING:
    from millpond.datastream.operator_spec import TimestampsSpec

__all__ = ("TimestampsOperator",)


@final
class TimestampsOperator(Operator):
    """Replaces timestamps and watermarks by those of a strategy.

    Watermarks from before are dropped, all but the last of a bounded input (Flink's
    TimestampsAndWatermarksOperator).
    """

    def __init__(self, spec: TimestampsSpec) -> None:
        self._strategy = spec.watermark_strategy
        self._ended = False

    def initialize_state(self) -> None:
        self._event_time = EventTimeAssignment(self._strategy, self.context)
        self._event_time.initialize_state()

    def open(self) -> None:
        self._event_time.open(self.output)

    def process_batch(self, batch: Batch) -> None:
        if len(batch):
            self._event_time.emit(batch, self.output)

    def process_watermark(self, timestamp: int) -> None:
        if timestamp == MAX_WATERMARK:
            self._ended = True
            self.output.emit_watermark(timestamp)

    def process_idle(self, *, idle: bool) -> None:
        """Idleness from before is replaced as well."""

    def next_processing_time(self) -> int | None:
        return None if self._ended else self._event_time.next_look_ms

    @property
    def event_time(self) -> EventTimeAssignment:
        """The strategy at work."""
        return self._event_time

    def process_processing_time(self, now_ms: int) -> None:
        self._event_time.nothing_came(self.output)

    def snapshot_state(self, checkpoint_id: int, timestamp_ms: int) -> None:
        self._event_time.snapshot_state(ended=self._ended)
