"""`savepoint_limits`: what Apache Flink cannot use of a job's savepoint, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.operator_limits import operator_limits

if TYPE_CHECKING:
    from millpond.runtime.job_graph import JobGraph

__all__ = ("savepoint_limits",)


def savepoint_limits(graph: JobGraph, path: str) -> list[str]:
    """Return a sentence or two for each state: operator with its uid, state, why, what to do.

    The graph knows the names; a savepoint that Flink can read has ids only.

    Raises:
        CheckpointNotFoundError: there is no savepoint at the path.
        FormatError: a stream is damaged.
        SnapshotCorruptedError: metadata or a stream are not what their checksums say.
        CheckpointStorageError: it cannot be read.
    """
    labels = {
        node.operator_id: f"{node.name} (uid {node.uid})" if node.uid else node.name
        for vertex in graph.vertices
        for node in vertex.operators
    }
    loaded = load_checkpoint(path)
    return [
        f"{labels.get(operator.operator_id, operator.operator_id.hex())}: {limit}"
        for operator in loaded.metadata.operators
        for limit in operator_limits(loaded, operator)
    ]
