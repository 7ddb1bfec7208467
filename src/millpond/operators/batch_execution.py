"""BATCH execution of operators that have keys or a broadcast input: their input is put in order."""

from __future__ import annotations

import dataclasses
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast, final

from millpond.datastream.operator_spec import (
    BroadcastProcessSpec,
    FieldAggregationSpec,
    ReduceSpec,
)
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from millpond.operators.external_sort import ExternalSort
from millpond.operators.operator import Ending, Operator, OperatorContext, TwoInputOperator
from millpond.state.contract.keyed_backend import NO_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.clock import Clock
    from millpond.datastream.operator_spec import OperatorSpec
    from millpond.operators.batch import BatchResources
    from millpond.operators.external_sort import SortedRecord
    from millpond.operators.operator import Output
    from millpond.state.heap.backend import HeapKeyedStateBackend

__all__ = ("in_batch_mode",)


def in_batch_mode(
    operator: Operator, spec: OperatorSpec, resources: BatchResources, *, keyed: bool
) -> Operator:
    """Return an operator that gives `operator` its input as BATCH execution does, if it matters."""
    broadcast = isinstance(spec, BroadcastProcessSpec)
    if not keyed and not broadcast:
        return operator
    if isinstance(operator, TwoInputOperator):
        return _TwoSortedInputs(operator, resources, broadcast=broadcast)
    last_only = isinstance(spec, ReduceSpec | FieldAggregationSpec)
    return _SortedInput(operator, resources, last_only=last_only)


@final
class _BatchOutput:
    """Where the inner operator's results go: in larger batches, without watermarks.

    With `last_only` all but the last record before `end_key` is dropped.
    """

    def __init__(self, output: Output, batch_size: int, *, last_only: bool) -> None:
        self._output = output
        self._batch_size = batch_size
        self._last_only = last_only
        self._last: Batch | None = None
        self._values: list[Any] = []
        self._timestamps: list[int] | None = None

    def emit(self, batch: Batch) -> None:
        if not batch.values:
            return
        if self._last_only:
            self._last = batch
            return
        if self._values and (batch.timestamps is None) != (self._timestamps is None):
            self.flush()
        self._values.extend(batch.values)
        if batch.timestamps is not None:
            if self._timestamps is None:
                self._timestamps = []
            self._timestamps.extend(batch.timestamps)
        if len(self._values) >= self._batch_size:
            self.flush()

    def end_key(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            self._last_only = False
            times = last.timestamps
            self.emit(Batch(last.values[-1:], None if times is None else times[-1:]))
            self._last_only = True

    def flush(self) -> None:
        if self._values:
            values, timestamps = self._values, self._timestamps
            self._values, self._timestamps = [], None
            self._output.emit(Batch(values, timestamps))

    def emit_side(self, tag_id: str, batch: Batch) -> None:
        self._output.emit_side(tag_id, batch)

    def emit_watermark(self, timestamp: int) -> None:
        """Drop it: event time moves at the end of a key only, and for that key only."""

    def emit_idle(self, *, idle: bool) -> None:
        """Drop it."""


@final
class _BatchClock:
    """The job's clock; while processing-time timers fire it is as late as the last of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.earliest_ms = MIN_WATERMARK

    def now_ms(self) -> int:
        return max(self._clock.now_ms(), self.earliest_ms)

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)


class _SortedInput(Operator):
    """Collects the input, then gives it to an operator key after key, each in order of time.

    At the end of a key all its timers fire, event time first, then its state is dropped (Flink's
    BatchExecutionInternalTimeService and single-key state backend). Processing-time timers that
    are set while others fire are dropped with the key.
    """

    def __init__(
        self, inner: Operator, resources: BatchResources, *, last_only: bool = False
    ) -> None:
        self._inner = inner
        self._last_only = last_only
        self._sort = ExternalSort(resources.memory_bytes, resources.directory)
        self._groups: Iterator[tuple[bytes, Iterator[SortedRecord]]] | None = None
        self._group: Iterator[SortedRecord] | None = None
        self._timed = False
        self._key: Any = NO_KEY

    def setup(self, context: OperatorContext) -> None:
        super().setup(context)
        self._out = _BatchOutput(context.output, context.batch_size, last_only=self._last_only)
        self._clock = _BatchClock(context.clock)
        self._inner.setup(dataclasses.replace(context, output=self._out, clock=self._clock))
        # Jobs in BATCH mode are always given the heap.
        self._backend = cast("HeapKeyedStateBackend | None", context.keyed_backend)

    def initialize_state(self) -> None:
        self._inner.initialize_state()

    def open(self) -> None:
        self._inner.open()

    def process_batch(self, batch: Batch) -> None:
        self._collect(batch, 0)

    def process_watermark(self, timestamp: int) -> None:
        """Drop it; the last one is said when everything was processed."""

    def process_idle(self, *, idle: bool) -> None:
        """Drop it."""

    def end_input(self) -> Ending:
        if self._groups is None:
            self._groups = groupby(self._sort, key=itemgetter(0))
        left = self.context.batch_size
        while left > 0:
            if self._group is None:
                self._group = next(self._groups, (b"", None))[1]
                if self._group is None:
                    self._out.flush()
                    return Ending.DONE
            records = list(islice(self._group, left))
            if records:
                self._process(records)
            if len(records) < left:
                self._end_key()
            left -= max(1, len(records))
        self._out.flush()
        return Ending.WORKING

    def finish(self) -> None:
        self._inner.finish()
        self._out.flush()
        self.output.emit_watermark(MAX_WATERMARK)

    def close(self) -> None:
        self._sort.close()
        self._inner.close()

    def _collect(self, batch: Batch, input_index: int) -> None:
        values = batch.values
        if batch.timestamps is not None:
            self._timed = True
        backend = self._backend
        if backend is None or batch.keys is None:
            keys = [(b"", None)] * len(values)
        else:
            encode = backend.parameters.key_serializer.encode
            keys = [(encode(key), key) for key in batch.keys]
        times = batch.timestamps or [MIN_WATERMARK] * len(values)
        self._sort.add(keys, values, times, input_index)

    def _process(self, records: list[SortedRecord]) -> None:
        self._inner.process_batch(self._batch(records))

    def _batch(self, records: list[SortedRecord]) -> Batch:
        values = [record[5] for record in records]
        if self._key is NO_KEY:
            self._key = records[0][4]
        # One object for all: of records that were on disk each has its own, and no NaN equals it.
        keys = None if self._backend is None else [self._key] * len(records)
        timestamps = [record[1] for record in records] if self._timed else None
        if timestamps is not None and MIN_WATERMARK in timestamps:
            timestamps = None
        return Batch(values, timestamps, keys)

    def _end_key(self) -> None:
        self._group = None
        self._key = NO_KEY
        backend = self._backend
        if backend is None:
            return
        # Without a timer too: sessions that an operator holds outside the state have none.
        self._fire_timers(backend)
        self._out.end_key()
        backend.forget()

    def _fire_timers(self, backend: HeapKeyedStateBackend) -> None:
        inner = self._inner
        inner.process_watermark(MAX_WATERMARK)
        last = backend.last_timer("processing")
        if last is not None:
            self._clock.earliest_ms = last + 1
            inner.process_processing_time(last)
            self._clock.earliest_ms = MIN_WATERMARK
        inner.process_watermark(MIN_WATERMARK)


@final
class _TwoSortedInputs(_SortedInput, TwoInputOperator):
    """Two inputs, sorted together by key and time; of a broadcast one all comes first."""

    def __init__(
        self, inner: TwoInputOperator, resources: BatchResources, *, broadcast: bool
    ) -> None:
        super().__init__(inner, resources)
        self._two = inner
        self._broadcast = broadcast

    def _process(self, records: list[SortedRecord]) -> None:
        for input_index, part in groupby(records, key=itemgetter(3)):
            batch = self._batch(list(part))
            if input_index == 0:
                self._two.process_first(batch)
            else:
                self._two.process_second(batch)

    def process_first(self, batch: Batch) -> None:
        self._collect(batch, 0)

    def process_second(self, batch: Batch) -> None:
        if self._broadcast:
            self._two.process_second(batch)
            self._out.flush()
        else:
            self._collect(batch, 1)
