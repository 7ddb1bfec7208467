"""`SplitTimes`: the event time of a source that reads several splits in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.operators.batch import MIN_WATERMARK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.clock import Clock

__all__ = ("SplitTimes",)


@final
class SplitTimes:
    """The largest timestamp of each split; the slowest split says how far event time has come.

    Where one split is ahead, the records of another would be late by no fault of theirs (Flink's
    WatermarkOutputMultiplexer). A split that was silent for the idle timeout does not count.

    Attributes:
        largest: the largest timestamp by split id, of all splits that are waited for.
    """

    __slots__ = ("_clock", "_idle_timeout_ms", "_last_record_ms", "largest")

    def __init__(self, clock: Clock, idle_timeout_ms: int | None) -> None:
        self._clock = clock
        self._idle_timeout_ms = idle_timeout_ms
        self._last_record_ms: dict[str, int] = {}
        self.largest: dict[str, int] = {}

    def watch(self, splits: Mapping[str, int]) -> None:
        """Wait for these splits and no others; values are the largest timestamps of new ones."""
        now_ms = self._clock.now_ms()
        self.largest = {
            split_id: self.largest.get(split_id, largest) for split_id, largest in splits.items()
        }
        self._last_record_ms = {
            split_id: self._last_record_ms.get(split_id, now_ms) for split_id in splits
        }

    def reach(self, split_id: str, timestamp: int) -> int:
        """Note the largest timestamp of a batch; return how far all splits have come."""
        largest = self.largest
        largest[split_id] = max(largest.get(split_id, MIN_WATERMARK), timestamp)
        timeout_ms = self._idle_timeout_ms
        if timeout_ms is None:
            return min(largest.values())
        last, now_ms = self._last_record_ms, self._clock.now_ms()
        last[split_id] = now_ms
        return min(each for i, each in largest.items() if now_ms - last.get(i, now_ms) < timeout_ms)

    @property
    def furthest(self) -> int:
        """The largest timestamp of any split."""
        return max(self.largest.values(), default=MIN_WATERMARK)
