"""What of a job's state Apache Flink will not use when it starts from the job's savepoint."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from millpond.datastream.functions import CheckpointedFunction

if TYPE_CHECKING:
    from millpond.runtime.job_graph import JobGraph, OperatorNode

__all__ = ("log_portability", "portability_notes")

_logger = logging.getLogger("millpond.savepoint")


def portability_notes(graph: JobGraph, *, stopping: bool) -> list[str]:
    """Return a sentence or two for each operator with state that only Millpond can restore.

    `stopping`: the savepoint ends the job, so that sinks commit.

    Keyed state, timers, windows and broadcast state are Flink's own, so they are not among them.
    A native or incremental checkpoint, and Millpond itself, keep everything.
    """
    notes = []
    for vertex in graph.vertices:
        for node in vertex.operators:
            name = f"{node.name!r} (uid {node.uid})" if node.uid else repr(node.name)
            note = _note(node, stopping=stopping)
            if note is not None:
                notes.append(f"{name}: {note}")
    return notes


def log_portability(graph: JobGraph, *, stopping: bool) -> None:
    """Log, as one warning, what Flink would not restore; nothing if there is nothing."""
    notes = portability_notes(graph, stopping=stopping)
    if notes:
        _logger.warning(
            "Millpond restores all of this savepoint. If it is to start a job on Apache Flink, "
            "note:\n%s",
            "\n".join(f"- {note}" for note in notes),
        )


def _note(node: OperatorNode, *, stopping: bool) -> str | None:
    if node.is_source:
        return (
            "how far the source was read is kept in Millpond's form. On Flink it starts where the "
            "program says, so set its starting position there."
        )
    if node.commits and not stopping:
        return (
            "results that are not committed yet are in the state of the sink. Let the job end with "
            "stop_with_savepoint, which commits them, before Flink goes on."
        )
    if _is_checkpointed(node):
        return (
            "list states of a CheckpointedFunction are not known to PyFlink. Flink carries them "
            "along unused; keep what must move in keyed or broadcast state."
        )
    return None


def _is_checkpointed(node: OperatorNode) -> bool:
    if not isinstance(node.specification, bytes):
        return False
    import cloudpickle

    # The job's own program, as every task unpickles it.
    specification = cloudpickle.loads(node.specification)
    return isinstance(getattr(specification, "function", None), CheckpointedFunction)
