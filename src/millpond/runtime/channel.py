"""`Channel`: elements on their way from one subtask to another."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, final

from millpond.operators.batch import MIN_WATERMARK

if TYPE_CHECKING:
    from millpond.runtime.element import Element

__all__ = ("Channel",)


@final
class Channel:
    """A queue between two tasks, and what its reader knows of it.

    Attributes:
        queue: elements that were sent and not yet read.
        input_index: 0 for the reader's first input, 1 for its second.
        watermark: the last watermark that was read, in ms.
        idle: it holds back no watermark for now.
        ended: its end of input was read.
        blocked: it delivered the barrier of a checkpoint that others have yet to deliver.
        edge: the number of its edge in the job graph.
        sender: the subtask that sends.
        restored_watermark: the watermark that its reader had at an unaligned checkpoint.
    """

    __slots__ = (
        "blocked",
        "edge",
        "ended",
        "idle",
        "input_index",
        "queue",
        "restored_watermark",
        "sender",
        "watermark",
    )

    def __init__(self, input_index: int, edge: int = 0, sender: int = 0) -> None:
        self.queue: deque[Element] = deque()
        self.input_index = input_index
        self.watermark = MIN_WATERMARK
        self.idle = False
        self.ended = False
        self.blocked = False
        self.edge = edge
        self.sender = sender
        self.restored_watermark = MIN_WATERMARK
