"""`Task`: one subtask of a chain of operators; reads its channels, takes part in checkpoints."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, NoReturn, final

from millpond.checkpoint.file_stream import FileSnapshotStreams
from millpond.checkpoint.local_copies import DuplicatingStreams
from millpond.checkpoint.storage_failure import Retry
from millpond.errors import CheckpointDeclinedError, MillpondError, UserCodeError
from millpond.filesystem import FileSystemResolver, get_file_system
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK
from millpond.operators.operator import Ending, Operator, TwoInputOperator
from millpond.operators.source import SourceOperator
from millpond.runtime.element import END_OF_INPUT, CheckpointBarrier, Element
from millpond.runtime.flink_report import FlinkReport
from millpond.runtime.message import SubtaskProgress
from millpond.runtime.subtask_snapshot import OperatorSnapshot, SubtaskSnapshot
from millpond.state.contract.keyed_backend import NO_KEY, KeyedStateBackend
from millpond.state.contract.snapshot import SnapshotKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from millpond.checkpoint.local_copies import LocalCopies
    from millpond.clock import Clock
    from millpond.operators.batch import Batch
    from millpond.runtime.in_flight import InFlightCodec
    from millpond.runtime.input_gate import InputGate
    from millpond.runtime.job_graph import JobVertex
    from millpond.runtime.message import TriggerCheckpoint
    from millpond.runtime.output import EdgeOutput
    from millpond.runtime.pace import Pace
    from millpond.state.contract.snapshot import SnapshotStreams

__all__ = ("Task",)


@final
class Task:
    """One thread of control: whoever calls it must always be the same thread.

    Attributes:
        preparation_ms: what was done ahead for the next snapshot.

    After its input has ended a task stays to take part in checkpoints, so that a restored job
    finds the end of its sources again; it is closed with the whole job.
    """

    def __init__(
        self,
        vertex: JobVertex,
        subtask_index: int,
        operators: Sequence[Operator],
        gate: InputGate,
        edges: Sequence[EdgeOutput],
        clock: Clock,
        resolve: FileSystemResolver = get_file_system,
    ) -> None:
        self.vertex = vertex
        self.subtask_index = subtask_index
        self.operators = operators
        self._gate = gate
        self._edges = edges
        self._clock = clock
        self._resolve = resolve
        self._head = operators[0]
        self._source = self._head if isinstance(self._head, SourceOperator) else None
        self._second = self._head if isinstance(self._head, TwoInputOperator) else None
        self._backends: list[KeyedStateBackend] = [
            operator.context.keyed_backend
            for operator in operators
            if operator.context.keyed_backend is not None
        ]
        self.ended = False
        self._ending: deque[Operator] | None = None
        self.captured: list[SubtaskSnapshot] = []
        self.pace: Pace | None = None
        self.copies: LocalCopies | None = None
        self.preparation_ms = 0.0
        self.flink_report = FlinkReport()

    @property
    def source(self) -> SourceOperator | None:
        """The source operator, if the task has one."""
        return self._source

    def progress(self) -> SubtaskProgress:
        """Return how far it is."""
        source = self._source
        watermark = self._gate.watermark if source is None else source.event_time_ms
        return SubtaskProgress(
            self.vertex.vertex_id,
            self.subtask_index,
            self._gate.records if source is None else source.records_read,
            sum(edge.records for edge in self._edges),
            None if watermark in {MIN_WATERMARK, MAX_WATERMARK} else watermark,
            self.ended,
        )

    # -- life

    def open(self) -> None:
        """Restore and open the operators, last first, so that an opened one may emit."""
        for operator in reversed(self.operators):
            operator.initialize_state()
            operator.open()

    def close(self) -> None:
        """Close operators and stores; every one is closed, and the first failure is raised."""
        failures: list[Exception] = []
        closable: tuple[Operator | KeyedStateBackend, ...] = (*self.operators, *self._backends)
        for closing in closable:
            try:
                closing.close()
            except Exception as error:  # noqa: BLE001 - collected, and raised below
                failures.append(error)
        if failures:
            raise failures[0]

    # -- work

    def run(self) -> bool:
        """Do what there is to do now; return whether there was anything."""
        finishing = bool(self._ending) and self._finish_operators()
        if self._source is not None:
            progress = self._source.produce()
            if self._source.ended and self._ending is None:
                self.process_end()
                return True
        else:
            pace = self.pace
            if pace is None:
                progress = self._gate.drain(self)
            else:
                pace.begin()
                progress = self._gate.drain_in_slices(self, pace)
        if progress:
            self.end_batch()
        return progress or finishing

    def end_batch(self) -> None:
        """Let the stores do their bounded work; the worker asks for it where no records come."""
        for backend in self._backends:
            backend.current_key = NO_KEY
            backend.end_batch()

    def fire_processing_time(self, now_ms: int) -> None:
        """Fire the processing-time timers that are due; none after the end of input."""
        if self.ended:
            return
        # Of a task that is ending, the operators that wait for something are left.
        for operator in self.operators if self._ending is None else tuple(self._ending):
            due = operator.next_processing_time()
            if due is not None and due <= now_ms:
                operator.process_processing_time(now_ms)

    def process_batch(self, batch: Batch, input_index: int) -> None:
        """Process records of one input."""
        if input_index == 0 or self._second is None:
            self._head.process_batch(batch)
        else:
            self._second.process_second(batch)

    def process_watermark(self, timestamp: int) -> None:
        """Event time has reached `timestamp` on all inputs."""
        self._head.process_watermark(timestamp)

    def process_idle(self, *, idle: bool) -> None:
        """All inputs became idle, or one active again."""
        self._head.process_idle(idle=idle)

    def process_end(self) -> None:
        """The input has ended: finish the operators, first to last, as soon as each can be."""
        self._ending = deque(self.operators)
        self._finish_operators()

    def _finish_operators(self) -> bool:
        """Go on with the end of the input; return whether anything was done."""
        ending = self._ending
        assert ending is not None
        while ending:
            state = ending[0].end_input()
            if state is not Ending.DONE:
                return state is Ending.WORKING
            ending.popleft().finish()
        self.ended = True
        self._broadcast(END_OF_INPUT)
        return True

    def end_job(self) -> None:
        """Every task has ended."""
        for operator in self.operators:
            operator.end_job()

    # -- checkpoints

    def prepare_snapshot(self, message: TriggerCheckpoint) -> Iterator[bool]:
        """Let the stores work ahead; see `KeyedStateBackend.prepare_snapshot`."""
        for operator in self.operators:
            backend = operator.context.keyed_backend
            if backend is None:
                continue
            backend.current_key = NO_KEY
            try:
                yield from backend.prepare_snapshot(message.checkpoint_id, message.options)
            except Exception as error:  # noqa: BLE001 - raised again with the place
                operator_id = operator.context.operator_id
                self._fail_checkpoint(error, message.checkpoint_id, operator_id)

    def process_barrier(self, barrier: CheckpointBarrier) -> None:
        """Hand the barrier on and capture the state; the writing is left to the worker.

        A failure here fails the task, as in Flink (StreamTask.performCheckpoint).
        """
        started = self._clock.monotonic()
        for operator in self.operators:
            operator.prepare_snapshot(barrier.checkpoint_id)
        self._broadcast(barrier)
        self._capture(barrier, started, self._gate.alignment_ms)

    def overtake(self, barrier: CheckpointBarrier, codec: InFlightCodec) -> None:
        """Take part in an unaligned checkpoint: capture the state and what channels hold, now.

        Called for all tasks in topological order while no operator is at work, so that what
        `prepare_snapshot` emits is in flight too.
        """
        started = self._clock.monotonic()
        for operator in self.operators:
            operator.prepare_snapshot(barrier.checkpoint_id)
        in_flight = None
        if self._gate.channels:
            in_flight = codec.encode(self._gate.channels, self.subtask_index)
        self._capture(barrier, started, 0.0, in_flight)

    def resume(self) -> None:
        """Take up event time where an unaligned checkpoint left it."""
        self._gate.resume(self)

    def _capture(
        self,
        barrier: CheckpointBarrier,
        started: float,
        alignment_ms: float,
        in_flight: bytes | None = None,
    ) -> None:
        start_delay_ms = max(0, self._clock.now_ms() - barrier.timestamp_ms - alignment_ms)
        streams = barrier.location.streams(resolve=self._resolve, retry=Retry(clock=self._clock))
        writing: SnapshotStreams = streams
        copies = self.copies if isinstance(streams, FileSnapshotStreams) else None
        if copies is not None and barrier.options.kind is SnapshotKind.CHECKPOINT:
            writing = DuplicatingStreams(streams, copies)
        captured: list[OperatorSnapshot] = []
        try:
            for operator in self.operators:
                context = operator.context
                snapshot = OperatorSnapshot(context.operator_id)
                captured.append(snapshot)
                operator.snapshot_state(barrier.checkpoint_id, barrier.timestamp_ms)
                snapshot.operator_state = context.operator_state.snapshot(
                    barrier.checkpoint_id, writing, barrier.options
                )
                if context.keyed_backend is not None:
                    context.keyed_backend.current_key = NO_KEY
                    snapshot.keyed_state = context.keyed_backend.snapshot(
                        barrier.checkpoint_id, writing, barrier.options
                    )
                about = snapshot, context.name, barrier.checkpoint_id, barrier.options
                self.flink_report.report(*about)
                snapshot.when_written = partial(self.flink_report.report_written, *about)
        except Exception as error:  # noqa: BLE001 - raised again with the place
            for snapshot in captured:
                for part in snapshot.parts():
                    part.cancel()
                    part.release()
            self._fail_checkpoint(error, barrier.checkpoint_id, captured[-1].operator_id)
        self.captured.append(
            SubtaskSnapshot(
                barrier.checkpoint_id,
                self.vertex.vertex_id,
                self.subtask_index,
                captured,
                streams,
                self._clock,
                start_delay_ms,
                alignment_ms,
                (self._clock.monotonic() - started) * 1000,
                in_flight,
                copies,
                self.preparation_ms,
            )
        )
        self.preparation_ms = 0.0

    def _fail_checkpoint(
        self, error: Exception, checkpoint_id: int, operator_id: bytes
    ) -> NoReturn:
        if isinstance(error, UserCodeError):
            raise error
        name = next(
            operator.context.name
            for operator in self.operators
            if operator.context.operator_id == operator_id
        )
        if isinstance(error, MillpondError):
            error.context.setdefault("operator", name)
            error.context.setdefault("checkpoint", checkpoint_id)
            raise error
        raise CheckpointDeclinedError(
            f"Could not perform checkpoint {checkpoint_id}: {error}.",
            operator=name,
            subtask=f"{self.subtask_index + 1}/{self.vertex.parallelism}",
        ) from error

    def notify_checkpoint_complete(self, checkpoint_id: int) -> None:
        """A checkpoint is complete."""
        for operator in self.operators:
            operator.notify_checkpoint_complete(checkpoint_id)
        for backend in self._backends:
            backend.notify_checkpoint_complete(checkpoint_id)

    def notify_checkpoint_aborted(self, checkpoint_id: int) -> None:
        """A checkpoint was given up."""
        for operator in self.operators:
            operator.notify_checkpoint_aborted(checkpoint_id)
        for backend in self._backends:
            backend.notify_checkpoint_aborted(checkpoint_id)

    def _broadcast(self, element: Element) -> None:
        for edge in self._edges:
            edge.broadcast(element)
