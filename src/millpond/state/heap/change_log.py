"""`ChangeLog`: what was changed between the snapshots of one table or timer queue."""

from __future__ import annotations

from collections import deque
from typing import Any, final

__all__ = ("ChangeLog",)


@final
class ChangeLog:
    """Frozen layers in the order they were frozen: keys with their values, None where removed.

    Nobody changes a layer that is in a log, and it holds every key that was written, or handed
    out to be changed in place, since the layer before. Used by the task thread.
    """

    __slots__ = ("_first", "_layers")

    def __init__(self) -> None:
        self._layers: deque[dict[Any, Any]] = deque()
        self._first = 0

    @property
    def end(self) -> int:
        """The position behind the last layer."""
        return self._first + len(self._layers)

    def append(self, layer: dict[Any, Any]) -> None:
        """Add the newest layer."""
        self._layers.append(layer)

    def since(self, position: int) -> tuple[dict[Any, Any], ...]:
        """Return the layers from a position on, newest first."""
        skipped = max(0, position - self._first)
        return tuple(reversed([*self._layers][skipped:]))

    def size_since(self, position: int) -> int:
        """Return how many changes there are from a position on; repeated ones count each time."""
        return sum(map(len, self.since(position)))

    def forget(self, position: int) -> None:
        """Drop the layers in front of a position."""
        while self._layers and self._first < position:
            self._layers.popleft()
            self._first += 1
