"""`JobRequests`: what other threads ask of a job manager, in order, until the job is over."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("JobRequests",)


@final
class JobRequests:
    """A mailbox: `submit` from any thread, the others from the job manager's."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.RLock()  # a signal may interrupt the thread that holds it

    def submit(self, request: Callable[[], None]) -> bool:
        """Let the job manager call `request`; return False if it takes none any more."""
        with self._lock:
            if not self._closed:
                self._queue.put(request)
            return not self._closed

    def take(self) -> None:
        """Call all that have come."""
        while True:
            try:
                request = self._queue.get_nowait()
            except queue.Empty:
                return
            request()

    def close(self) -> None:
        """Refuse those that come from now on, and call those that came before."""
        with self._lock:
            self._closed = True
        self.take()
