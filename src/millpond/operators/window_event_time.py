"""`EventTimeWindowOperator`: the common case of windows, in one loop a batch."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from math import gcd
from typing import TYPE_CHECKING, Any, final

from millpond.datastream.functions import ReduceFunction
from millpond.datastream.window import SlidingEventTimeWindows, TimeWindow, TumblingEventTimeWindows
from millpond.operators.batch import MIN_WATERMARK, Batch
from millpond.operators.user_function import bound_method
from millpond.operators.window_operator import WindowOperator
from millpond.state.contract.keyed_backend import NO_KEY
from millpond.state.contract.states import SupportsEntries

if TYPE_CHECKING:
    from millpond.datastream.operator_spec import WindowSpec

__all__ = ("EventTimeWindowOperator",)

_Entries = MutableMapping[Any, Any]


@final
class EventTimeWindowOperator(WindowOperator):
    """Tumbling or sliding event-time windows with the default trigger and without an evictor.

    It keeps the same state and timers as `WindowOperator` and gives the same results. The default
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

    def process_batch(self, batch: Batch) -> None:
        """Process records in order."""
        if self._may_be_late(batch):
            super().process_batch(batch)
            return
        self._windows.clear()
        state = self.contents.state
        entries = None
        # With lateness a window may have fired already. A watermark that went back in a restore
        # lets it fire again, so a timer is needed even if the window is not new.
        if self._allowed_lateness_ms == 0 and isinstance(state, SupportsEntries):
            entries = state.entries()
        if entries is None or not self._is_combined:
            self._add(batch)
        elif self.spec.aggregate is not None:
            self._aggregate(batch, entries)
        else:
            self._reduce(batch, entries)
        self.backend.current_key = NO_KEY

    def process_watermark(self, timestamp: int) -> None:
        """Fire the windows that end, then hand the watermark on."""
        if self.spec.window_function is None and self._allowed_lateness_ms == 0:
            self._fire(timestamp)
            self.output.emit_watermark(timestamp)
        else:
            super().process_watermark(timestamp)

    def _may_be_late(self, batch: Batch) -> bool:
        """Return whether a record may have a window that is over, or has no timestamp."""
        timestamps = batch.timestamps
        if not timestamps:
            return True
        earliest = min(timestamps)
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
