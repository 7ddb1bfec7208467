"""`SessionWindowOperator`: the common case of sessions, a record that extends the only one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.operators.window_merging import MergingWindowOperator

if TYPE_CHECKING:
    from millpond.datastream.window import TimeWindow

__all__ = ("SessionWindowOperator",)


@final
class SessionWindowOperator(MergingWindowOperator):
    """Event-time sessions with the default trigger, without lateness and evictor.

    It keeps the same state and timers as `MergingWindowOperator` and gives the same results. A key
    with no session or one that the record belongs to, which is nearly always, needs no merging
    window set and no questions to the trigger: such a session is never over.
    """

    def process_element(self, value: Any, timestamp: int | None) -> None:
        """Add a record of the current key to its session."""
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
            self._extend(session, state_window, session.cover(assigned))
        elif self.is_window_late(assigned):
            self.put_aside(value, timestamp)
            return
        else:
            state_window = assigned
            self._begin(assigned)
        self.add(state_window, value, timestamp)

    def _begin(self, session: TimeWindow) -> None:
        self.set_state.put(session, session)
        self.timers.register_event_time_timer(session, session.max_timestamp())

    def _extend(self, session: TimeWindow, state_window: TimeWindow, extended: TimeWindow) -> None:
        if extended != session:
            self.set_state.put(extended, state_window)
            self.set_state.remove(session)
            self.timers.delete_event_time_timer(session, session.max_timestamp())
            self.timers.register_event_time_timer(extended, extended.max_timestamp())
