"""`WorkerConnection`: how the job manager reaches a worker, in this process or another one."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, final

from millpond.filesystem import FileSystemResolver, get_file_system
from millpond.filesystem.owner import make_owned_directory, remove_owned
from millpond.runtime.worker import Worker

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    from millpond.clock import Clock
    from millpond.runtime.message import FromWorker, ToWorker

__all__ = ("InProcessConnection", "LaunchWorker", "WorkerConnection")

_IDLE_SECONDS = 0.002


class WorkerConnection(Protocol):
    """One worker, for one attempt. Used by the job manager's thread."""

    def send(self, message: ToWorker) -> None:
        """Send a message; messages to a worker that is lost are dropped."""
        ...

    def receive(self) -> Sequence[FromWorker]:
        """Return what the worker said since the last call; waits some ms when there is nothing.

        Raises:
            WorkerLostError: the worker's process is gone.
        """
        ...

    def while_working(self, look: Callable[[], None]) -> None:
        """Say what to call now and then while the worker keeps this thread busy."""
        ...

    def take(self) -> Sequence[FromWorker]:
        """Return what the worker said, at once and without letting it work."""
        ...

    def close(self) -> None:
        """End the worker, whatever it is doing, and remove its local directory."""
        ...


LaunchWorker = Callable[[], WorkerConnection]


@final
class InProcessConnection:
    """A worker on the job manager's own thread: `receive` runs a cycle of it."""

    def __init__(
        self,
        clock: Clock,
        executor: Executor,
        temporary_root: Path | None,
        resolve: FileSystemResolver = get_file_system,
    ) -> None:
        self._clock = clock
        self._directory = make_owned_directory("millpond-worker-", temporary_root)
        self._remove_directory = weakref.finalize(self, remove_owned, self._directory)
        self._messages: deque[FromWorker] = deque()
        self._worker = Worker(clock, executor, self._directory, self._messages.append, resolve)

    def send(self, message: ToWorker) -> None:
        """Hand a message to the worker; it acts on it at once, or when it comes to it."""
        if self._worker.is_working:
            self._worker.inbox.append(message)
        else:
            self._worker.handle(message)

    def while_working(self, look: Callable[[], None]) -> None:
        """Call it between pieces of work, if checkpoints may be unaligned."""
        self._worker.look = look

    def receive(self) -> Sequence[FromWorker]:
        """Run one cycle and return what the worker said."""
        if not self._worker.step() and not self._messages:
            self._clock.sleep(_IDLE_SECONDS)
        while self._worker.inbox:
            self._worker.handle(self._worker.inbox.popleft())
        return self.take()

    def take(self) -> Sequence[FromWorker]:
        """Return what the worker said."""
        messages = list(self._messages)
        self._messages.clear()
        return messages

    def close(self) -> None:
        """Close the worker and remove its local directory."""
        try:
            self._worker.close()
        finally:
            self._remove_directory()
