"""The collecting operator: hands results to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from millpond.operators.operator import Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.operators.batch import Batch

__all__ = ("CollectOperator",)


@final
class CollectOperator(Operator):
    """Sends results on; with checkpointing only those that a complete checkpoint covers.

    A restarted job then repeats none (Flink's CollectSinkFunction). Results that are held back are
    lost with the attempt, and made again by the next.
    """

    def __init__(self, send: Callable[[Sequence[Any]], None]) -> None:
        self._send = send
        self._values: list[Any] = []
        self._pending: list[tuple[int, list[Any]]] = []

    def process_batch(self, batch: Batch) -> None:
        if self.context.checkpointing_enabled:
            self._values.extend(batch.values)
        elif batch.values:
            self._send(batch.values)

    def snapshot_state(self, checkpoint_id: int, timestamp_ms: int) -> None:
        self._pending.append((checkpoint_id, self._values))
        self._values = []

    def notify_checkpoint_complete(self, checkpoint_id: int) -> None:
        for number, values in self._pending:
            if number <= checkpoint_id and values:
                self._send(values)
        self._pending = [entry for entry in self._pending if entry[0] > checkpoint_id]
