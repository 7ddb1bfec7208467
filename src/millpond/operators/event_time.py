"""`EventTimeAssignment`: gives records their timestamps and a stream its watermarks."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any, Final, final

from millpond.common.typeinfo import Types
from millpond.common.watermark_strategy import (
    WatermarkGenerator,
    WatermarkOutput,
    WatermarkStrategy,
    check_generator,
)
from millpond.datastream.state import ListStateDescriptor
from millpond.errors import InvalidProgramError
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from millpond.operators.field_getter import field_getter, take
from millpond.operators.operator import OperatorContext, Output, user_code_error
from millpond.operators.split_times import SplitTimes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from operator import itemgetter

__all__ = ("EventTimeAssignment",)

_LARGEST_TIMESTAMP = ListStateDescriptor("largest-timestamp", Types.LONG())
_NO_TIMESTAMP: Final = MAX_WATERMARK + 1


@final
class EventTimeAssignment:
    """What a watermark strategy does in one subtask.

    A watermark follows a batch, so it stands where the source cut the batch, never where the clock
    stood. How far event time had come is in the snapshot (Flink forgets it), and is said again
    before the first record: a recovered run judges lateness as the calm run did.

    Only what no record can tell is judged by the clock: idleness, and the periodic calls of a
    user's generator while no records come.
    """

    def __init__(self, strategy: WatermarkStrategy | None, context: OperatorContext) -> None:
        self._strategy = strategy
        self._context = context
        self._generator: WatermarkGenerator | None = None
        self._largest = MIN_WATERMARK
        self._watermark = MIN_WATERMARK
        self._idle = False
        self._timed_out = False
        now_ms = context.clock.now_ms()
        self._last_record_ms = self._last_periodic_ms = now_ms
        self._assign: Callable[[Any, int], Any] | None = None
        self._getter: itemgetter[Any] | None = None
        self._delay_ms: int | None = None
        self._idle_timeout_ms: int | None = None
        self._is_periodic = False
        self._split_times: SplitTimes | None = None
        if strategy is not None:
            assigner = strategy.timestamp_assigner
            if assigner is not None:
                self._assign = assigner.extract_timestamp
                self._getter = field_getter(assigner.extract_timestamp)
            self._delay_ms = strategy.max_out_of_orderness_ms
            # An interval of 0 turns periodic watermarks off, and the ready-made ones are such.
            self._is_periodic = context.auto_watermark_interval_ms > 0
            self._idle_timeout_ms = strategy.idle_timeout_ms

    @property
    def strategy(self) -> WatermarkStrategy | None:
        """The strategy, if there is one."""
        return self._strategy

    @property
    def makes_watermarks(self) -> bool:
        """Whether there may ever be one."""
        strategy = self._strategy
        return strategy is not None and (
            strategy.generator_factory is not None
            or (strategy.max_out_of_orderness_ms is not None and self._is_periodic)
        )

    @property
    def watermark(self) -> int | None:
        """The watermark that was last emitted, or None."""
        return None if self._watermark == MIN_WATERMARK else self._watermark

    @property
    def idle(self) -> bool:
        """Whether downstream was told not to wait for this stream."""
        return self._idle

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
        self._last_record_ms = self._last_periodic_ms = self._context.clock.now_ms()
        if self._strategy is not None and self._strategy.generator_factory is not None:
            try:
                self._generator = self._strategy.generator_factory()
                check_generator(self._generator)
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

    def watch_splits(self, splits: Mapping[str, int | None]) -> None:
        """Wait for each of several splits that are read in turn, and for no others.

        The values are the largest timestamps of restored splits, None where nothing is known.
        """
        if self._split_times is None and len(splits) > 1:
            self._split_times = SplitTimes(self._context.clock, self._idle_timeout_ms)
        if self._split_times is not None:
            self._split_times.watch(
                {i: MIN_WATERMARK if each is None else each for i, each in splits.items()}
            )

    def largest_of(self, split_id: str) -> int | None:
        """Return the largest timestamp of a split that is waited for; None if it is unknown."""
        return None if self._split_times is None else self._split_times.largest.get(split_id)

    def emit(self, batch: Batch, output: Output, split_id: str | None = None) -> None:
        """Emit a batch with its timestamps, then the watermark that follows from them."""
        if self._strategy is None:
            output.emit(batch)
            return
        if self._idle_timeout_ms is not None:
            self._last_record_ms = self._context.clock.now_ms()
            if self._timed_out:
                self._timed_out = False
                self._set_idle(output, idle=False)
        if self._assign is not None:
            batch = self._timed(batch)
        if self._generator is not None:
            self._generate(batch, output, self._generator)
            return
        output.emit(batch)
        delay_ms = self._delay_ms if self._is_periodic else None
        times = None if delay_ms is None else batch.time_range()
        if times is not None and delay_ms is not None:
            reached = times[1]
            if split_id is not None and self._split_times is not None:
                reached = self._split_times.reach(split_id, reached)
            self._largest = max(self._largest, reached)
            self._advance(self._largest - delay_ms - 1, output)

    def nothing_came(self, output: Output) -> None:
        """Look at the clock: become idle after the timeout, call the generator in between."""
        due_ms = self.next_look_ms
        if due_ms is None:
            return
        now_ms = self._context.clock.now_ms()
        if now_ms < due_ms:
            return
        timeout_ms = self._idle_timeout_ms
        if timeout_ms is not None and now_ms - self._last_record_ms >= timeout_ms:
            self._timed_out = True
            if self._split_times is not None and self._delay_ms is not None:
                # All splits are silent: nobody is left to wait for.
                self._largest = max(self._largest, self._split_times.furthest)
                self._advance(self._largest - self._delay_ms - 1, output)
            self._set_idle(output, idle=True)
        elif self._generator is not None:
            self._last_periodic_ms = now_ms
            self._periodic(output, self._generator)

    def pause(self) -> None:
        """The source is not being read on purpose: that is no idleness."""
        self._last_record_ms = self._context.clock.now_ms()

    @property
    def next_look_ms(self) -> int | None:
        """When `nothing_came` should be called at the latest; None: never."""
        if self._timed_out or self._strategy is None:
            return None
        due_ms = None
        if self._generator is not None and self._is_periodic:
            due_ms = self._last_periodic_ms + self._context.auto_watermark_interval_ms
        if self._idle_timeout_ms is not None:
            idle_ms = self._last_record_ms + self._idle_timeout_ms
            due_ms = idle_ms if due_ms is None else min(due_ms, idle_ms)
        return due_ms

    def _timed(self, batch: Batch) -> Batch:
        """Return the records with the timestamps that the user's assigner gives them."""
        timestamps = take(self._getter, batch.values)
        if timestamps is None:
            timestamps = self._extract(batch)
        if not set(map(type, timestamps)) - {int}:
            timed = Batch(batch.values, timestamps)
            if _fits(timed.time_range()):
                return timed
        return Batch(batch.values, self._whole_numbers(batch.values, timestamps))

    def _extract(self, batch: Batch) -> list[Any]:
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

    def _whole_numbers(self, values: list[Any], timestamps: list[Any]) -> list[int]:
        """Return timestamps of other types (NumPy's) as int; refuse what is no whole number."""
        whole = []
        for value, timestamp in zip(values, timestamps, strict=True):
            try:
                whole.append(index(timestamp))
            except TypeError:
                whole.append(_NO_TIMESTAMP)
            if not _fits((whole[-1], whole[-1])):
                raise InvalidProgramError(
                    f"The timestamp {timestamp!r} of a record is no whole number of milliseconds "
                    "that fits 64 bits.",
                    hint="extract_timestamp must return milliseconds since the epoch as an int.",
                    operator=self._context.name,
                    record=repr(value)[:200],
                )
        return whole

    def _advance(self, watermark: int, output: Output) -> None:
        if watermark > self._watermark:
            self._watermark = watermark
            output.emit_watermark(watermark)

    def _set_idle(self, output: Output, *, idle: bool) -> None:
        if idle != self._idle:
            self._idle = idle
            output.emit_idle(idle=idle)

    def _generate(self, batch: Batch, output: Output, generator: WatermarkGenerator) -> None:
        """Call a user's generator; a watermark cuts the batch behind the record that caused it."""
        emitted: list[int | bool] = []
        collector = _Collector(emitted)
        timestamps = batch.timestamps or [MIN_WATERMARK] * len(batch.values)
        start = 0
        for end, (value, timestamp) in enumerate(zip(batch.values, timestamps, strict=True), 1):
            try:
                generator.on_event(value, timestamp, collector)
            except Exception as error:
                user_code_error(error, self._context, f"{type(generator).__name__}.on_event")
            if emitted:
                output.emit(_part(batch, start, end))
                start = end
                self._flush(emitted, output)
        output.emit(_part(batch, start, len(batch.values)))
        if self._is_periodic:
            self._periodic(output, generator)

    def _periodic(self, output: Output, generator: WatermarkGenerator) -> None:
        emitted: list[int | bool] = []
        try:
            generator.on_periodic_emit(_Collector(emitted))
        except Exception as error:
            user_code_error(error, self._context, f"{type(generator).__name__}.on_periodic_emit")
        self._flush(emitted, output)

    def _flush(self, emitted: list[int | bool], output: Output) -> None:
        for item in emitted:
            if isinstance(item, bool):
                self._set_idle(output, idle=item)
            elif item > self._watermark:
                self._set_idle(output, idle=False)
                self._advance(item, output)
        emitted.clear()


def _fits(times: tuple[int, int] | None) -> bool:
    return times is None or (times[0] >= MIN_WATERMARK and times[1] <= MAX_WATERMARK)


def _part(batch: Batch, start: int, end: int) -> Batch:
    timestamps = None if batch.timestamps is None else batch.timestamps[start:end]
    return Batch(batch.values[start:end], timestamps)


@final
class _Collector(WatermarkOutput):
    """Keeps what a generator emits until its record has been handed on."""

    def __init__(self, emitted: list[Any]) -> None:
        self._emitted = emitted

    def emit_watermark(self, watermark: int) -> None:
        # The largest one is the engine's: it closes everything at the end of the input.
        self._emitted.append(max(MIN_WATERMARK, min(index(watermark), MAX_WATERMARK - 1)))

    def mark_idle(self) -> None:
        self._emitted.append(True)

    def mark_active(self) -> None:
        self._emitted.append(False)
