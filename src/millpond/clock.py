"""The one place that reads the clock; everything else gets a `Clock` by parameter."""

from __future__ import annotations

import time
from typing import Protocol, final

__all__ = ("Clock", "ManualClock", "SystemClock")


class Clock(Protocol):
    """Source of time."""

    def now_ms(self) -> int:
        """Return wall-clock milliseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for durations."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        ...


@final
class SystemClock:
    """The machine's clock."""

    __slots__ = ()

    def now_ms(self) -> int:
        """Return wall-clock milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never go back, for durations."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        time.sleep(seconds)


@final
class ManualClock:
    """A clock that moves only when told, for tests and simulations."""

    __slots__ = ("_now_ms",)

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the milliseconds it was set to."""
        return self._now_ms

    def monotonic(self) -> float:
        """Return the same time in seconds."""
        return self._now_ms / 1000

    def sleep(self, seconds: float) -> None:
        """Move on by so many seconds without waiting, at least 1 ms if it is any time at all."""
        if seconds > 0:
            # Whoever sleeps until a deadline must get there, however little is left.
            self._now_ms += max(1, round(seconds * 1000))

    def advance(self, milliseconds: int) -> None:
        """Move on by so many milliseconds."""
        self._now_ms += milliseconds

    def set(self, now_ms: int) -> None:
        """Set the time; it may go back."""
        self._now_ms = now_ms
