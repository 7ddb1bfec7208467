"""`TickingClock`: time that passes by being looked at."""

from __future__ import annotations

from typing import final

__all__ = ("TickingClock",)


@final
class TickingClock:
    """Moves on by a fixed step whenever somebody measures a duration.

    A job that runs on one thread then takes its checkpoints after the same work in every run.

    Args:
        step_ms: how far a call of `monotonic` moves it.
    """

    __slots__ = ("_now_ms", "_step_ms")

    def __init__(self, step_ms: int = 1) -> None:
        self._now_ms = 0
        self._step_ms = step_ms

    def now_ms(self) -> int:
        """Return the milliseconds that have passed; does not move it."""
        return self._now_ms

    def monotonic(self) -> float:
        """Move on by a step and return the time in seconds."""
        self._now_ms += self._step_ms
        return self._now_ms / 1000

    def sleep(self, seconds: float) -> None:
        """Move on by so many seconds without waiting."""
        self._now_ms += max(1, round(seconds * 1000))
