"""The collecting operator: hands results to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.common.typeinfo import Types
from millpond.datastream.state import ListStateDescriptor
from millpond.operators.operator import Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.operators.batch import Batch

__all__ = ("CollectOperator",)

_SENT = ListStateDescriptor("results-sent", Types.LONG())
_HELD_BACK = ListStateDescriptor("results-held-back", Types.PICKLED_BYTE_ARRAY())


@final
class CollectOperator(Operator):
    """Sends results on; with checkpointing only those that a complete checkpoint covers.

    A restarted job then repeats none. Results that wait for their checkpoint are part of it
    (Flink's CollectSinkFunction): the worker may die between its completion and the news of it.
    Results are sent with the number of those before, so that the client can drop repeated ones.
    """

    def __init__(self, send: Callable[[int, Sequence[Any]], None]) -> None:
        self._send_on = send
        self._sent = 0
        self._values: list[Any] = []
        self._pending: list[tuple[int, list[Any]]] = []

    def initialize_state(self) -> None:
        state = self.context.operator_state
        self._sent_state = state.get_list_state(_SENT)
        self._held_back_state = state.get_list_state(_HELD_BACK)
        self._sent = max(self._sent_state.get(), default=0)
        # The snapshot they stand in is complete, or it would not have been restored.
        self._send(list(self._held_back_state.get()))

    def process_batch(self, batch: Batch) -> None:
        if self.context.checkpointing_enabled:
            self._values.extend(batch.values)
        else:
            self._send(batch.values)

    def snapshot_state(self, checkpoint_id: int, timestamp_ms: int) -> None:
        self._pending.append((checkpoint_id, self._values))
        self._values = []
        self._sent_state.update([self._sent])
        self._held_back_state.update([value for _, each in self._pending for value in each])

    def notify_checkpoint_complete(self, checkpoint_id: int) -> None:
        for number, values in self._pending:
            if number <= checkpoint_id:
                self._send(values)
        self._pending = [entry for entry in self._pending if entry[0] > checkpoint_id]

    def _send(self, values: Sequence[Any]) -> None:
        if values:
            self._send_on(self._sent, values)
            self._sent += len(values)
