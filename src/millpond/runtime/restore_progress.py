"""How far a restore is: counted by whoever reads files, told to the job manager now and then."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, final

from millpond.checkpoint.stream_walk import streams_of_subtask
from millpond.formats.handles import InlineHandle
from millpond.runtime.message import RestorePhase, RestoreProgress

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.clock import Clock
    from millpond.runtime.message import Restore

__all__ = ("RestoreTracker",)

_INTERVAL_SECONDS = 0.2


@final
class RestoreTracker:
    """Counts the bytes of files that are read and verified. Safe for several threads.

    The total is what the snapshot's files hold. Where subtasks share a remote file it is read
    once for each of them; the count stops at the total then.
    """

    def __init__(
        self, restore: Restore, clock: Clock, send: Callable[[RestoreProgress], None]
    ) -> None:
        streams = {
            stream
            for operator in restore.operators.values()
            for subtask in operator.subtasks.values()
            for stream in streams_of_subtask(subtask)
            if not isinstance(stream, InlineHandle)
        }
        self._checkpoint_id = restore.checkpoint_id
        self._total_bytes = sum(stream.size for stream in streams)
        self._clock = clock
        self._send = send
        self._lock = threading.Lock()
        self._done_bytes = 0
        self._started = clock.monotonic()
        self._told = self._started

    def add(self, size_bytes: int) -> None:
        """Count bytes that were read; tell it five times a second at most."""
        with self._lock:
            self._done_bytes = min(self._done_bytes + size_bytes, self._total_bytes)
            now = self._clock.monotonic()
            if now - self._told >= _INTERVAL_SECONDS:
                self._tell(RestorePhase.READING, now)

    def opening(self) -> None:
        """Tell that everything is read, and that functions are opened now."""
        with self._lock:
            self._done_bytes = self._total_bytes
            self._tell(RestorePhase.OPENING, self._clock.monotonic())

    def _tell(self, phase: RestorePhase, now: float) -> None:
        self._told = now
        elapsed_ms = round((now - self._started) * 1000)
        self._send(
            RestoreProgress(
                self._checkpoint_id, phase, self._done_bytes, self._total_bytes, elapsed_ms
            )
        )
