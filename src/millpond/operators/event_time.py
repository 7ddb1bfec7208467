"""`EventTimeAssignment`: gives records their timestamps and a stream its watermarks."""

from __future__ import annotations

from typing import Any, final

from millpond.common.typeinfo import Types
from millpond.common.watermark_strategy import (
    WatermarkGenerator,
    WatermarkOutput,
    WatermarkStrategy,
)
from millpond.datastream.state import ListStateDescriptor
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from millpond.operators.operator import OperatorContext, Output, user_code_error

__all__ = ("EventTimeAssignment",)

_LARGEST_TIMESTAMP = ListStateDescriptor("largest-timestamp", Types.LONG())


@final
class EventTimeAssignment:
    """What a watermark strategy does in one subtask.

    A watermark follows a batch, so it stands where the source cut the batch, never where the clock
    stood. How far event time had come is in the snapshot (Flink forgets it), and is said again
    before the first record: a recovered run judges lateness as the calm run did.
    """

    def __init__(self, strategy: WatermarkStrategy | None, context: OperatorContext) -> None:
        self._strategy = strategy
        self._context = context
        self._generator: WatermarkGenerator | None = None
        self._largest = MIN_WATERMARK
        self._idle = False
        self._last_record_ms = context.clock.now_ms()
        self._watermark = MIN_WATERMARK
        self._assign = None
        self._delay_ms: int | None = None
        self._idle_timeout_ms: int | None = None
        if strategy is not None:
            assigner = strategy.timestamp_assigner
            self._assign = None if assigner is None else assigner.extract_timestamp
            self._delay_ms = strategy.max_out_of_orderness_ms
            self._idle_timeout_ms = strategy.idle_timeout_ms

    @property
    def watermark(self) -> int | None:
        """The watermark that was last emitted, or None."""
        return None if self._watermark == MIN_WATERMARK else self._watermark

    def initialize_state(self) -> None:
        """Take the largest timestamp from the snapshot."""
        if self._strategy is not None:
            self._state = self._context.operator_state.get_union_list_state(_LARGEST_TIMESTAMP)
            self._largest = self._own(list(self._state.get()))

    def _own(self, restored: list[int]) -> int:
        """Choose from the values of all subtasks of the snapshot, in their order."""
        if len(restored) == self._context.parallelism:
            own = restored[self._context.subtask_index]
            return MIN_WATERMARK if own == MAX_WATERMARK else own
        # With another parallelism, the slowest one that had not ended says what is late.
        return min(
            (largest for largest in restored if largest != MAX_WATERMARK), default=MIN_WATERMARK
        )

    def open(self, output: Output) -> None:
        """Make the generator, and repeat the watermark at which the snapshot was taken."""
        if self._strategy is not None and self._strategy.generator_factory is not None:
            try:
                self._generator = self._strategy.generator_factory()
            except Exception as error:
                user_code_error(error, self._context, "WatermarkStrategy.for_generator")
        if self._largest != MIN_WATERMARK:
            delay_ms = -1 if self._delay_ms is None else self._delay_ms
            self._advance(self._largest - delay_ms - 1, output)

    def snapshot_state(self, *, ended: bool) -> None:
        """Put the largest timestamp into the snapshot; the watermark, of a user's generator."""
        if self._strategy is not None:
            reached = self._watermark if self._delay_ms is None else self._largest
            self._state.update([MAX_WATERMARK if ended else reached])

    def emit(self, batch: Batch, output: Output) -> None:
        """Emit a batch with its timestamps, then the watermark that follows from them."""
        if self._strategy is None:
            output.emit(batch)
            return
        if self._idle:
            self._idle = False
            output.emit_idle(idle=False)
        if self._idle_timeout_ms is not None:
            self._last_record_ms = self._context.clock.now_ms()
        if self._assign is not None:
            batch = Batch(batch.values, self._extract(batch))
        if self._generator is not None:
            self._generate(batch, output, self._generator)
            return
        output.emit(batch)
        if batch.timestamps and self._delay_ms is not None:
            self._largest = max(self._largest, *batch.timestamps)
            self._advance(self._largest - self._delay_ms - 1, output)

    def nothing_came(self, output: Output) -> None:
        """Become idle when the idle timeout has passed without records."""
        timeout_ms = self._idle_timeout_ms
        if (
            timeout_ms is not None
            and not self._idle
            and self._context.clock.now_ms() - self._last_record_ms >= timeout_ms
        ):
            self._idle = True
            output.emit_idle(idle=True)

    @property
    def idle_deadline_ms(self) -> int | None:
        """When `nothing_came` should be called at the latest; None: never."""
        if self._idle_timeout_ms is None or self._idle:
            return None
        return self._last_record_ms + self._idle_timeout_ms

    def _extract(self, batch: Batch) -> list[int]:
        extract = self._assign
        assert extract is not None
        try:
            if batch.timestamps is None:
                return [extract(value, MIN_WATERMARK) for value in batch.values]
            return [
                extract(value, timestamp)
                for value, timestamp in zip(batch.values, batch.timestamps, strict=True)
            ]
        except Exception as error:
            user_code_error(error, self._context, "TimestampAssigner.extract_timestamp")

    def _advance(self, watermark: int, output: Output) -> None:
        if watermark > self._watermark:
            self._watermark = watermark
            output.emit_watermark(watermark)

    def _generate(self, batch: Batch, output: Output, generator: WatermarkGenerator) -> None:
        """Call a user's generator; a watermark cuts the batch behind the record that caused it."""
        emitted: list[int | bool] = []
        collector = _Collector(emitted)
        timestamps = batch.timestamps or [MIN_WATERMARK] * len(batch.values)
        start = 0
        try:
            for index, (value, timestamp) in enumerate(
                zip(batch.values, timestamps, strict=True), 1
            ):
                generator.on_event(value, timestamp, collector)
                if emitted:
                    output.emit(_part(batch, start, index))
                    start = index
                    self._flush(emitted, output)
            output.emit(_part(batch, start, len(batch.values)))
            generator.on_periodic_emit(collector)
        except Exception as error:
            user_code_error(error, self._context, "WatermarkGenerator")
        self._flush(emitted, output)

    def _flush(self, emitted: list[int | bool], output: Output) -> None:
        for item in emitted:
            if isinstance(item, bool):
                output.emit_idle(idle=item)
            else:
                self._advance(item, output)
        emitted.clear()


def _part(batch: Batch, start: int, end: int) -> Batch:
    timestamps = None if batch.timestamps is None else batch.timestamps[start:end]
    return Batch(batch.values[start:end], timestamps)


@final
class _Collector(WatermarkOutput):
    """Keeps what a generator emits until its record has been handed on."""

    def __init__(self, emitted: list[Any]) -> None:
        self._emitted = emitted

    def emit_watermark(self, watermark: int) -> None:
        self._emitted.append(int(watermark))

    def mark_idle(self) -> None:
        self._emitted.append(True)

    def mark_active(self) -> None:
        self._emitted.append(False)
