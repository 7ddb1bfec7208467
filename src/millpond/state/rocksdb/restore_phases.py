"""`RestorePhases`: where the time and the bytes of a restore went."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.clock import Clock

__all__ = ("RestorePhases",)


@final
class RestorePhases:
    """Seconds and bytes by phase, in the order in which the phases began.

    Attributes:
        seconds: by phase.
        size_bytes: by phase; of rows it is the bytes of keys and values.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.seconds: dict[str, float] = {}
        self.size_bytes: dict[str, int] = {}

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Count the time inside towards a phase."""
        began = self._clock.monotonic()
        self.seconds.setdefault(phase, 0.0)
        try:
            yield
        finally:
            self.seconds[phase] += self._clock.monotonic() - began

    def add(self, phase: str, size_bytes: int) -> None:
        """Count bytes towards a phase."""
        self.size_bytes[phase] = self.size_bytes.get(phase, 0) + size_bytes

    @property
    def total_seconds(self) -> float:
        """The time of all phases."""
        return sum(self.seconds.values())

    def describe(self) -> dict[str, dict[str, float]]:
        """Return seconds and bytes of each phase, for reports."""
        return {
            phase: {"seconds": round(seconds, 3), "bytes": self.size_bytes.get(phase, 0)}
            for phase, seconds in self.seconds.items()
        }

    def __str__(self) -> str:
        return ", ".join(
            f"{phase} {seconds:.3f} s"
            + (f" ({size / 1e6:.1f} MB)" if (size := self.size_bytes.get(phase, 0)) else "")
            for phase, seconds in self.seconds.items()
        )
