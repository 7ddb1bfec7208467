"""`WatermarkValve`: the event time of one input, from the watermarks of its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.runtime.channel import Channel

__all__ = ("WatermarkValve", "combine")


@final
class WatermarkValve:
    """The smallest watermark of the channels that count (Flink's StatusWatermarkValve).

    An idle channel does not count. One that is active again counts when it has caught up with the
    others: until then its records are late, but it does not hold the others back. When all are
    idle the watermark is that of the one that came furthest: nobody is left to wait for.

    A channel that has ended does not count either. In Flink its last watermark closes everything
    as soon as the others are idle, so that whatever they bring later is late.

    Attributes:
        watermark: event time in ms; never falls.
        idle: no channel is active, and not all have ended.
        furthest: the largest watermark of any channel before its end.
    """

    __slots__ = ("_catching_up", "_channels", "furthest", "idle", "watermark")

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = channels
        self._catching_up: set[int] = set()
        self.watermark = MIN_WATERMARK
        self.furthest = MIN_WATERMARK
        self.idle = False

    def advance(self, channel: Channel, timestamp: int) -> None:
        """Take the watermark of a channel; what an idle channel says is heard only at its end."""
        if timestamp <= channel.watermark or (channel.idle and timestamp != MAX_WATERMARK):
            return
        channel.watermark = timestamp
        if timestamp != MAX_WATERMARK:
            self.furthest = max(self.furthest, timestamp)
        if timestamp >= self.watermark:
            self._catching_up.discard(id(channel))
        self._rise()

    def set_idle(self, channel: Channel, *, idle: bool) -> None:
        """Take what a channel says about its idleness."""
        if channel.idle == idle:
            return
        channel.idle = idle
        if not idle and channel.watermark < self.watermark:
            self._catching_up.add(id(channel))
        else:
            self._catching_up.discard(id(channel))
        self._rise()

    def _rise(self) -> None:
        running = [channel for channel in self._channels if channel.watermark != MAX_WATERMARK]
        if not running:
            self.watermark, self.idle = MAX_WATERMARK, False
            return
        active = [channel for channel in running if not channel.idle]
        self.idle = not active
        if not active:
            self.watermark = max(self.watermark, self.furthest)
            return
        counting = [each.watermark for each in active if id(each) not in self._catching_up]
        self.watermark = max(self.watermark, min(counting, default=MIN_WATERMARK))


def combine(valves: Sequence[WatermarkValve]) -> tuple[int, bool]:
    """Return (watermark, idle) of a task with several inputs: the smallest of the active ones.

    An input that is active again holds the others back (Flink's IndexedCombinedWatermarkStatus).
    When all are idle the one that came furthest counts, whichever fell silent first.
    """
    running = [valve for valve in valves if valve.watermark != MAX_WATERMARK]
    if not running:
        return MAX_WATERMARK, False
    active = [valve.watermark for valve in running if not valve.idle]
    if active:
        return min(active), False
    return max(valve.furthest for valve in valves), True
