"""Keyed-state backends without a job around them."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from millpond.clock import SystemClock
from millpond.common import Configuration, Types
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.key_group import KeyGroupRange
from millpond.state.contract.keyed_backend import (
    KeyedBackendParameters,
    KeyedStateBackend,
    StateStore,
)
from millpond.state.heap.store import HeapStateStore
from millpond.testing.memory_snapshots import MemorySnapshots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from millpond.formats.handles import KeyedHandle
    from millpond.state.contract.snapshot import SnapshotReader

__all__ = ("open_backend",)


@contextmanager
def open_backend(
    backend: str,
    managed_memory: str = "512m",
    reader: SnapshotReader | None = None,
    restored: Sequence[KeyedHandle] = (),
    *,
    incremental: bool = False,
) -> Iterator[KeyedStateBackend]:
    """Open the backend of one subtask that owns all 128 key groups; keys are LONG.

    Of `incremental` only the heap must know: it remembers which keys change.
    """
    with tempfile.TemporaryDirectory(prefix="millpond-bench-") as directory:
        store = _store(backend, managed_memory, incremental=incremental)
        try:
            yield store.create_keyed_backend(
                KeyedBackendParameters(
                    job_id="00" * 16,
                    operator_id=b"\x01" * 16,
                    operator_name="benchmark",
                    subtask_index=0,
                    key_serializer=key_serializer_for(Types.LONG()),
                    key_group_range=KeyGroupRange(0, 127),
                    max_parallelism=128,
                    clock=SystemClock(),
                    reader=reader or MemorySnapshots().reader(),
                    restored=restored,
                    local_directories=(Path(directory),),
                )
            )
        finally:
            store.close()


def _store(backend: str, managed_memory: str, *, incremental: bool) -> StateStore:
    if backend == "heap":
        return HeapStateStore(incremental=incremental)
    from millpond.state.rocksdb.store import RocksDBStateStore

    return RocksDBStateStore(
        Configuration.from_dict({"taskmanager.memory.managed.size": managed_memory})
    )
