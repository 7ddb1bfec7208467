"""`DeferredLinks`: hard links to a database's files as of a barrier, made a little later."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from millpond.clock import Clock

__all__ = ("DeferredLinks",)


@final
class DeferredLinks:
    """The files of a database at the moment of a barrier, in a directory that does not exist yet.

    Flushing memtables takes a while, so the thread that writes the snapshot does it. Until the
    links are made nothing may be written to the database: objects that change stay in the caches
    in front of it. Who has to write calls `settle` first, which makes the links there and then, or
    waits for the thread that is at it. So this works with any executor, and none waits for ever.

    Attributes:
        waited_seconds: how long writers had to wait in `settle`.
    """

    def __init__(self, path: Path, make: Callable[[Path], None], clock: Clock) -> None:
        self.waited_seconds = 0.0
        self._path = path
        self._make = make
        self._clock = clock
        self._lock = threading.Lock()
        self._is_over = False
        self._error: Exception | None = None

    @property
    def is_over(self) -> bool:
        """Whether the database may be written to: links are made, failed or were cancelled."""
        return self._is_over

    def make(self) -> None:
        """Make the links unless they are there; any thread may call it.

        Raises:
            StateStoreError: it failed, now or in `settle`, for example since the disk is full.
        """
        with self._lock:
            self._make_once()
        if self._error is not None:
            raise self._error

    def settle(self) -> None:
        """See to it that the database may be written to; what fails is raised by `make`."""
        if self._is_over:
            return
        started = self._clock.monotonic()
        with self._lock:
            self._make_once()
        self.waited_seconds += self._clock.monotonic() - started

    def cancel(self) -> None:
        """Make no links any more, if that has not begun; never waits."""
        if self._lock.acquire(blocking=False):
            self._is_over = True
            self._lock.release()

    def _make_once(self) -> None:
        if self._is_over:
            return
        try:
            self._make(self._path)
        except Exception as error:  # noqa: BLE001 - the snapshot reports it, not who writes
            self._error = error
        self._is_over = True
