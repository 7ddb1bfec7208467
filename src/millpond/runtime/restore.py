"""Maps the operators of a snapshot to those of a job, before any state is read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from millpond.checkpoint.reader import SnapshotSource
from millpond.datastream.operator_spec import COLLECT_UID
from millpond.errors import SavepointMismatchError
from millpond.runtime.message import Restore
from millpond.runtime.operator_id import operator_id_of_uid
from millpond.runtime.unmatched_state import describe_unmatched, suggest_uids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.checkpoint.completed import CompletedCheckpoint
    from millpond.formats.handles import OperatorState
    from millpond.runtime.job_graph import JobGraph, JobVertex

__all__ = ("restore_from",)


def restore_from(
    checkpoint: CompletedCheckpoint | None,
    graph: JobGraph,
    *,
    allow_non_restored_state: bool,
    owned: bool = True,
) -> tuple[JobGraph, Restore | None]:
    """Return the graph with the snapshot's max parallelism, and what tasks start from.

    The rules are those of Flink's StateAssignmentOperation and Checkpoints. `owned` is handed on.

    Raises:
        SavepointMismatchError: state has no operator in the job, or keyed state one without keys,
            and that is not allowed, or the max parallelism does not fit.
    """
    if checkpoint is None:
        return graph, None
    stored = {operator.operator_id: operator for operator in checkpoint.metadata.operators}
    known = {node.operator_id for vertex in graph.vertices for node in vertex.operators}
    optional = operator_id_of_uid(COLLECT_UID)
    unmatched = [
        operator
        for operator_id, operator in stored.items()
        if operator_id not in known and operator_id != optional and _has_state(operator)
    ]
    if unmatched and not allow_non_restored_state:
        reader = SnapshotSource(checkpoint.location.directory, checkpoint.checksums).reader()
        names = ", ".join(describe_unmatched(operator, reader) for operator in unmatched)
        present = ", ".join(
            f"{node.name} ({node.uid or 'no uid'})" for v in graph.vertices for node in v.operators
        )
        raise SavepointMismatchError(
            f"The snapshot holds state of operators that the job does not have: {names}.",
            hint=f"The job has: {present}.{suggest_uids(unmatched, graph)} Give operators the uid "
            "they had, or allow non-restored state to drop it. PyFlink joins Python operators to "
            "one, which has the uid of the first.",
            checkpoint=checkpoint.checkpoint_id,
            path=checkpoint.location.directory,
        )
    if not allow_non_restored_state:
        _refuse_lost_keys(graph, stored, checkpoint)
    vertices = tuple(_with_stored_maximum(vertex, stored) for vertex in graph.vertices)
    matched = {number: state for number, state in stored.items() if number in known}
    source = SnapshotSource(checkpoint.location.directory, checkpoint.checksums)
    restore = Restore(checkpoint.checkpoint_id, source, matched, owned)
    return replace(graph, vertices=vertices), restore


def _refuse_lost_keys(
    graph: JobGraph, stored: Mapping[bytes, OperatorState], checkpoint: CompletedCheckpoint
) -> None:
    """Refuse keyed state whose operator is not keyed any more; Flink drops it in silence."""
    lost = [
        f"{node.name} ({node.uid or 'no uid'})"
        for vertex in graph.vertices
        for node in vertex.operators
        if node.keyed is None
        and (operator := stored.get(node.operator_id)) is not None
        and any(subtask.keyed for subtask in operator.subtasks.values())
    ]
    if lost:
        raise SavepointMismatchError(
            "The snapshot holds keyed state of operators that have no keys in the job: "
            f"{', '.join(lost)}.",
            hint="Put them behind key_by, or allow non-restored state to drop it.",
            checkpoint=checkpoint.checkpoint_id,
            path=checkpoint.location.directory,
        )


def _has_state(operator: OperatorState) -> bool:
    return operator.coordinator is not None or any(
        subtask.keyed
        or any(
            partition.offsets
            for handle in (subtask.operator_managed, subtask.operator_raw)
            if handle is not None
            for partition in handle.partitions.values()
        )
        for subtask in operator.subtasks.values()
    )


def _with_stored_maximum(vertex: JobVertex, stored: Mapping[bytes, OperatorState]) -> JobVertex:
    for node in vertex.operators:
        operator = stored.get(node.operator_id)
        if operator is None or not _has_state(operator):
            continue
        maximum = operator.max_parallelism
        if maximum == vertex.max_parallelism:
            continue
        if vertex.max_parallelism_is_set:
            raise SavepointMismatchError(
                f"The max parallelism was {maximum} in the snapshot and is set to "
                f"{vertex.max_parallelism} now; it cannot change.",
                hint=f"Set the max parallelism to {maximum}, or leave it unset.",
                operator=node.name,
            )
        if maximum < vertex.parallelism:
            raise SavepointMismatchError(
                f"The parallelism {vertex.parallelism} is above the max parallelism {maximum} "
                "of the snapshot.",
                hint=f"Use a parallelism of at most {maximum}.",
                operator=node.name,
            )
        vertex = replace(vertex, max_parallelism=maximum)
    return vertex
