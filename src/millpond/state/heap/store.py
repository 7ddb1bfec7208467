"""`HeapStateStore`: keyed state as Python objects, for every backend that keeps it in memory."""

from __future__ import annotations

from typing import final

from millpond.state.contract.keyed_backend import KeyedBackendParameters, StateStore
from millpond.state.heap.backend import HeapKeyedStateBackend

__all__ = ("HeapStateStore",)

_COMPRESSION = "execution.checkpointing.snapshot-compression"


@final
class HeapStateStore(StateStore):
    """Makes heap backends; they share nothing.

    Snapshots are written by the background thread unless `asynchronous` is false: then the task
    thread waits until they are. `compressed`, or Flink's option of that name, compresses by Snappy.
    `incremental` backends remember which keys change, so that a checkpoint that may be incremental
    writes these alone.
    """

    def __init__(
        self, *, asynchronous: bool = True, compressed: bool = False, incremental: bool = False
    ) -> None:
        self._asynchronous = asynchronous
        self._compressed = compressed
        self._incremental = incremental

    def create_keyed_backend(self, parameters: KeyedBackendParameters) -> HeapKeyedStateBackend:
        """Make the backend of one subtask; see `StateStore.create_keyed_backend`."""
        option = parameters.configuration.get(_COMPRESSION, "false")
        return HeapKeyedStateBackend(
            parameters,
            asynchronous=self._asynchronous,
            compressed=self._compressed or option.strip().lower() == "true",
            incremental=self._incremental,
        )
