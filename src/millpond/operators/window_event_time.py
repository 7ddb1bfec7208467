"""`EventTimeWindowOperator`: the common case of windows, in one loop a batch."""

from __future__ import annotations

from itertools import repeat
from math import gcd
from typing import TYPE_CHECKING, Any, final

from millpond.datastream._windows.time_assigner import check_window_fits
from millpond.datastream.aggregations import Aggregations
from millpond.datastream.functions import ProcessAllWindowFunction, ProcessWindowFunction
from millpond.datastream.window import SlidingEventTimeWindows, TimeWindow, TumblingEventTimeWindows
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK, Batch
from millpond.operators.columnar_batch import ColumnarBatch
from millpond.operators.held_panes import HeldPanes
from millpond.operators.pane_additions import (
    AggregatedPanes,
    CountedPanes,
    ListedPanes,
    PaneAdditions,
    ReducedPanes,
)
from millpond.operators.results import emit_results
from millpond.operators.window_contents import WindowContents
from millpond.operators.window_operator import WindowOperator
from millpond.state.contract.declared_type import rounds
from millpond.state.contract.keyed_backend import NO_KEY
from millpond.state.contract.states import SupportsEntries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from millpond.datastream.operator_spec import WindowSpec
    from millpond.operators.columnar_windows import ColumnarWindows
    from millpond.state.contract.timer_queue import Timer

__all__ = ("EventTimeWindowOperator",)


@final
class EventTimeWindowOperator(WindowOperator):
    """Tumbling or sliding event-time windows with the default trigger and without an evictor.

    It has the same state and timers in snapshots as `WindowOperator` and gives the same results.
    Between them what came for open windows is in `HeldPanes`. The default trigger needs asking
    only about late records, so any other costs the look-up of its window's pane, the user's
    function and one assignment. A late record goes the general way.
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
        self._columns: ColumnarWindows | None = None
        function = spec.window_function
        self._clears_function = (
            isinstance(function, ProcessWindowFunction)
            and type(function).clear is not ProcessWindowFunction.clear
        ) or (
            isinstance(function, ProcessAllWindowFunction)
            and type(function).clear is not ProcessAllWindowFunction.clear
        )
        self._get_result: Callable[[Any], Any] | None = None
        if spec.aggregate is not None and not isinstance(spec.aggregate, Aggregations):
            self._get_result = spec.aggregate.get_result

    def open(self) -> None:
        super().open()
        assert isinstance(self.contents, WindowContents)
        contents = self.contents
        state = contents.state
        self._entry_state: SupportsEntries | None = None
        if self._is_combined and isinstance(state, SupportsEntries) and state.entries() is not None:
            self._entry_state = state
        self._panes: HeldPanes | None = None
        self._additions: PaneAdditions | None = None
        # What is rounded when it is written has no entries, and must not be held either.
        is_list = not self._is_combined and not rounds(contents.definition.value_coder)
        if is_list or self._entry_state is not None:
            self._panes = HeldPanes(self.backend, self.timers, self._store)
            self._additions = self._additions_to(self._panes, contents)
        aggregate = self.spec.aggregate
        self._holds_columns = (
            isinstance(aggregate, Aggregations)
            and self._slide_ms == self._size_ms
            and self.spec.window_function is None
            and self._allowed_lateness_ms == 0
            and self._panes is not None
        )

    def process_batch(self, batch: Batch) -> None:
        """Process records in order."""
        self._windows.clear()
        times = batch.time_range()
        if times is None or times[0] == MIN_WATERMARK:
            self._store_all()
            super().process_batch(batch)
        elif self._is_late(self._granule(times[0])[2]):
            self._add_some(batch)
        elif not (self._holds_columns and self._hold_columns(batch)):
            assert batch.keys is not None
            assert batch.timestamps is not None
            self._add(batch.keys, batch.values, batch.timestamps, times)
        self.backend.current_key = NO_KEY

    def snapshot_state(self, checkpoint_id: int, timestamp_ms: int) -> None:
        """Have everything in the state."""
        super().snapshot_state(checkpoint_id, timestamp_ms)
        self._store_all()

    def process_watermark(self, timestamp: int) -> None:
        """Fire the windows that end, then hand the watermark on."""
        timers, panes = self.timers, self._panes
        timers.current_watermark = timestamp
        self._fire_columns(timestamp)
        if panes is not None:
            for window in panes.due(timestamp):
                end = window.max_timestamp()
                if panes.is_stored(window):
                    panes.store(window)
                    self._fire_timers(end)
                else:
                    self._fire_timers(end)
                    self._fire_held(panes, window)
        self._fire_timers(timestamp)
        self.results.flush()
        if panes is not None:
            panes.fired(timestamp)
        self.backend.current_key = NO_KEY
        self.output.emit_watermark(timestamp)

    def _additions_to(self, panes: HeldPanes, contents: WindowContents) -> PaneAdditions:
        aggregate, reduce = self.spec.aggregate, self.spec.reduce
        if isinstance(aggregate, Aggregations) and aggregate.summed_position is not None:
            position = aggregate.summed_position
            return CountedPanes(panes, contents, self.backend, aggregate, position)
        if aggregate is not None:
            return AggregatedPanes(panes, contents, self.backend, aggregate)
        if reduce is not None:
            return ReducedPanes(panes, contents, self.backend, reduce)
        return ListedPanes(panes, contents, self.backend)

    def _is_late(self, windows: Sequence[TimeWindow]) -> bool:
        """Return whether a record of these windows may have one that is over."""
        # The last window of a record ends first. Between windows with gaps a record may have none.
        return not windows or windows[-1].max_timestamp() <= self.timers.current_watermark

    def _add_some(self, batch: Batch) -> None:
        """Add a batch with late records, which go the general way, one by one."""
        keys, values, timestamps = batch.keys, batch.values, batch.timestamps
        assert keys is not None
        assert timestamps is not None
        start = end = MIN_WATERMARK
        windows: Sequence[TimeWindow] = ()
        first, is_late = 0, False
        for place, timestamp in enumerate([*timestamps, None]):
            if timestamp is not None:
                if not start <= timestamp < end:
                    start, end, windows = self._granule(timestamp)
                    is_late = self._is_late(windows)
                if not is_late:
                    continue
            if first < place:
                times = timestamps[first:place]
                self._add(keys[first:place], values[first:place], times, (min(times), max(times)))
            first = place + 1
            if timestamp is not None:
                if self._panes is not None:
                    self._panes.store_key(keys[place], windows)
                self.backend.current_key = keys[place]
                self.process_element(values[place], timestamp)
        self.set_cleanup_timers()
        self.results.flush()
        if self._late:
            self._emit_late()

    def _add(
        self,
        keys: Sequence[Any],
        values: Sequence[Any],
        timestamps: Sequence[int],
        times: tuple[int, int],
    ) -> None:
        """Add records none of which is late."""
        additions = self._additions
        window = None
        try:
            if additions is None:
                self._add_to_state(keys, values, timestamps)
                return
            if isinstance(additions, ListedPanes) and not additions.all_fit(values):
                self._store_all()  # what comes later must stand behind it
                self._add_to_state(keys, values, timestamps)
                return
            self._store_columns()
            if self._entry_state is not None:
                entries = self._entry_state.entries()
                assert entries is not None
                additions.entries = entries
            for windows, own_keys, own_values in self._by_granule(keys, values, timestamps, times):
                for window in windows:
                    additions.add(window, own_keys, own_values)
        except Exception as error:
            self.fail_combining(error, window)
        if additions.exceed(self.backend.held_entries):
            self._store_all()

    def _by_granule(
        self,
        keys: Sequence[Any],
        values: Sequence[Any],
        timestamps: Sequence[int],
        times: tuple[int, int],
    ) -> Iterator[tuple[Sequence[TimeWindow], Sequence[Any], Sequence[Any]]]:
        """Yield the windows of each granule with its keys and values."""
        start, end, windows = self._granule(times[0])
        if times[1] < end:
            yield windows, keys, values
            return
        parts: dict[int, tuple[Sequence[TimeWindow], list[Any], list[Any]]] = {}
        end = start  # none is known yet
        for key, value, timestamp in zip(keys, values, timestamps, strict=True):
            if not start <= timestamp < end:
                start, end, windows = self._granule(timestamp)
                part = parts.get(start)
                if part is None:
                    part = parts[start] = (windows, [], [])
                add_key, add_value = part[1].append, part[2].append
            add_key(key)
            add_value(value)
        yield from parts.values()

    def _add_to_state(
        self, keys: Sequence[Any], values: Sequence[Any], timestamps: Sequence[int]
    ) -> None:
        """Add records through the state, which checks and rounds them."""
        backend, state = self.backend, self.contents.state
        start = end = MIN_WATERMARK
        windows: Sequence[TimeWindow] = ()
        new: dict[TimeWindow, dict[Any, None]] = {}
        for key, value, timestamp in zip(keys, values, timestamps, strict=True):
            if not start <= timestamp < end:
                start, end, windows = self._granule(timestamp)
            backend.current_key = key
            for window in windows:
                state.current_namespace = window
                state.add(value)
                new.setdefault(window, {})[key] = None
        for window, window_keys in new.items():
            self._set_timers(window, list(window_keys))
            if self._panes is not None:
                self._panes.expect_stored(window)

    def _store(self, window: TimeWindow, panes: dict[Any, Any], known: set[Any]) -> None:
        """Put panes into the state, and set the timers of those that are new there."""
        self._put(window, list(panes), list(panes.values()))
        # With lateness a pane that is there may have fired, and will once more after a restore
        # in which the watermark went back.
        if known and not self._allowed_lateness_ms:
            self._set_timers(window, [key for key in panes if key not in known])
        else:
            self._set_timers(window, list(panes))

    def _put(self, window: TimeWindow, keys: list[Any], contents: list[Any]) -> None:
        state: Any = self.contents.state
        if self._is_combined:
            slots = zip(keys, repeat(window), strict=False)
            state.entries().update(zip(slots, contents, strict=True))
            return
        state.current_namespace = window
        for self.backend.current_key, elements in zip(keys, contents, strict=True):
            state.add_all(elements)

    def _set_timers(self, window: TimeWindow, keys: Sequence[Any]) -> None:
        self.timers.register_event_time_timers(window, window.max_timestamp(), keys)
        if self._allowed_lateness_ms:
            self._set_cleanup_timers(window, keys)

    def _set_cleanup_timers(self, window: TimeWindow, keys: Sequence[Any]) -> None:
        cleanup_time = self.cleanup_time(window)
        if cleanup_time != MAX_WATERMARK:
            self.timers.register_event_time_timers(window, cleanup_time, keys)

    def _store_all(self) -> None:
        """Put everything that is held into the state."""
        self._store_columns()
        if self._panes is not None:
            self._panes.store_all()
        self.backend.current_key = NO_KEY

    def _fire_held(self, panes: HeldPanes, window: TimeWindow) -> None:
        """Emit a window that the state knows nothing about."""
        keys, contents = panes.take(window)
        self._emit(window, zip(keys, repeat(window), strict=False), contents)
        if self._allowed_lateness_ms:
            self._put(window, keys, contents)
            self._set_cleanup_timers(window, keys)

    def _fire_timers(self, up_to: int) -> None:
        """Emit and delete the windows whose timers are due."""
        state = self._entry_state
        while due := self.timers.poll_event_timers(up_to):
            if state is None or self._allowed_lateness_ms:
                self._fire_one_by_one(due)
                continue
            # A timer of another time was set with another lateness, before a restore.
            slots = [(key, window) for time, key, window in due if time == window.end - 1]
            if slots:
                # They end, and so begin, at one time.
                self._emit(slots[0][1], slots, state.take(slots))

    def _fire_one_by_one(self, due: list[Timer]) -> None:
        for timestamp, self.backend.current_key, window in due:
            if timestamp == window.max_timestamp():
                self.evaluate(window, window)
            if timestamp == self.cleanup_time(window):
                self.contents.clear(window)
                if self._clears_function:
                    self.clear_function(window)

    def _emit(
        self, window: TimeWindow, slots: Iterable[tuple[Any, TimeWindow]], panes: list[Any]
    ) -> None:
        """Emit the results of the panes of a window; a pane of None has none."""
        if self.spec.window_function is not None:
            self._call_functions(slots, panes)
            return
        get_result, size = self._get_result, self.context.batch_size
        if get_result is None:
            values = [pane for pane in panes if pane is not None]
        else:
            values = []
            try:
                for (self.backend.current_key, _), pane in zip(slots, panes, strict=True):
                    result = None if pane is None else get_result(pane)
                    if result is not None:
                        values.append(result)
            except Exception as error:
                self.fail_combining(error, window)
        for start in range(0, len(values), size):
            part = values[start : start + size]
            emit_results(part, [window.max_timestamp()] * len(part), self.output)

    def _call_functions(self, slots: Iterable[tuple[Any, TimeWindow]], panes: list[Any]) -> None:
        get_result, is_combined = self._get_result, self._is_combined
        for (self.backend.current_key, window), pane in zip(slots, panes, strict=True):
            if pane is None:
                continue
            if is_combined:
                result = pane
                if get_result is not None:
                    try:
                        result = get_result(pane)
                    except Exception as error:
                        self.fail_combining(error, window)
                if result is not None:
                    self._call_function((result,), window)
            else:
                self._call_function(pane[:] if self._allowed_lateness_ms else pane, window)
            if self._clears_function and not self._allowed_lateness_ms:
                self.clear_function(window)

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

    def _hold_columns(self, batch: Batch) -> bool:
        """Hold a columnar batch back, if it may be aggregated as columns."""
        if not isinstance(batch, ColumnarBatch):
            return False
        if self._columns is None:
            from millpond.operators.columnar_windows import ColumnarWindows

            assert isinstance(self.spec.aggregate, Aggregations)
            aggregations = self.spec.aggregate.aggregations
            self._columns = ColumnarWindows(aggregations, self._size_ms, self._offset_ms)
        if not self._columns.add(batch):
            return False
        if self._panes is not None:
            self._panes.store_all()  # what is held in two ways would be emitted twice
        if self._columns.is_full:
            self._store_columns()
        return True

    def _store_columns(self) -> None:
        if self._columns is None:
            return
        assert self._entry_state is not None
        assert self._panes is not None
        entries = self._entry_state.entries()
        assert entries is not None
        for window, keys in self._columns.write_back(entries):
            self._set_timers(window, keys)
            self._panes.expect_stored(window)

    def _fire_columns(self, watermark: int) -> None:
        """Emit windows that the state knows nothing about; the others go there before."""
        if self._columns is None:
            return
        if self.timers.has_event_timers(watermark):
            self._store_columns()
            return
        encode = self.backend.parameters.key_serializer.encode
        for window, keys, figures in self._columns.due(watermark):
            listed = keys.tolist()
            # In the order of timers: by the bytes of the keys.
            encoded = [encode(key) for key in listed]
            order = sorted(range(len(listed)), key=encoded.__getitem__)
            times = keys * 0 + window.max_timestamp()
            self.output.emit(ColumnarBatch([figure[order] for figure in figures], times))
