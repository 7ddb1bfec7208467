"""`SnapshotPreparation`: lets the stores work ahead of a barrier, so that its pause is short."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from millpond.clock import Clock
    from millpond.runtime.message import TriggerCheckpoint
    from millpond.runtime.task import Task

__all__ = ("SnapshotPreparation",)

_SHORTEST_SLICE_SECONDS: Final = 0.003
_USUAL_SLICE_SECONDS: Final = 0.02
_LONGEST_SLICE_SECONDS: Final = 0.08
_LONGEST_SECONDS: Final = 10.0
_PART_OF_TIMEOUT: Final = 4
_ROUNDS: Final = 3


@final
class SnapshotPreparation:
    """Checkpoints and savepoints that were triggered and whose barriers are not sent yet.

    Between batches the stores get slices of the task thread: as long as the work in between took,
    3 to 20 ms, and up to 80 ms while more is changed than they prepare. All of them take part in
    turn, up to three times, since what was prepared first is changed again while the others are at
    it. After 10 s, or a quarter of the checkpoint timeout, the barrier is due in any case. Barriers
    keep the order of their triggers.

    Where no store has anything to prepare, nothing waits.
    """

    def __init__(self, clock: Clock, timeout_ms: int) -> None:
        self._clock = clock
        self._longest_seconds = min(_LONGEST_SECONDS, timeout_ms / 1000 / _PART_OF_TIMEOUT)
        self._waiting: deque[TriggerCheckpoint] = deque()
        self._steps: Iterator[bool] | None = None
        self._is_prepared = False
        self._deadline = self._slice_ended = 0.0

    @property
    def first(self) -> TriggerCheckpoint | None:
        """The checkpoint whose barrier is sent next, if there is one."""
        return self._waiting[0] if self._waiting else None

    def add(self, message: TriggerCheckpoint) -> None:
        """Let a checkpoint wait behind those that wait already."""
        self._waiting.append(message)

    def remove(self, checkpoint_id: int) -> None:
        """Forget a checkpoint: its barrier is sent, or it was given up."""
        first = self.first
        if first is not None and first.checkpoint_id == checkpoint_id:
            self._steps = None
            self._is_prepared = False
        kept = [each for each in self._waiting if each.checkpoint_id != checkpoint_id]
        self._waiting = deque(kept)

    def work(self, tasks: Sequence[Task]) -> bool:
        """Do one slice for the first checkpoint; return whether its barrier is due."""
        if self._is_prepared:
            return True
        monotonic = self._clock.monotonic
        started = now = monotonic()
        steps = self._steps
        if steps is None:
            steps = self._steps = self._all_steps(self._waiting[0], tasks)
            self._slice_ended = now
            self._deadline = now + self._longest_seconds
        worked = now - self._slice_ended
        length = min(_USUAL_SLICE_SECONDS, max(_SHORTEST_SLICE_SECONDS, worked))
        while True:
            is_behind = None if now >= self._deadline else next(steps, None)
            now = monotonic()
            if is_behind is None:
                self._is_prepared = True
                break
            if now >= started + (_LONGEST_SLICE_SECONDS if is_behind else length):
                break
        self._slice_ended = now
        return self._is_prepared

    def _all_steps(self, message: TriggerCheckpoint, tasks: Sequence[Task]) -> Iterator[bool]:
        for task in tasks:
            task.preparation_ms = 0.0
        if all(task.ended for task in tasks):
            # Nobody waits for a job that has come to its end.
            return
        for _ in range(_ROUNDS):
            at_work = [(task, task.prepare_snapshot(message)) for task in tasks]
            had_work = False
            while at_work:
                unfinished = []
                is_behind = False
                for task, steps in at_work:
                    wants_more = self._advance(task, steps)
                    if wants_more is not None:
                        unfinished.append((task, steps))
                        is_behind |= wants_more
                at_work = unfinished
                if at_work:
                    had_work = True
                    yield is_behind
            if not had_work:
                return

    def _advance(self, task: Task, steps: Iterator[bool]) -> bool | None:
        started = self._clock.monotonic()
        wants_more = next(steps, None)
        task.preparation_ms += (self._clock.monotonic() - started) * 1000
        return wants_more
