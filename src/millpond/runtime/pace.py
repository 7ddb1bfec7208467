"""`Pace`: how many records a task takes before the worker looks for an urgent checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.clock import Clock

__all__ = ("Pace",)

_SHORT_SECONDS = 0.005
_LONG_SECONDS = 0.02
_FIRST = 64
_MOST = 1 << 16


@final
class Pace:
    """For one task of a job with unaligned checkpoints.

    Attributes:
        records: the longest piece of a batch; doubled while pieces take less than 5 ms, and halved
            when one takes more than 20 ms.
    """

    __slots__ = ("_clock", "_interrupt", "_started", "records")

    def __init__(self, clock: Clock, interrupt: Callable[[], None]) -> None:
        """`interrupt` is called after every piece of a batch, when no operator is at work."""
        self.records = _FIRST
        self._clock = clock
        self._interrupt = interrupt
        self._started = clock.monotonic()

    def begin(self) -> None:
        """The task starts to work."""
        self._started = self._clock.monotonic()

    def worked(self) -> None:
        """A piece is processed."""
        took = self._clock.monotonic() - self._started
        if took < _SHORT_SECONDS:
            self.records = min(_MOST, self.records * 2)
        elif took > _LONG_SECONDS:
            self.records = max(1, self.records // 2)
        self._interrupt()
        self._started = self._clock.monotonic()
