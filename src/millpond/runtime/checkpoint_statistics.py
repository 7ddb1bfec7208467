"""Statistics of checkpoints: what the dashboard and the demo's table show."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from millpond.state.contract.snapshot import SnapshotKind

if TYPE_CHECKING:
    from millpond.runtime.task_metrics import SubtaskCheckpointMetrics
    from millpond.state.contract.snapshot import SavepointFormat

__all__ = ("CheckpointStatistics", "CheckpointStatus")


class CheckpointStatus(enum.StrEnum):
    """How far a checkpoint is."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(slots=True)
class CheckpointStatistics:
    """One checkpoint or savepoint.

    Sizes in bytes: `checkpointed_bytes` were written now, `state_bytes` is the full state,
    files of earlier checkpoints included. `subtasks` by (vertex id, subtask index), as is
    `acknowledged_ms`: when the job manager heard of them.
    """

    checkpoint_id: int
    kind: SnapshotKind
    incremental: bool
    trigger_ms: int
    status: CheckpointStatus = CheckpointStatus.IN_PROGRESS
    end_ms: int | None = None
    external_path: str | None = None
    failure: str | None = None
    subtasks: dict[tuple[int, int], SubtaskCheckpointMetrics] = field(default_factory=dict)
    acknowledged_ms: dict[tuple[int, int], int] = field(default_factory=dict)
    savepoint_format: SavepointFormat | None = None

    @property
    def duration_ms(self) -> int | None:
        """From trigger to completion or failure."""
        return None if self.end_ms is None else self.end_ms - self.trigger_ms

    @property
    def checkpointed_bytes(self) -> int:
        """Bytes that this checkpoint wrote."""
        return sum(metrics.checkpointed_bytes for metrics in self.subtasks.values())

    @property
    def state_bytes(self) -> int:
        """Bytes of the full state."""
        return sum(metrics.state_bytes for metrics in self.subtasks.values())

    @property
    def persisted_in_flight_bytes(self) -> int:
        """Bytes of records that an unaligned checkpoint overtook."""
        return sum(metrics.persisted_in_flight_bytes for metrics in self.subtasks.values())

    @property
    def is_unaligned(self) -> bool:
        """Whether barriers overtook records."""
        return any(metrics.is_unaligned for metrics in self.subtasks.values())

    @property
    def synchronous_ms(self) -> float:
        """The longest pause of a task."""
        return max((metrics.synchronous_ms for metrics in self.subtasks.values()), default=0.0)

    @property
    def preparation_ms(self) -> float:
        """The longest work of a task ahead of the barrier, done in pieces."""
        return max((metrics.preparation_ms for metrics in self.subtasks.values()), default=0.0)

    @property
    def type_name(self) -> str:
        """Kind as people read it."""
        if self.kind is SnapshotKind.SAVEPOINT:
            return "savepoint"
        return "incremental" if self.incremental else "full"
