"""`Measurement`: the runs of one benchmark, and what is said about them."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Measurement", "Stopwatch", "repeated")


class Stopwatch:
    """CPU time of this thread and of this process, and time on the wall, in seconds."""

    def __init__(self) -> None:
        self.thread_s = self.process_s = self.wall_s = 0.0
        self._thread = time.thread_time()
        self._process = time.process_time()
        self._wall = time.perf_counter()

    def stop(self) -> Stopwatch:
        """Read the three clocks."""
        self.thread_s = time.thread_time() - self._thread
        self.process_s = time.process_time() - self._process
        self.wall_s = time.perf_counter() - self._wall
        return self


@dataclass
class Measurement:
    """All runs of one benchmark.

    `unit` says what the runs are: ``M/s`` is millions per second of CPU time of the thread that
    works, ``ms``, ``s``, ``MB`` and ``bytes`` are what they say.
    `process` and `wall` are the same runs by CPU time of the whole process (with the threads that
    write snapshots and compact) and by the wall, where they were taken.
    `loop` is what a plain Python loop that does the same work reached just before each run: how
    much of it the engine reaches depends less on what else the machine does.
    `java` is Java Flink's figure in the same unit, `target` the least that is aimed for.
    """

    group: str
    name: str
    backend: str
    unit: str
    runs: list[float]
    process: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    loop: list[float] = field(default_factory=list)
    java: float | None = None
    target: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """The middle run."""
        return median(self.runs)

    @property
    def spread(self) -> float:
        """(largest - smallest) / median: what differences to believe."""
        middle = self.median
        return (max(self.runs) - min(self.runs)) / middle if middle else 0.0

    @property
    def of_loop(self) -> float | None:
        """The middle one of the runs as shares of the loop beside them."""
        if not self.loop:
            return None
        return median(run / loop for run, loop in zip(self.runs, self.loop, strict=True))

    def to_json(self) -> dict[str, object]:
        """Return everything, with the median of every column."""
        medians = {
            f"{column}_median": median(runs)
            for column, runs in (
                ("cpu", self.runs),
                ("process", self.process),
                ("wall", self.wall),
            )
            if runs
        }
        return {**asdict(self), **medians, "spread": self.spread, "of_loop": self.of_loop}


def repeated(count: int, run: Callable[[], Stopwatch], work: float) -> dict[str, list[float]]:
    """Run several times and return work a second, by each of the three clocks."""
    watches = [run() for _ in range(count)]
    return {
        "runs": [work / watch.thread_s for watch in watches],
        "process": [work / watch.process_s for watch in watches],
        "wall": [work / watch.wall_s for watch in watches],
    }
