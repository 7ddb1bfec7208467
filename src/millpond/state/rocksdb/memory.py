"""`StoreMemory`: the memory that all databases of a slot share, and how small budgets are kept.

The division between cache and write buffers is Flink's (RocksDBMemoryControllerUtils). The cache of
decoded objects in front counts towards the same budget, which Flink does not have: it takes a
share of the block cache's part. `SlotMemories` says who shares with whom.
"""

from __future__ import annotations

import logging
import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Final, final

from millpond.configuration.rocksdb_memory import MemorySharing, RocksDBMemory
from millpond.state.rocksdb.database import SharedBuffers

if TYPE_CHECKING:
    from millpond.state.rocksdb.settings import ColumnFamilySettings

__all__ = ("SlotMemories", "StoreMemory", "arena_fits", "mutable_limit_bytes")

_logger = logging.getLogger("millpond.state.rocksdb")

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_OBJECT_SHARE: Final = 0.5
_UNSHARED_OBJECT_BYTES: Final = 32 * _MIB
_SMALLEST_WRITE_BUFFER: Final = 64 * _KIB
_SMALLEST_ARENA: Final = 4 * _KIB
_FAMILIES_PER_DATABASE: Final = 4


def mutable_limit_bytes(write_buffer_manager_bytes: int) -> int:
    """Return how much memtables that take writes may hold before one is flushed."""
    return write_buffer_manager_bytes * 7 // 8


def arena_fits(arena_block_bytes: int, write_buffer_manager_bytes: int) -> bool:
    """Tell whether an arena block does not exceed the limit alone, so that writes do not flush."""
    return arena_block_bytes <= mutable_limit_bytes(write_buffer_manager_bytes)


@final
class StoreMemory:
    """The memory of one slot: a block cache, a write buffer manager and a budget for objects.

    Attributes:
        memory: the sizes and ratios.
        buffers: what RocksDB shares; None where each column family has its own.
        object_bytes: what the decoded objects of all backends together may take, estimated.
    """

    def __init__(self, memory: RocksDBMemory) -> None:
        self.memory = memory
        self._backends = 0
        self.buffers: SharedBuffers | None = None
        self.object_bytes = _UNSHARED_OBJECT_BYTES
        if memory.sharing is not MemorySharing.NONE:
            # Write buffers are charged to the cache; what is left of it is shared with objects.
            free = memory.cache_bytes - memory.write_buffer_manager_bytes
            self.object_bytes = int(free * _OBJECT_SHARE)
            self.buffers = SharedBuffers(
                memory.cache_bytes - self.object_bytes, memory.write_buffer_manager_bytes
            )

    def adapt(self, settings: ColumnFamilySettings) -> ColumnFamilySettings:
        """Return the settings of a column family with what shared memory demands.

        Write buffers shrink to a part of the write buffer manager's capacity: with the usual
        64 MiB a small budget would be exceeded by every family's first arena block alone.
        """
        memory = self.memory
        if self.buffers is None:
            return settings
        limit = memory.write_buffer_manager_bytes // _FAMILIES_PER_DATABASE
        write_buffer = max(_SMALLEST_WRITE_BUFFER, min(settings.write_buffer_size_bytes, limit))
        arena = settings.arena_block_size_bytes
        if not arena:
            # RocksDB's own choice is an eighth, at most 1 MiB; blocks are allocated whole.
            arena = max(_SMALLEST_ARENA, min(_MIB, write_buffer // 64) // 4096 * 4096)
        elif not arena_fits(arena, memory.write_buffer_manager_bytes):
            _logger.warning(
                "RocksDB's arena blocks of %d bytes are larger than %d, what its write buffers "
                "may hold before they are written out: every block causes a flush. Give it more "
                "memory or smaller arena blocks.",
                arena,
                mutable_limit_bytes(memory.write_buffer_manager_bytes),
            )
        return replace(
            settings,
            write_buffer_size_bytes=write_buffer,
            arena_block_size_bytes=arena,
            partitioned_index_filters=memory.uses_partitioned_index_filters,
        )

    @property
    def backends(self) -> int:
        """How many backends share the objects' budget."""
        return self._backends

    def register_backend(self) -> None:
        """Count a backend that shares the objects' budget."""
        self._backends += 1

    def release_backend(self) -> None:
        """Count a backend less."""
        self._backends -= 1

    def object_bytes_per_backend(self) -> int:
        """Return one backend's part of the objects' budget."""
        return self.object_bytes // max(1, self._backends)


# The memory of `fixed-per-tm`: one a process, for as long as any store uses it.
_worker_memory: weakref.ref[StoreMemory] | None = None
_worker_lock = threading.Lock()


@final
class SlotMemories:
    """Gives every subtask the memory of its slot (RocksDBSharedResourcesFactory).

    With memory a slot, subtask number i is in slot i modulo the number of slots, and each slot has
    a cache of its own. With memory a worker all stores of the process share one, across jobs. What
    nobody uses any more is freed.
    """

    def __init__(self, memory: RocksDBMemory, slots: int = 1) -> None:
        self._memory = memory
        self._slots = slots
        self._made: dict[int, StoreMemory] = {}

    def of_subtask(self, index: int) -> StoreMemory:
        """Return the memory of a subtask's slot, made at the first request."""
        sharing = self._memory.sharing
        slot = index % self._slots if sharing is MemorySharing.SLOT else 0
        found = self._made.get(slot)
        if found is None:
            is_worker = sharing is MemorySharing.WORKER
            found = _of_worker(self._memory) if is_worker else StoreMemory(self._memory)
            self._made[slot] = found
        return found

    def close(self) -> None:
        """Let go of all; backends that are still open keep theirs."""
        self._made.clear()


def _of_worker(memory: RocksDBMemory) -> StoreMemory:
    global _worker_memory  # noqa: PLW0603 - the one thing that a process has once
    with _worker_lock:
        found = None if _worker_memory is None else _worker_memory()
        if found is None:
            found = StoreMemory(memory)
            _worker_memory = weakref.ref(found)
        elif found.memory != memory:
            _logger.warning(
                "state.backend.rocksdb.memory.fixed-per-tm is shared by the whole process, and "
                "another job of it made %d bytes of it with other settings first; those stay.",
                found.memory.total_bytes,
            )
        return found
