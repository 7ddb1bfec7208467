"""The sink operator: writes batches and commits them when their checkpoint is complete."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, final

import msgspec

from millpond.common.typeinfo import Types
from millpond.datastream.connectors.sink import Committable, SinkWriterContext, WritesColumns
from millpond.datastream.state import ListStateDescriptor
from millpond.errors import MillpondError
from millpond.operators.columnar_batch import ColumnarBatch
from millpond.operators.operator import Operator, user_code_error

if TYPE_CHECKING:
    from millpond.datastream.operator_spec import SinkSpec
    from millpond.operators.batch import Batch

__all__ = ("SinkOperator",)

_BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
_WRITER_STATES = ListStateDescriptor("sink-writer-states", _BYTES)
_logger = logging.getLogger(__name__)
_TRIES = 3
"""How often a STREAMING job without checkpoints tries its last commit: nobody else repeats it."""

_COMMITTABLES = ListStateDescriptor("sink-committables", _BYTES)


@final
class SinkOperator(Operator):
    """Writes to a sink; exactly once where the sink has two phases.

    Flink's SinkWriterOperator and CommitterOperator in one.
    """

    def __init__(self, spec: SinkSpec) -> None:
        self._sink = spec.sink
        self._writer: Any = None
        self._pending: list[tuple[int, list[Committable]]] = []
        self._last: list[Committable] = []
        self._end_of_input = False

    def initialize_state(self) -> None:
        state = self.context.operator_state
        self._writer_states = state.get_list_state(_WRITER_STATES)
        self._committables = state.get_list_state(_COMMITTABLES)
        self._restored = [msgspec.msgpack.decode(data) for data in self._writer_states.get()]
        restored = [msgspec.msgpack.decode(data) for data in self._committables.get()]
        # The snapshot they stand in is complete, or it would not have been restored.
        self._commit(restored)
        self._committables.update([])

    def open(self) -> None:
        context = self.context
        self._writer = self._sink.create_writer(
            SinkWriterContext(
                job_id=context.job_id,
                subtask_index=context.subtask_index,
                parallelism=context.parallelism,
                attempt=context.attempt,
                clock=context.clock,
                restored_checkpoint_id=context.restored_checkpoint_id,
                checkpointing_enabled=context.checkpointing_enabled,
            ),
            self._restored,
        )

    def process_batch(self, batch: Batch) -> None:
        if len(batch):
            try:
                if isinstance(batch, ColumnarBatch) and isinstance(self._writer, WritesColumns):
                    self._writer.write_columns(batch.columns)
                else:
                    self._writer.write(batch.values, batch.timestamps)
            except Exception as error:
                user_code_error(error, self.context, f"{type(self._sink).__name__}.write")

    def snapshot_state(self, checkpoint_id: int, timestamp_ms: int) -> None:
        committables = self._writer.prepare_commit(end_of_input=self._end_of_input)
        self._pending.append((checkpoint_id, committables))
        encode = msgspec.msgpack.encode
        self._writer_states.update([encode(s) for s in self._writer.snapshot(checkpoint_id)])
        self._committables.update([encode(c) for _, each in self._pending for c in each])

    def notify_checkpoint_complete(self, checkpoint_id: int) -> None:
        due = [c for number, each in self._pending if number <= checkpoint_id for c in each]
        self._commit(due)
        self._pending = [entry for entry in self._pending if entry[0] > checkpoint_id]

    def _commit(self, committables: list[Committable]) -> None:
        if committables:
            try:
                self._sink.commit(committables)
            except Exception as error:
                user_code_error(error, self.context, f"{type(self._sink).__name__}.commit")

    def finish(self) -> None:
        self._end_of_input = True
        if not self.context.checkpointing_enabled:
            # What a savepoint in passing prepared is held as well: nobody else commits it.
            held = [committable for _, each in self._pending for committable in each]
            self._pending = []
            self._last = [*held, *self._writer.prepare_commit(end_of_input=True)]

    def end_job(self) -> None:
        # Not in `finish`: another task may still fail, and the next attempt would repeat it all.
        last, self._last = self._last, []
        for tries_left in reversed(range(_TRIES)):
            try:
                self._commit(last)
            except MillpondError as error:
                if not tries_left:
                    raise
                _logger.warning("The last commit is tried again: %s", error)
            else:
                return

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
