"""`SourceAlignment`: pauses sources whose event time is too far ahead of their group."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING, final

from millpond.operators.batch import MIN_WATERMARK
from millpond.operators.timestamps import TimestampsOperator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.operators.event_time import EventTimeAssignment
    from millpond.operators.source import SourceOperator
    from millpond.runtime.task import Task

__all__ = ("SourceAlignment",)

_logger = logging.getLogger(__name__)


@final
class SourceAlignment:
    """The groups of `WatermarkStrategy.with_watermark_alignment` in one worker.

    `update` says once a cycle which sources may not read: so where a source waits depends on
    what the sources hold, not on the clock (Flink compares in intervals, by its coordinator).
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._groups: dict[str, list[tuple[SourceOperator, EventTimeAssignment, int]]]
        self._groups = defaultdict(list)
        for task in tasks:
            source = task.source
            for event_time in _event_times(source, task):
                strategy = event_time.strategy
                if strategy is None or strategy.alignment is None:
                    continue
                if source is None:
                    _logger.warning(
                        "The watermark alignment of task '%s' has no effect: no source is chained "
                        "to it that could pause.",
                        task.vertex.name,
                    )
                elif event_time.makes_watermarks:
                    alignment = strategy.alignment
                    member = (source, event_time, alignment.max_drift_ms)
                    self._groups[alignment.group].append(member)

    def update(self) -> None:
        """Pause the sources that are ahead, and let the others read."""
        for members in self._groups.values():
            for source, _, _ in members:
                source.paused = False
        for members in self._groups.values():
            waited_for = [
                event_time.watermark
                for source, event_time, _ in members
                if not (event_time.idle or source.exhausted)
            ]
            if not waited_for:
                continue
            # Of a source without a watermark nothing is known yet: the others wait for its first.
            smallest = min(MIN_WATERMARK if each is None else each for each in waited_for)
            for source, event_time, drift_ms in members:
                own = event_time.watermark
                if own is not None and own > smallest + drift_ms:
                    source.paused = True


def _event_times(source: SourceOperator | None, task: Task) -> Iterable[EventTimeAssignment]:
    if source is not None:
        yield source.event_time
    for operator in task.operators:
        if isinstance(operator, TimestampsOperator):
            yield operator.event_time
