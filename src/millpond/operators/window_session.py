"""`SessionWindowOperator`: event-time sessions, which nearly every record extends."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, final

from millpond.datastream._windows.window import MAX_TIMESTAMP, MIN_TIMESTAMP
from millpond.datastream.functions import ReduceFunction
from millpond.datastream.window import EventTimeSessionWindows
from millpond.operators.batch import MAX_WATERMARK
from millpond.operators.held_sessions import HeldSessions
from millpond.operators.session_state import CombinedSessions, ListedSessions, StoredSessions
from millpond.operators.user_function import bound_method
from millpond.operators.window_contents import WindowContents
from millpond.operators.window_merging import MergingWindowOperator
from millpond.state.contract.declared_type import admit, all_fit, fits, rounds
from millpond.state.contract.keyed_backend import NO_KEY
from millpond.state.contract.states import SupportsEntries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from millpond.datastream.operator_spec import WindowSpec
    from millpond.operators.batch import Batch
    from millpond.operators.held_sessions import Session

__all__ = ("SessionWindowOperator",)

# Putting a session into the state takes several times as long as a pane of another window.
_MOST_SESSIONS = 1 << 15


@final
class SessionWindowOperator(MergingWindowOperator):
    """Event-time sessions with the default trigger, without lateness and evictor.

    It has the same state and timers in snapshots as `MergingWindowOperator` and gives the same
    results. Between them the sessions that are in use are in `HeldSessions`; such a session is
    never over, so the trigger need not be asked.
    """

    def __init__(self, spec: WindowSpec) -> None:
        super().__init__(spec)
        self._gap_ms: int | None = None
        if type(spec.assigner) is EventTimeSessionWindows:
            self._gap_ms = spec.assigner.session_gap
        self._get_result = None if spec.aggregate is None else spec.aggregate.get_result
        self._add_value = _adder(spec)
        self._held: HeldSessions | None = None

    def open(self) -> None:
        super().open()
        contents = self.contents
        assert isinstance(contents, WindowContents)
        self._fits = fits(contents.definition.value_coder)
        self._coder = contents.definition.value_coder
        state = contents.state
        # What is rounded when it is written must not be held.
        if rounds(self._coder) or (
            contents.combined
            and not (isinstance(state, SupportsEntries) and state.entries() is not None)
        ):
            return
        parts = (self.backend, self.timers, self.set_state, contents)
        aggregate = self.spec.aggregate
        self._stored: StoredSessions
        if aggregate is not None:
            self._stored = CombinedSessions(*parts, aggregate.merge)
        elif self.spec.reduce is not None:
            reduce = bound_method(self.spec.reduce, ReduceFunction, "reduce")
            self._stored = CombinedSessions(*parts, reduce)
        else:
            self._stored = ListedSessions(*parts)
        restored = self.timers.has_event_timers(MAX_WATERMARK)
        self._held = HeldSessions(self.backend, self._stored, restored=restored)
        self._most_records = self.backend.held_entries
        self._most_keys = min(_MOST_SESSIONS, self._most_records)
        self._added = 0

    def process_batch(self, batch: Batch) -> None:
        """Process records in order."""
        held = self._held
        if held is None:
            super().process_batch(batch)
            return
        assert batch.keys is not None
        if batch.timestamps is None or not self._all_fit(batch.values):
            self._store_all(held)
            for key in batch.keys:
                held.expect_stored(key)
            super().process_batch(batch)
            return
        self._add(held, batch.keys, batch.values, batch.timestamps, self._ends(batch))
        if self._late:
            self._emit_late()
        self._added += len(batch.keys)
        if self._added > self._most_keys:
            self._make_room(held)
        self.backend.current_key = NO_KEY

    def process_watermark(self, timestamp: int) -> None:
        """Fire the sessions that end, then hand the watermark on."""
        held, timers = self._held, self.timers
        if held is None:
            super().process_watermark(timestamp)
            return
        timers.current_watermark = timestamp
        while due := timers.poll_event_timers(timestamp):
            # They are of sessions that are not held, or of what such that are were once.
            for _, key, _ in due:
                if key not in held.newest:
                    held.expect_stored(key)
                    held.load(key)
            if not timers.has_event_timers(due[0][0]):
                self._fire(held.due(due[0][0]))
        self._fire(held.due(timestamp))
        if not timers.has_event_timers(MAX_WATERMARK):
            held.drained()
        self.backend.current_key = NO_KEY
        self.results.flush()
        self.output.emit_watermark(timestamp)

    def snapshot_state(self, checkpoint_id: int, timestamp_ms: int) -> None:
        """Have everything in the state."""
        super().snapshot_state(checkpoint_id, timestamp_ms)
        if self._held is not None:
            self._store_all(self._held)

    def process_element(self, value: Any, timestamp: int | None) -> None:
        """Add a record of the current key to its session, in the state."""
        in_flight = list(self.set_state.items())
        if len(in_flight) > 1:
            super().process_element(value, timestamp)
            return
        (assigned,) = self.assign(value, timestamp)
        if in_flight:
            session, state_window = in_flight[0]
            if not session.intersects(assigned):
                super().process_element(value, timestamp)
                return
            extended = session.cover(assigned)
            if extended != session:
                self.set_state.put(extended, state_window)
                self.set_state.remove(session)
                self.timers.delete_event_time_timer(session, session.max_timestamp())
                self.timers.register_event_time_timer(extended, extended.max_timestamp())
        elif self.is_window_late(assigned):
            self.put_aside(value, timestamp)
            return
        else:
            state_window = assigned
            self.set_state.put(assigned, assigned)
            self.timers.register_event_time_timer(assigned, assigned.max_timestamp())
        self.add(state_window, value, timestamp)

    def _all_fit(self, values: Sequence[Any]) -> bool:
        """Return whether the state would take records that are kept themselves as they are."""
        if self.spec.aggregate is not None or self.spec.reduce is not None:
            return True
        check = self._fits
        return check is None or all_fit(self._coder, values) or all(map(check, values))

    def _ends(self, batch: Batch) -> list[int]:
        """Return where the session of each record would end if it were alone."""
        assert batch.timestamps is not None
        gap_ms, times = self._gap_ms, batch.time_range()
        if (
            gap_ms is not None
            and times is not None
            and times[0] > MIN_TIMESTAMP
            and times[1] + gap_ms <= MAX_TIMESTAMP
        ):
            return [timestamp + gap_ms for timestamp in batch.timestamps]
        ends = []
        for self.backend.current_key, value, timestamp in zip(
            batch.keys or repeat(None), batch.values, batch.timestamps, strict=False
        ):
            (window,) = self.assign(value, timestamp)
            ends.append(window.end)
        return ends

    def _add(
        self,
        held: HeldSessions,
        keys: Sequence[Any],
        values: Sequence[Any],
        timestamps: Sequence[int],
        ends: Sequence[int],
    ) -> None:
        add, get, join = self._add_value, held.newest.get, held.join
        watermark = self.timers.current_watermark
        key = session = None
        try:
            for key, value, timestamp, end in zip(keys, values, timestamps, ends, strict=True):
                session = get(key)
                if session is None or not session.start <= timestamp <= session.end:
                    session = None
                    session = join(key, timestamp, end, watermark)
                    if session is None:
                        self.put_aside(value, timestamp)
                        continue
                elif end > session.end:
                    session.end = end
                contents = session.contents
                if contents is None or value is None:
                    self._begin(session, value)
                else:
                    session.contents = add(value, contents)
        except Exception as error:
            self.backend.current_key = key
            failed = session or held.newest.get(key)
            self.fail_combining(error, None if failed is None else failed.window)

    def _begin(self, session: Session, value: Any) -> None:
        """Add the first record of a session, or None, which empties one that is combined."""
        aggregate = self.spec.aggregate
        if aggregate is None and self.spec.reduce is None:
            session.contents = [*(session.contents or ()), value]
            return
        if value is not None and aggregate is not None:
            value = aggregate.add(value, aggregate.create_accumulator())
        if value is not None and self._fits is not None and not self._fits(value):
            value = admit(
                self._coder,
                value,
                state=self.contents.definition.name,  # type: ignore[union-attr]
                operator=self.context.name,
                key=session.key,
            )
        session.contents = value

    def _make_room(self, held: HeldSessions) -> None:
        """Put so much into the state that a snapshot does not wait for long."""
        held.store(self._most_keys)
        self._added = 0
        is_listed = self.spec.aggregate is None and self.spec.reduce is None
        if is_listed and sum(len(each.contents or ()) for each in held) > self._most_records:
            self._store_all(held)

    def _store_all(self, held: HeldSessions) -> None:
        held.store(0)
        self._added = 0
        self.backend.current_key = NO_KEY

    def _fire(self, due: Iterable[Session]) -> None:
        get_result, results = self._get_result, self.results
        is_combined = get_result is not None or self.spec.reduce is not None
        is_plain = is_combined and self.spec.window_function is None
        for session in due:
            self.backend.current_key = session.key
            try:
                contents = self._stored.take(session)
                if contents is not None and get_result is not None:
                    contents = get_result(contents)
            except Exception as error:
                self.fail_combining(error, session.window)
            if is_plain:
                if contents is not None:
                    results.add((contents,), session.end - 1)
                continue
            window = session.window
            if contents is not None:
                self._call_function((contents,) if is_combined else contents, window)
            self.clear_function(window)


def _adder(spec: WindowSpec) -> Callable[[Any, Any], Any]:
    """Return what adds a value to contents: given (value, contents), it returns the contents."""
    if spec.aggregate is not None:
        return spec.aggregate.add
    if spec.reduce is not None:
        reduce = bound_method(spec.reduce, ReduceFunction, "reduce")
        return lambda value, reduced: reduce(reduced, value)

    def append(value: Any, elements: Any) -> Any:
        elements.append(value)
        return elements

    return append
