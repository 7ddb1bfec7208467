"""`SubtaskSnapshot`: one task's part of a checkpoint, captured, then written elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from millpond.checkpoint.file_stream import FileSnapshotStreams
from millpond.checkpoint.stream_walk import streams_of_subtask
from millpond.formats.handles import (
    DistributionMode,
    KeyedHandle,
    OperatorStateHandle,
    OperatorStatePartition,
    SubtaskState,
)
from millpond.runtime.in_flight import IN_FLIGHT_STATE
from millpond.runtime.message import Acknowledge
from millpond.runtime.task_metrics import SubtaskCheckpointMetrics
from millpond.state.contract.snapshot import SnapshotScope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.checkpoint.local_copies import LocalCopies
    from millpond.checkpoint.location import CheckpointStreams
    from millpond.clock import Clock
    from millpond.state.contract.snapshot import Snapshot

__all__ = ("OperatorSnapshot", "SubtaskSnapshot")


@dataclass(slots=True)
class OperatorSnapshot:
    """What one operator of a chain captured; `when_written` is called as soon as it is written."""

    operator_id: bytes
    operator_state: Snapshot[OperatorStateHandle | None] | None = None
    keyed_state: Snapshot[KeyedHandle | None] | None = None
    when_written: Callable[[], None] | None = None

    def parts(self) -> list[Snapshot[OperatorStateHandle | None] | Snapshot[KeyedHandle | None]]:
        """Return the snapshots that there are."""
        return [part for part in (self.operator_state, self.keyed_state) if part is not None]


@final
class SubtaskSnapshot:
    """Snapshots of all operators of a task."""

    def __init__(
        self,
        checkpoint_id: int,
        vertex_id: int,
        subtask_index: int,
        operators: Sequence[OperatorSnapshot],
        streams: CheckpointStreams,
        clock: Clock,
        start_delay_ms: float,
        alignment_ms: float,
        synchronous_ms: float,
        in_flight: bytes | None = None,
        copies: LocalCopies | None = None,
        preparation_ms: float = 0.0,
    ) -> None:
        """Make it; `in_flight` is what the task's channels held, for the first operator.

        `copies` are told of the files that it consists of.
        """
        self.checkpoint_id = checkpoint_id
        self.vertex_id = vertex_id
        self.subtask_index = subtask_index
        self._operators = operators
        self._streams = streams
        self._clock = clock
        self._start_delay_ms = start_delay_ms
        self._alignment_ms = alignment_ms
        self._synchronous_ms = synchronous_ms
        self._in_flight = in_flight
        self._copies = copies
        self._preparation_ms = preparation_ms

    def write(self) -> Acknowledge:
        """Write everything; runs in a background thread."""
        try:
            return self._write()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Delete the files that were written, for a snapshot that is not acknowledged."""
        if isinstance(self._streams, FileSnapshotStreams):
            self._streams.discard()

    def _write(self) -> Acknowledge:
        started = self._clock.monotonic()
        states: dict[bytes, SubtaskState] = {}
        for operator in self._operators:
            managed = None if operator.operator_state is None else operator.operator_state.write()
            keyed = None if operator.keyed_state is None else operator.keyed_state.write()
            if operator.when_written is not None:
                operator.when_written()
            state = SubtaskState(
                operator_managed=managed, keyed_managed=() if keyed is None else (keyed,)
            )
            if self._in_flight is not None and operator is self._operators[0]:
                state = replace(state, operator_raw=self._write_in_flight(self._in_flight))
            if not state.is_empty:
                states[operator.operator_id] = state
        if self._copies is not None:
            for state in states.values():
                self._copies.note_used(self.checkpoint_id, streams_of_subtask(state))
        metrics = SubtaskCheckpointMetrics(
            start_delay_ms=self._start_delay_ms,
            synchronous_ms=self._synchronous_ms + 1000 * self._stopped_seconds(),
            asynchronous_ms=(self._clock.monotonic() - started) * 1000,
            checkpointed_bytes=sum(state.checkpointed_size for state in states.values()),
            state_bytes=sum(state.size for state in states.values()),
            persisted_in_flight_bytes=len(self._in_flight or b""),
            is_unaligned=self._in_flight is not None,
            alignment_ms=self._alignment_ms,
            preparation_ms=self._preparation_ms,
        )
        return Acknowledge(
            self.checkpoint_id,
            self.vertex_id,
            self.subtask_index,
            states,
            self._streams.checksums,
            metrics,
        )

    def _stopped_seconds(self) -> float:
        return sum(part.stopped_seconds for each in self._operators for part in each.parts())

    def _write_in_flight(self, data: bytes) -> OperatorStateHandle | None:
        out = self._streams.open(SnapshotScope.EXCLUSIVE)
        try:
            out.write(data)
            stream = out.finish()
        except BaseException:
            out.abort()
            raise
        if stream is None:
            return None
        partition = OperatorStatePartition(DistributionMode.SPLIT, (0,))
        return OperatorStateHandle({IN_FLIGHT_STATE: partition}, stream)

    def cancel(self) -> None:
        """Make `write` stop soon; any thread may call it."""
        for operator in self._operators:
            for part in operator.parts():
                part.cancel()

    def release(self) -> None:
        """Give back what the stores kept; the task thread calls it once `write` has ended."""
        for operator in self._operators:
            for part in operator.parts():
                part.release()
