"""`EventTimeWindowOperator`: the common case of windows, in one loop a batch."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from math import gcd
from typing import TYPE_CHECKING, Any, final

from millpond.datastream._windows.time_assigner import check_window_fits
from millpond.datastream.aggregations import Aggregations
from millpond.datastream.functions import ReduceFunction
from millpond.datastream.window import SlidingEventTimeWindows, TimeWindow, TumblingEventTimeWindows
from millpond.operators.batch import MIN_WATERMARK, Batch
from millpond.operators.columnar_batch import ColumnarBatch
from millpond.operators.held_panes import HeldPanes
from millpond.operators.user_function import bound_method
from millpond.operators.window_contents import WindowContents
from millpond.operators.window_operator import WindowOperator
from millpond.state.contract.declared_type import admit, fits
from millpond.state.contract.keyed_backend import NO_KEY
from millpond.state.contract.states import SupportsEntries

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.datastream.operator_spec import WindowSpec
    from millpond.operators.columnar_windows import ColumnarWindows

__all__ = ("EventTimeWindowOperator",)

_Entries = MutableMapping[Any, Any]


@final
class EventTimeWindowOperator(WindowOperator):
    """Tumbling or sliding event-time windows with the default trigger and without an evictor.

    It has the same state and timers in snapshots as `WindowOperator` and gives the same results.
    Between them the accumulators of open windows are in `HeldPanes`. The default
    trigger needs asking only about late records, so in a batch without one a record costs its
    window, the look-up of the window's contents, the user's function and one assignment; timers
    are set when a window is new. A batch with a late record goes the general way.
    """

    def __init__(self, spec: WindowSpec) -> None:
        super().__init__(spec)
        assigner = spec.assigner
        assert isinstance(assigner, (TumblingEventTimeWindows, SlidingEventTimeWindows))
        self._size_ms = assigner.size
        self._slide_ms = assigner.size
        if isinstance(assigner, SlidingEventTimeWindows):
            self._slide_ms = assigner.slide
        self._offset_ms = assigner.offset
        # All timestamps of one granule are in the same windows.
        self._granule_ms = gcd(self._size_ms, self._slide_ms)
        self._is_combined = spec.reduce is not None or spec.aggregate is not None
        self._windows: dict[int, list[TimeWindow]] = {}
        self._held: ColumnarWindows | None = None

    def open(self) -> None:
        super().open()
        self._panes: HeldPanes | None = None
        self._fits: Callable[[Any], bool] | None = None
        contents = self.contents
        if (
            isinstance(contents, WindowContents)
            and self.spec.aggregate is not None
            and self.spec.window_function is None
            and self._allowed_lateness_ms == 0
            and isinstance(contents.state, SupportsEntries)
            and contents.state.entries() is not None
        ):
            self._panes = HeldPanes(self.backend, self.timers)
            self._fits = fits(contents.definition.value_coder)
        self._holds_columns = False
        self._summed_position: int | None = None
        aggregate = self.spec.aggregate
        if isinstance(aggregate, Aggregations) and self._slide_ms == self._size_ms:
            self._holds_columns = self._panes is not None
            self._summed_position = aggregate.summed_position

    def process_batch(self, batch: Batch) -> None:
        """Process records in order."""
        if self._may_be_late(batch):
            self._make_way()
            super().process_batch(batch)
            return
        self._windows.clear()
        if self._holds_columns and self._hold_columns(batch):
            return
        state = self.contents.state
        entries = None
        # With lateness a window may have fired already. A watermark that went back in a restore
        # lets it fire again, so a timer is needed even if the window is not new.
        if self._allowed_lateness_ms == 0 and isinstance(state, SupportsEntries):
            entries = state.entries()
        if entries is None or not self._is_combined:
            self._add(batch)
        else:
            self._combine(batch, entries)
        self.backend.current_key = NO_KEY

    def snapshot_state(self, checkpoint_id: int, timestamp_ms: int) -> None:
        """Have everything in the state."""
        super().snapshot_state(checkpoint_id, timestamp_ms)
        self._write_back()

    def process_watermark(self, timestamp: int) -> None:
        """Fire the windows that end, then hand the watermark on."""
        self._fire_held(timestamp)
        if self.spec.window_function is None and self._allowed_lateness_ms == 0:
            self._fire(timestamp)
            self.output.emit_watermark(timestamp)
        else:
            super().process_watermark(timestamp)

    def _may_be_late(self, batch: Batch) -> bool:
        """Return whether a record may have a window that is over, or has no timestamp."""
        times = batch.time_range()
        if times is None:
            return True
        earliest = times[0]
        if earliest == MIN_WATERMARK:
            return True
        # The last window of a record ends first. Between windows with gaps a record may have none.
        windows = self._windows_of(earliest)
        return not windows or windows[-1].max_timestamp() <= self.timers.current_watermark

    def _add(self, batch: Batch) -> None:
        """Add the records of a batch through the state."""
        assert batch.keys is not None
        assert batch.timestamps is not None
        backend, state = self.backend, self.contents.state
        start = end = MIN_WATERMARK
        windows: Sequence[TimeWindow] = ()
        window = None
        with_timers = set()
        try:
            for key, value, timestamp in zip(
                batch.keys, batch.values, batch.timestamps, strict=True
            ):
                if not start <= timestamp < end:
                    start, end, windows = self._granule(timestamp)
                backend.current_key = key
                for window in windows:
                    state.current_namespace = window
                    state.add(value)
                    pane = (key, window)
                    if pane not in with_timers:
                        with_timers.add(pane)
                        self._register_timers(window)
        except Exception as error:
            self.fail_combining(error, window)

    def _hold_columns(self, batch: Batch) -> bool:
        """Hold a columnar batch back, if it may be aggregated as columns."""
        if not isinstance(batch, ColumnarBatch):
            return False
        if self._held is None:
            self._make_way()
            from millpond.operators.columnar_windows import ColumnarWindows

            assert isinstance(self.spec.aggregate, Aggregations)
            aggregations = self.spec.aggregate.aggregations
            self._held = ColumnarWindows(aggregations, self._size_ms, self._offset_ms)
        if not self._held.add(batch):
            return False
        if self._held.is_full:
            self._write_back()
        return True

    def _write_back(self) -> None:
        """Put everything that is held into the state."""
        if self._panes is None:
            return
        entries = self._entries()
        self._panes.write_back(entries)
        self.backend.current_key = NO_KEY
        if self._held is None:
            return
        for window, keys in self._held.write_back(entries):
            for self.backend.current_key in keys:
                self.timers.register_event_time_timer(window, window.max_timestamp())
        self.backend.current_key = NO_KEY

    def _make_way(self) -> None:
        if self._panes is not None:
            self._panes.make_way(self._entries())
            self.backend.current_key = NO_KEY

    def _entries(self) -> _Entries:
        state = self.contents.state
        entries = state.entries() if isinstance(state, SupportsEntries) else None
        assert entries is not None
        return entries

    def _fire_held(self, watermark: int) -> None:
        """Emit windows that the state knows nothing about; the others go there before."""
        if self._panes is None:
            return
        if self.timers.has_event_timers(watermark):
            self._write_back()
            return
        self.timers.current_watermark = watermark
        self._fire_panes(self._panes, watermark)
        if self._held is None:
            return
        encode = self.backend.parameters.key_serializer.encode
        for window, keys, figures in self._held.due(watermark):
            listed = keys.tolist()
            # In the order of timers: by the bytes of the keys.
            encoded = [encode(key) for key in listed]
            order = sorted(range(len(listed)), key=encoded.__getitem__)
            times = keys * 0 + window.max_timestamp()
            self.output.emit(ColumnarBatch([figure[order] for figure in figures], times))

    def _combine(self, batch: Batch, entries: _Entries) -> None:
        panes = self._panes
        if panes is not None and self._held is None and panes.begin_batch():
            window = self._only_window(batch)
            if window is None:
                self._aggregate_held(batch, entries, panes)
            elif self._summed_position is None:
                self._aggregate_window(batch, window, entries, panes)
            else:
                self._count_and_sum_window(batch, window, entries, panes, self._summed_position)
            panes.end_batch(entries)
        elif self.spec.aggregate is not None:
            self._aggregate(batch, entries)
        else:
            self._reduce(batch, entries)

    def _only_window(self, batch: Batch) -> TimeWindow | None:
        """Return the window that all records of a batch are in, and in no other; else None."""
        times = batch.time_range()
        assert times is not None
        _, end, windows = self._granule(times[0])
        return windows[0] if len(windows) == 1 and times[1] < end else None

    def _aggregate(self, batch: Batch, entries: _Entries) -> None:
        function = self.spec.aggregate
        assert function is not None
        assert batch.keys is not None
        assert batch.timestamps is not None
        add, get = function.add, entries.get
        start = end = MIN_WATERMARK
        windows: Sequence[TimeWindow] = ()
        key = window = None
        try:
            for key, value, timestamp in zip(
                batch.keys, batch.values, batch.timestamps, strict=True
            ):
                if not start <= timestamp < end:
                    start, end, windows = self._granule(timestamp)
                for window in windows:
                    pane = (key, window)
                    accumulator = get(pane)
                    if accumulator is None or value is None:
                        self._open_window(key, window, value)
                        continue
                    accumulator = add(value, accumulator)
                    if accumulator is None:
                        self._clear_window(key, window)
                    else:
                        entries[pane] = accumulator
        except Exception as error:
            self.backend.current_key = key
            self.fail_combining(error, window)

    def _reduce(self, batch: Batch, entries: _Entries) -> None:
        assert batch.keys is not None
        assert batch.timestamps is not None
        reduce, get = bound_method(self.spec.reduce, ReduceFunction, "reduce"), entries.get
        start = end = MIN_WATERMARK
        windows: Sequence[TimeWindow] = ()
        key = window = None
        try:
            for key, value, timestamp in zip(
                batch.keys, batch.values, batch.timestamps, strict=True
            ):
                if not start <= timestamp < end:
                    start, end, windows = self._granule(timestamp)
                for window in windows:
                    pane = (key, window)
                    reduced = get(pane)
                    if reduced is None or value is None:
                        self._open_window(key, window, value)
                        continue
                    reduced = reduce(reduced, value)
                    if reduced is None:
                        self._clear_window(key, window)
                    else:
                        entries[pane] = reduced
        except Exception as error:
            self.backend.current_key = key
            self.fail_combining(error, window)

    def _aggregate_held(self, batch: Batch, entries: _Entries, held: HeldPanes) -> None:
        function = self.spec.aggregate
        assert function is not None
        assert batch.keys is not None
        assert batch.timestamps is not None
        add = function.add
        start = end = MIN_WATERMARK
        panes: list[tuple[TimeWindow, dict[Any, Any]]] = []
        key = window = None
        try:
            for key, value, timestamp in zip(
                batch.keys, batch.values, batch.timestamps, strict=True
            ):
                if not start <= timestamp < end:
                    start, end, windows = self._granule(timestamp)
                    panes = [(window, held.of(window)) for window in windows]
                for window, accumulators in panes:
                    accumulator = accumulators.get(key)
                    if accumulator is None or value is None:
                        self._begin_held(key, window, value, entries, held)
                        continue
                    accumulator = add(value, accumulator)
                    if accumulator is None:
                        accumulators.pop(key, None)
                        self._clear_window(key, window)
                    else:
                        accumulators[key] = accumulator
        except Exception as error:
            self.backend.current_key = key
            self.fail_combining(error, window)

    def _aggregate_window(
        self, batch: Batch, window: TimeWindow, entries: _Entries, held: HeldPanes
    ) -> None:
        """As `_aggregate_held` where all records are in one window, as in most batches."""
        function = self.spec.aggregate
        assert function is not None
        assert batch.keys is not None
        add, accumulators = function.add, held.of(window)
        get, key = accumulators.get, None
        try:
            for key, value in zip(batch.keys, batch.values, strict=True):
                accumulator = get(key)
                if accumulator is None or value is None:
                    self._begin_held(key, window, value, entries, held)
                    continue
                accumulator = add(value, accumulator)
                if accumulator is None:
                    accumulators.pop(key, None)
                    self._clear_window(key, window)
                else:
                    accumulators[key] = accumulator
        except Exception as error:
            self.backend.current_key = key
            self.fail_combining(error, window)

    def _count_and_sum_window(
        self,
        batch: Batch,
        window: TimeWindow,
        entries: _Entries,
        held: HeldPanes,
        position: int,
    ) -> None:
        """As `_aggregate_window` for a count and a sum, without a call a record."""
        assert batch.keys is not None
        accumulators = held.of(window)
        get, key = accumulators.get, None
        try:
            for key, value in zip(batch.keys, batch.values, strict=True):
                accumulator = get(key)
                if accumulator is None or value is None:
                    self._begin_held(key, window, value, entries, held)
                    continue
                number, total = accumulator
                accumulators[key] = (number + 1, total + value[position])
        except Exception as error:
            self.backend.current_key = key
            self.fail_combining(error, window)

    def _begin_held(
        self, key: Any, window: TimeWindow, value: Any, entries: _Entries, held: HeldPanes
    ) -> None:
        """Add a record to a window that holds nothing of its key; None clears the window."""
        function = self.spec.aggregate
        assert function is not None
        accumulator = None
        if value is not None:
            if held.may_be_stored(window):
                accumulator = entries.get((key, window))
            if accumulator is None:
                accumulator = function.create_accumulator()
            accumulator = function.add(value, accumulator)
            accumulator = self._admitted(key, accumulator)
        if accumulator is None:
            held.of(window).pop(key, None)
            self._clear_window(key, window)
        else:
            held.of(window)[key] = accumulator

    def _admitted(self, key: Any, accumulator: Any) -> Any:
        """Return the first accumulator of a window in its declared type, or refuse it."""
        if accumulator is None or self._fits is None or self._fits(accumulator):
            return accumulator
        assert isinstance(self.contents, WindowContents)
        definition = self.contents.definition
        return admit(
            definition.value_coder,
            accumulator,
            state=definition.name,
            operator=self.context.name,
            key=key,
        )

    def _fire_panes(self, held: HeldPanes, watermark: int) -> None:
        function = self.spec.aggregate
        assert function is not None
        get_result, size = function.get_result, self.context.batch_size
        window = None
        try:
            for window, pairs in held.due(watermark):
                for start in range(0, len(pairs), size):
                    values = []
                    for self.backend.current_key, accumulator in pairs[start : start + size]:
                        result = get_result(accumulator)
                        if result is not None:
                            values.append(result)
                    self.output.emit(Batch(values, [window.max_timestamp()] * len(values)))
        except Exception as error:
            self.fail_combining(error, window)
        self.backend.current_key = NO_KEY

    def _granule(self, timestamp: int) -> tuple[int, int, Sequence[TimeWindow]]:
        """Return start and end of the granule of a timestamp, and its windows."""
        start = timestamp - (timestamp - self._offset_ms) % self._granule_ms
        windows = self._windows.get(start)
        if windows is None:
            windows = self._windows[start] = self._windows_of(timestamp)
        return start, start + self._granule_ms, windows

    def _windows_of(self, timestamp: int) -> list[TimeWindow]:
        size = self._size_ms
        last_start = timestamp - (timestamp - self._offset_ms) % self._slide_ms
        check_window_fits(timestamp - size, last_start + size, self.assigner)
        return [
            TimeWindow(start, start + size)
            for start in range(last_start, timestamp - size, -self._slide_ms)
        ]

    def _open_window(self, key: Any, window: TimeWindow, value: Any) -> None:
        """Add the first record of a window through the state, which checks the declared type."""
        self.backend.current_key = key
        state = self.contents.state
        state.current_namespace = window
        state.add(value)
        self.timers.register_event_time_timer(window, window.max_timestamp())

    def _register_timers(self, window: TimeWindow) -> None:
        self.timers.register_event_time_timer(window, window.max_timestamp())
        if self._allowed_lateness_ms:
            self.register_cleanup_timer(window)

    def _clear_window(self, key: Any, window: TimeWindow) -> None:
        self.backend.current_key = key
        self.contents.clear(window)

    def _fire(self, watermark: int) -> None:
        """Emit and delete the windows that the watermark has passed."""
        backend, timers, state = self.backend, self.timers, self.contents.state
        batch_size = self.context.batch_size
        timers.current_watermark = watermark
        values: list[Any] = []
        timestamps: list[int] = []
        window = None
        try:
            while due := timers.poll_event_timers():
                for timestamp, key, window in due:
                    backend.current_key = key
                    state.current_namespace = window
                    result = state.get()
                    if result is not None:
                        state.clear()
                        values.append(result)
                        timestamps.append(timestamp)
                if len(values) >= batch_size:
                    self.output.emit(Batch(values, timestamps))
                    values, timestamps = [], []
        except Exception as error:
            self.fail_combining(error, window)
        backend.current_key = NO_KEY
        if values:
            self.output.emit(Batch(values, timestamps))
