"""What is said of state that has no operator in the job: whose it was, and whose it may be now."""

from __future__ import annotations

import contextlib
import difflib
from typing import TYPE_CHECKING

from millpond.errors import MillpondError
from millpond.formats.keyed_state import open_keyed_state
from millpond.formats.pyflink_serializers import PYTHON_STATE_PREFIX, timer_service_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from millpond.checkpoint.reader import CheckpointReader
    from millpond.formats.handles import OperatorState, StreamHandle
    from millpond.runtime.job_graph import JobGraph

__all__ = ("describe_unmatched", "suggest_uids")

_SHOWN_STATES = 5


def describe_unmatched(operator: OperatorState, reader: CheckpointReader) -> str:
    """Return the id, name and uid of an operator of the snapshot, and the names of its states.

    Metadata before version 5 have neither names nor uids: then the states tell which it was.
    """
    known = [text for text in (operator.name, operator.uid and f"uid {operator.uid}") if text]
    names = list(dict.fromkeys(_state_names(operator, reader)))
    if names:
        more = f" and {len(names) - _SHOWN_STATES} more" if len(names) > _SHOWN_STATES else ""
        known.append(f"with {', '.join(names[:_SHOWN_STATES])}{more}")
    elif operator.coordinator is not None:
        known.append("a source of Flink")
    identifier = operator.operator_id.hex()
    return f"{identifier} ({', '.join(known)})" if known else identifier


def suggest_uids(operators: list[OperatorState], graph: JobGraph) -> str:
    """Return which uids of the job resemble those of the snapshot, as sentences; maybe none."""
    uids = [node.uid for vertex in graph.vertices for node in vertex.operators if node.uid]
    found = ""
    for operator in operators:
        close = difflib.get_close_matches(operator.uid, uids, 1) if operator.uid else []
        if close:
            found += f" Did uid {operator.uid!r} become {close[0]!r}?"
    return found


def _state_names(operator: OperatorState, reader: CheckpointReader) -> Iterator[str]:
    for subtask in operator.subtasks.values():
        for handle in subtask.keyed_managed[:1]:
            # The error is about something else: what cannot be read is only not said.
            with contextlib.suppress(MillpondError), contextlib.ExitStack() as streams:

                def opened(
                    stream: StreamHandle, streams: contextlib.ExitStack = streams
                ) -> BinaryIO:
                    return streams.enter_context(reader.open(stream))

                header = open_keyed_state(
                    handle, opened, operator.max_parallelism, check=False
                ).header
                for meta in header.states:
                    if timer_service_of(meta.name) is None:
                        yield f"state {meta.name.removeprefix(PYTHON_STATE_PREFIX)!r}"
        if subtask.operator_managed is not None:
            for name, partition in subtask.operator_managed.partitions.items():
                if partition.offsets:
                    yield f"state {name.removeprefix(PYTHON_STATE_PREFIX)!r}"
