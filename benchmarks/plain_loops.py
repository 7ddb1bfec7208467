"""The same work as some jobs, by hand in one loop: what the engine's cost is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("PLAIN_LOOPS",)

_MULTIPLIER = 2654435761


def _running_sum(events: int, keys: int) -> int:
    sums: dict[int, int] = {}
    results = []
    for i in range(events):
        key, number, _ = ((i * _MULTIPLIER) % keys, i, i // 100)
        before = sums.get(key)
        total = number if before is None else before + number
        sums[key] = total
        results.append((key, total))
        if len(results) == 2048:
            results.clear()
    return len(sums)


def _windows(events: int, keys: int) -> int:
    panes: dict[tuple[int, int], tuple[int, int]] = {}
    results: list[tuple[int, int]] = []
    current = 0
    for i in range(events):
        key, number, time_ms = ((i * _MULTIPLIER) % keys, i, i // 100)
        start = time_ms - time_ms % 1000
        if start != current:
            results = list(panes.values())
            panes.clear()
            current = start
        count, total = panes.get((key, start), (0, 0))
        panes[key, start] = (count + 1, total + number)
    return len(results)


PLAIN_LOOPS: dict[str, Callable[[int, int], int]] = {
    "a": _running_sum,
    "b": _running_sum,
    "c": _windows,
}
"""By the group of the job; each takes the number of events and of keys."""
