"""`CheckpointHistory`: the newest checkpoints of a job, how many there were, and their summary."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final, overload

from millpond.runtime.checkpoint_statistics import CheckpointStatistics, CheckpointStatus
from millpond.state.contract.snapshot import SnapshotKind

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("CheckpointCounts", "CheckpointHistory", "Distribution")

_REMEMBERED = 1_000
_SUMMARIZED = 10_000


@final
@dataclass(frozen=True, slots=True)
class CheckpointCounts:
    """How many checkpoints and savepoints there were, forgotten ones included."""

    total: int
    in_progress: int
    completed: int
    failed: int


@final
@dataclass(frozen=True, slots=True)
class Distribution:
    """Values of completed checkpoints; percentiles are values that were there (nearest rank)."""

    minimum: float
    maximum: float
    average: float
    p50: float
    p90: float
    p95: float
    p99: float
    p999: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Distribution:
        """Return that of some values; zeros if there are none, as Flink shows."""
        ordered = sorted(values)
        if not ordered:
            return cls(*([0.0] * 8))

        def rank(share: float) -> float:
            return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

        average = sum(ordered) / len(ordered)
        percentiles = [rank(share) for share in (0.5, 0.9, 0.95, 0.99, 0.999)]
        return cls(ordered[0], ordered[-1], average, *percentiles)


@final
class CheckpointHistory(Sequence[CheckpointStatistics]):
    """Oldest first; remembers the newest 1,000, and the numbers of 10,000 completed ones.

    Attributes:
        latest_completed: the newest complete checkpoint, forgotten or not; None before the first.
        latest_savepoint: the newest complete savepoint likewise.
        latest_failed: the newest of both that failed likewise.

    Used by the job manager's thread; others may read. Flink's CheckpointStatsTracker.
    """

    def __init__(self) -> None:
        self._newest: deque[CheckpointStatistics] = deque(maxlen=_REMEMBERED)
        self._total = 0
        self._completed = 0
        self._failed = 0
        self.latest_completed: CheckpointStatistics | None = None
        self.latest_savepoint: CheckpointStatistics | None = None
        self.latest_failed: CheckpointStatistics | None = None
        self._numbers: dict[str, deque[float]] = {
            name: deque(maxlen=_SUMMARIZED)
            for name in (
                "end_to_end_duration_ms",
                "synchronous_ms",
                "state_bytes",
                "checkpointed_bytes",
                "persisted_in_flight_bytes",
            )
        }

    def append(self, statistics: CheckpointStatistics) -> None:
        """Add one that was triggered."""
        self._newest.append(statistics)
        self._total += 1

    def ended(self, statistics: CheckpointStatistics) -> None:
        """Count one whose status is final now."""
        if statistics.status is CheckpointStatus.FAILED:
            self._failed += 1
            self.latest_failed = statistics
            return
        self._completed += 1
        if statistics.kind is SnapshotKind.SAVEPOINT:
            self.latest_savepoint = statistics
        else:
            self.latest_completed = statistics
        numbers = self._numbers
        numbers["end_to_end_duration_ms"].append(statistics.duration_ms or 0)
        for name in numbers.keys() - {"end_to_end_duration_ms"}:
            numbers[name].append(getattr(statistics, name))

    @property
    def counts(self) -> CheckpointCounts:
        """Numbers since the job began."""
        in_progress = self._total - self._completed - self._failed
        return CheckpointCounts(self._total, in_progress, self._completed, self._failed)

    def summary(self) -> dict[str, Distribution]:
        """Return durations in ms and sizes in bytes of the completed ones. O(n log n)."""
        return {name: Distribution.of(tuple(values)) for name, values in self._numbers.items()}

    def __len__(self) -> int:
        return len(self._newest)

    def __iter__(self) -> Iterator[CheckpointStatistics]:
        return iter(tuple(self._newest))

    @overload
    def __getitem__(self, index: int) -> CheckpointStatistics: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[CheckpointStatistics]: ...
    def __getitem__(self, index: Any) -> Any:
        return tuple(self._newest)[index]
