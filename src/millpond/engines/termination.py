"""What signals do to running jobs: SIGINT and SIGTERM stop them in order, a second ends at once."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, NoReturn, Self, final

from millpond.common.job_status import JobStatus
from millpond.configuration.options.millpond import SAVEPOINT_ON_SIGTERM

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from millpond.common.configuration import Configuration
    from millpond.runtime.job_manager import JobManager
    from millpond.runtime.job_outcome import JobOutcome

__all__ = ("Termination",)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_logger = logging.getLogger("millpond.job")


@final
class Termination:
    """Lets signals stop one job while it is entered; leaving a program's own handlers alone.

    The first signal suspends the job: no new records, background snapshots are cancelled and
    waited for, local files removed, checkpoints kept whatever their retention, so that the job
    can go on from them. SIGTERM takes a savepoint first where `savepoint` is set, and suspends
    when that fails. A second signal ends the process as if nobody had listened.

    Enter and `raise_signal` in the main thread; in another one, signals are not listened to.

    Args:
        manager: of the job; None for a job that runs on the caller's own steps, where a signal is
            raised as KeyboardInterrupt or SystemExit at once.
        savepoint: whether SIGTERM takes a savepoint.
        in_thread: the job runs in a thread of its own, which hands the signal over at its end.
    """

    __slots__ = ("_manager", "_savepoint", "in_thread", "received")

    def __init__(
        self, manager: JobManager | None, *, savepoint: bool = False, in_thread: bool = False
    ) -> None:
        self._manager = manager
        self._savepoint = savepoint
        self.in_thread = in_thread
        self.received: signal.Signals | None = None

    @classmethod
    def of(
        cls, manager: JobManager, configuration: Configuration, *, in_thread: bool = False
    ) -> Self:
        """Return what the configuration says: a savepoint where there is a directory for it."""
        wanted = configuration.get(SAVEPOINT_ON_SIGTERM)
        return cls(
            manager,
            savepoint=wanted and manager.coordinator.store.storage.savepoint_directory is not None,
            in_thread=in_thread,
        )

    def __enter__(self) -> Self:
        if self not in _listeners:
            _listeners.append(self)
        if threading.current_thread() is threading.main_thread():
            _install()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ValueError):
            _listeners.remove(self)
        if not _listeners and threading.current_thread() is threading.main_thread():
            _uninstall()

    def deliver(self, number: signal.Signals) -> None:
        """Act on a signal, in the main thread."""
        manager = self._manager
        if manager is None:
            _raise(number)
        if self.received is not None:
            _end_process(number)
        self.received = number
        if number is signal.SIGTERM and self._savepoint:
            _logger.warning("SIGTERM: taking a savepoint and stopping. Again to end at once.")
            suspend = manager.suspend
            stopping = manager.stop(None, drain=False)
            stopping.add_done_callback(lambda done: suspend() if done.exception() else None)
        else:
            _logger.warning("%s: stopping the job. Again to end at once.", number.name)
            manager.suspend()

    def report(self, outcome: JobOutcome) -> None:
        """Say where a job that a signal stopped can go on."""
        if self.received is None:
            return
        if outcome.savepoint_path is not None:
            _logger.warning("The job stopped; its savepoint is %s", outcome.savepoint_path)
        elif outcome.status is JobStatus.SUSPENDED and self._manager is not None:
            latest = self._manager.coordinator.store.latest
            path = "none was taken" if latest is None else latest.external_path
            _logger.warning("The job stopped; its latest checkpoint: %s", path)

    def raise_signal(self, outcome: JobOutcome) -> None:
        """End the program that a signal was sent to, unless the job's failure tells more.

        Raises:
            KeyboardInterrupt: the signal was SIGINT.
            SystemExit: it was SIGTERM; the code is 143.
        """
        if self.received is not None and outcome.status is not JobStatus.FAILED:
            _raise(self.received)

    def hand_over(self) -> None:
        """Send the signal on to the main thread, from the thread of the last job to end."""
        if self.received is not None and not _listeners:
            signal.pthread_kill(threading.main_thread().ident or 0, self.received)


_listeners: list[Termination] = []
_previous: dict[signal.Signals, Any] = {}
_let_through: set[signal.Signals] = set()


def _install() -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            _previous.setdefault(number, signal.signal(number, _on_signal))
            _let_through.discard(number)


def _uninstall() -> None:
    for number, handler in _previous.items():
        ours = signal.SIG_DFL if number in _let_through else _on_signal
        if signal.getsignal(number) is ours:
            signal.signal(number, handler)
    _previous.clear()
    _let_through.clear()


def _let_the_next_end_the_process() -> None:
    """Leave the second signal to the operating system.

    Python runs no handler while a user's function is stuck in a call of C, and may overlook a
    signal that comes just before.
    """
    for number in _previous:
        if signal.getsignal(number) is _on_signal:
            _let_through.add(number)
            signal.signal(number, signal.SIG_DFL)


def _on_signal(number: int, frame: FrameType | None) -> None:
    del frame
    if not _listeners:
        _uninstall()
        _raise(signal.Signals(number))
    for listener in tuple(_listeners):
        listener.deliver(signal.Signals(number))
    if not any(listener.in_thread for listener in _listeners):
        _let_the_next_end_the_process()


def _raise(number: signal.Signals) -> NoReturn:
    if number is signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _end_process(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
