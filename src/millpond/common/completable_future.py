"""`CompletableFuture`: a result that arrives later."""

from __future__ import annotations

from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("CompletableFuture",)

# Python calls a signal's handler in the main thread, and not while that thread waits for a lock
# if the signal came just before it began to: a wait for ever would never hear of it.
_HEARD_SECONDS: Final = 0.2


@final
class CompletableFuture:
    """A result that arrives later. Safe for several threads.

    PyFlink's methods, over a `concurrent.futures.Future`, which the engine completes through
    `complete` and `complete_exceptionally`.
    """

    __slots__ = ("_future",)

    def __init__(self, future: Future[Any] | None = None) -> None:
        self._future: Future[Any] = Future() if future is None else future

    @staticmethod
    def completed(value: Any) -> CompletableFuture:
        """Return a future that holds its result already."""
        future = CompletableFuture()
        future.complete(value)
        return future

    def complete(self, value: Any) -> None:
        """Set the result."""
        self._future.set_result(value)

    def complete_exceptionally(self, error: BaseException) -> None:
        """Set the error that `result` will raise."""
        self._future.set_exception(error)

    def cancel(self) -> bool:
        """Give the result up; False if it is too late."""
        return self._future.cancel()

    def cancelled(self) -> bool:
        """Say whether it was given up."""
        return self._future.cancelled()

    def done(self) -> bool:
        """Say whether there is a result or an error, or it was cancelled."""
        return self._future.done()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result and return it, or raise its error.

        Raises:
            TimeoutError: it did not arrive within so many seconds.
            concurrent.futures.CancelledError: it was cancelled.
        """
        if timeout is None:
            self._wait()
        return self._future.result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait and return the error, None if there is a result."""
        if timeout is None:
            self._wait()
        return self._future.exception(timeout)

    def _wait(self) -> None:
        while not self._future.done():
            wait([self._future], _HEARD_SECONDS)

    def add_done_callback(self, callback: Callable[[CompletableFuture], None]) -> None:
        """Call back when it is done, at once if it is; in the thread that completes it."""
        self._future.add_done_callback(lambda _: callback(self))

    def __repr__(self) -> str:
        state = "cancelled" if self.cancelled() else "done" if self.done() else "pending"
        return f"<CompletableFuture {state}>"
