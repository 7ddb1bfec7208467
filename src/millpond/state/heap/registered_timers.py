"""`RegisteredTimers`: the timers of one service and domain, as a backend keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from millpond.formats.state_meta import StateMeta
    from millpond.state.contract.namespace import NamespaceSerializer
    from millpond.state.contract.timer_queue import TimerQueue
    from millpond.state.heap.recording_timer_queue import RecordingTimerQueue
    from millpond.state.heap.timer_queue import HeapTimerQueue

__all__ = ("RegisteredTimers",)


@final
@dataclass(frozen=True, slots=True)
class RegisteredTimers:
    """A queue with its entry in a snapshot's header; `recording` for incremental checkpoints."""

    queue: HeapTimerQueue
    namespace: NamespaceSerializer
    meta: StateMeta
    recording: RecordingTimerQueue | None

    @property
    def used(self) -> TimerQueue:
        """What operators add to."""
        return self.queue if self.recording is None else self.recording
