"""Queues of asynchronous calls: in which order results and watermarks leave.

The rules are Flink's (OrderedStreamElementQueue, UnorderedStreamElementQueue).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence

__all__ = ("AsyncCall", "AsyncQueue", "Control", "OrderedQueue", "UnorderedQueue")


@final
@dataclass(slots=True, eq=False)
class AsyncCall:
    """A record, and its results once they are there.

    Attributes:
        results: None while the call is on its way.
        timeout: the callback to cancel when they come.
    """

    value: Any
    timestamp: int | None
    results: Sequence[Any] | None = None
    task: asyncio.Task[None] | None = None
    timeout: Any = None
    segment: _Segment | None = None


@final
@dataclass(frozen=True, slots=True)
class Control:
    """A watermark, or else an idleness, that must not overtake results."""

    watermark: int | None = None
    idle: bool = False


Item = AsyncCall | Control


class AsyncQueue(Protocol):
    """What both queues do; `calls` is the number of records whose results have not left."""

    calls: int

    def put(self, item: Item) -> None:
        """Append a call or a control element."""

    def complete(self, call: AsyncCall) -> None:
        """The results of a call are there."""

    def ready(self) -> Iterator[Item]:
        """Remove and return what may leave now, in order."""

    def items(self) -> Iterator[Item]:
        """Return everything, in the order it came."""


@final
class OrderedQueue(AsyncQueue):
    """Results leave in the order of the records."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self.calls = 0

    def put(self, item: Item) -> None:
        self._items.append(item)
        self.calls += type(item) is AsyncCall

    def complete(self, call: AsyncCall) -> None:
        pass

    def ready(self) -> Iterator[Item]:
        items = self._items
        while items:
            head = items[0]
            if isinstance(head, AsyncCall):
                if head.results is None:
                    return
                self.calls -= 1
            yield items.popleft()

    def items(self) -> Iterator[Item]:
        return iter(self._items)


@final
@dataclass(slots=True, eq=False)
class _Segment:
    """The records between two control elements, and the one behind them."""

    calls: dict[AsyncCall, None] = field(default_factory=dict)
    completed: list[AsyncCall] = field(default_factory=list)
    end: Control | None = None


@final
class UnorderedQueue(AsyncQueue):
    """Results leave as they come, but none overtakes a watermark, nor is overtaken by one."""

    def __init__(self) -> None:
        self._segments = deque([_Segment()])
        self.calls = 0

    def put(self, item: Item) -> None:
        last = self._segments[-1]
        if isinstance(item, Control):
            last.end = item
            self._segments.append(_Segment())
        else:
            last.calls[item] = None
            item.segment = last
            self.calls += 1

    def complete(self, call: AsyncCall) -> None:
        assert call.segment is not None
        call.segment.completed.append(call)

    def ready(self) -> Iterator[Item]:
        while True:
            first = self._segments[0]
            completed, first.completed = first.completed, []
            for call in completed:
                del first.calls[call]
                self.calls -= 1
                yield call
            if first.calls or first.end is None:
                return
            self._segments.popleft()
            yield first.end

    def items(self) -> Iterator[Item]:
        for segment in self._segments:
            yield from segment.calls
            if segment.end is not None:
                yield segment.end
