"""`PendingCheckpoint`: a checkpoint that tasks are still working on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from millpond.formats.handles import CheckpointMetadata, OperatorState, SubtaskState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from millpond.checkpoint.checksum import FileChecksum
    from millpond.checkpoint.completed import CompletedCheckpoint
    from millpond.checkpoint.location import CheckpointLocation
    from millpond.runtime.checkpoint_statistics import CheckpointStatistics
    from millpond.runtime.job_graph import JobGraph
    from millpond.runtime.message import Acknowledge
    from millpond.state.contract.snapshot import SnapshotOptions

__all__ = ("PendingCheckpoint", "subtasks_of")


def subtasks_of(graph: JobGraph) -> set[tuple[int, int]]:
    """Return (vertex id, subtask index) of every task."""
    return {(v.vertex_id, index) for v in graph.vertices for index in range(v.parallelism)}


@dataclass(slots=True)
class PendingCheckpoint:
    """Collects acknowledgements until none is missing.

    `builds_on` is the latest complete checkpoint at the trigger; increments may refer to its files.
    """

    checkpoint_id: int
    options: SnapshotOptions
    location: CheckpointLocation
    deadline: float
    statistics: CheckpointStatistics
    missing: set[tuple[int, int]]
    builds_on: int = 0
    futures: Sequence[Future[CompletedCheckpoint]] = ()
    states: dict[bytes, dict[int, SubtaskState]] = field(default_factory=dict)
    checksums: dict[str, FileChecksum] = field(default_factory=dict)

    def acknowledge(self, message: Acknowledge, now_ms: int) -> bool:
        """Take one subtask's part; return whether none is missing any more."""
        subtask = (message.vertex_id, message.subtask_index)
        if subtask not in self.missing:
            return False
        self.missing.remove(subtask)
        self.statistics.subtasks[subtask] = message.metrics
        self.statistics.acknowledged_ms[subtask] = now_ms
        for operator_id, state in message.states.items():
            self.states.setdefault(operator_id, {})[message.subtask_index] = state
        self.checksums.update(message.checksums)
        return not self.missing

    def metadata(self, graph: JobGraph) -> CheckpointMetadata:
        """Return the content of `_metadata`: every operator, also those without state."""
        operators = tuple(
            OperatorState(
                operator_id=node.operator_id,
                parallelism=vertex.parallelism,
                max_parallelism=vertex.max_parallelism,
                subtasks=dict(sorted(self.states.get(node.operator_id, {}).items())),
                name=node.name,
                uid=node.uid or "",
            )
            for vertex in graph.vertices
            for node in vertex.operators
        )
        return CheckpointMetadata(self.checkpoint_id, operators)
