"""What a subtask measures of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("SubtaskCheckpointMetrics",)


@dataclass(frozen=True, slots=True)
class SubtaskCheckpointMetrics:
    """Durations in ms and sizes in bytes of one subtask's part of a checkpoint.

    `start_delay_ms` is from the trigger to the first barrier, `alignment_ms` from there to the
    last, 0 in an unaligned checkpoint, `synchronous_ms` the pause of the task: the capture, and
    what it had to wait for the writing afterwards.
    `preparation_ms` is what the task did ahead of the barrier, in pieces; the start delay has it.
    `checkpointed_bytes` were written now, `state_bytes` includes files of earlier checkpoints.
    `persisted_in_flight_bytes` are part of both: records that an unaligned checkpoint overtook.
    """

    start_delay_ms: float
    synchronous_ms: float
    asynchronous_ms: float
    checkpointed_bytes: int
    state_bytes: int
    persisted_in_flight_bytes: int = 0
    is_unaligned: bool = False
    alignment_ms: float = 0.0
    preparation_ms: float = 0.0
