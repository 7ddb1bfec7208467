"""`UrgentCheckpoints`: unaligned checkpoints, taken while a worker is in the middle of a cycle."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, final

from millpond.runtime.message import NotifyAborted, NotifyComplete, ToWorker, TriggerCheckpoint
from millpond.runtime.pace import Pace
from millpond.state.contract.snapshot import SnapshotKind

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterable

    from millpond.clock import Clock
    from millpond.runtime.job_graph import JobGraph
    from millpond.runtime.settings import RuntimeSettings
    from millpond.runtime.task import Task

__all__ = ("UrgentCheckpoints",)

_LOOK_SECONDS = 0.01
_logger = logging.getLogger(__name__)


@final
class UrgentCheckpoints:
    """Looks into a worker's inbox between pieces of work, when no operator is at work.

    What it may act on is a checkpoint that is old enough to go unaligned, and notifications in
    front of it; everything else waits for the end of the cycle. Savepoints stay aligned.

    Args:
        inbox: messages that came and were not handled.
        look: called before the inbox is looked at, at most every 10 ms; lets a job manager on the
            same thread trigger checkpoints.
        act: handles a message now.
        interrupted: called afterwards, for checkpoints that are being prepared.
    """

    def __init__(
        self,
        clock: Clock,
        inbox: deque[ToWorker],
        look: Callable[[], None],
        act: Callable[[ToWorker], None],
        interrupted: Callable[[UrgentCheckpoints], None],
        timeout_ms: int,
    ) -> None:
        self._clock = clock
        self._inbox = inbox
        self._look = look
        self._act = act
        self._interrupted = interrupted
        self._timeout_ms = timeout_ms
        self._next = clock.monotonic() + _LOOK_SECONDS

    @staticmethod
    def allowed(settings: RuntimeSettings, graph: JobGraph) -> bool:
        """Return whether the job's checkpoints may be unaligned; says why not if asked to."""
        if not settings.unaligned:
            return False
        reason = graph.refuses_overtaking(forced=settings.forced_unaligned)
        if reason is not None:
            _logger.warning("Checkpoints stay aligned: %s.", reason)
        return reason is None

    def set_pace(self, tasks: Iterable[Task]) -> None:
        """Let tasks cut their work into pieces, where batches need not stay whole."""
        for task in tasks:
            if not task.vertex.keeps_batches:
                task.pace = Pace(self._clock, self.interrupt)

    def interrupt(self) -> None:
        """Take a checkpoint now if one is urgent."""
        now = self._clock.monotonic()
        if now < self._next:
            return
        self._look()
        inbox = self._inbox
        while inbox and self.is_urgent(inbox[0]):
            self._act(inbox.popleft())
        self._interrupted(self)
        self._next = self._clock.monotonic() + _LOOK_SECONDS

    def is_urgent(self, message: ToWorker) -> bool:
        """Return whether a message is acted on in the middle of a cycle."""
        if isinstance(message, NotifyComplete | NotifyAborted):
            return True
        return (
            isinstance(message, TriggerCheckpoint)
            and message.options.kind is SnapshotKind.CHECKPOINT
            and self._clock.now_ms() - message.timestamp_ms >= self._timeout_ms
        )
