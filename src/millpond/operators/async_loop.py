"""`AsyncLoop`: one subtask's asyncio event loop, run on the task's thread in steps."""

from __future__ import annotations

import asyncio
import selectors
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, final

from millpond.clock import Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ("AsyncLoop",)

_ITERATIONS = 3
"""How often a step asks for what is ready: an answer often needs a second and a third look."""


@final
class _ClockSelector(selectors.DefaultSelector):
    """Lets an injected clock pass the time that the loop would wait."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self._clock.sleep(timeout)
        return ready


@final
class _ClockedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is that of a `Clock`, so that a simulation repeats."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        super().__init__(None if isinstance(clock, SystemClock) else _ClockSelector(clock))

    def time(self) -> float:
        return self._clock.monotonic()


@final
class AsyncLoop:
    """Runs coroutines in steps, so that they never run beside the operator.

    Where the caller's thread runs an event loop already, as in a notebook, the steps are taken by
    a helper thread while the caller waits: asyncio refuses a loop within a loop.
    """

    def __init__(self, clock: Clock) -> None:
        self._loop = _ClockedLoop(clock)
        self._waiting = False
        self._helper: ThreadPoolExecutor | None = None
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            self._helper = ThreadPoolExecutor(1, thread_name_prefix="millpond-async")

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a coroutine; it runs at the next step."""
        return self._loop.create_task(coroutine)

    def call_later(self, delay_ms: int, callback: Callable[..., None], *arguments: Any) -> Any:
        """Call back in so many ms; what is returned has a method `cancel`."""
        return self._loop.call_later(delay_ms / 1000, callback, *arguments)

    def step(self) -> None:
        """Let coroutines do what they can without waiting."""
        self._run(self._step)

    def wait(self) -> None:
        """Let coroutines run until `wake` is called."""
        self._waiting = True
        self._run(self._loop.run_forever)
        self._waiting = False

    def wake(self) -> None:
        """End `wait`; called by what runs in the loop."""
        if self._waiting:
            self._loop.stop()

    def close(self, tasks: list[asyncio.Task[None]]) -> None:
        """Cancel these tasks, let them clean up, and close the loop."""
        if self._loop.is_closed():
            return
        self._run(lambda: self._loop.run_until_complete(self._clean_up(tasks)))
        self._loop.close()
        if self._helper is not None:
            self._helper.shutdown()

    async def _clean_up(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()

    def _step(self) -> None:
        for _ in range(_ITERATIONS):
            # A loop that is stopped before it runs looks once at everything, and does not wait.
            self._loop.call_soon(self._loop.stop)
            self._loop.run_forever()

    def _run(self, work: Callable[[], None]) -> None:
        if self._helper is None:
            work()
        else:
            self._helper.submit(work).result()
