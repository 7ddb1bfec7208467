"""How much memory RocksDB gets, and how it is divided between cache and write buffers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from millpond.configuration.options import memory, rocksdb
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from millpond.common.configuration import Configuration

__all__ = (
    "DEFAULT_MANAGED_MEMORY_BYTES",
    "MemorySharing",
    "RocksDBMemory",
    "check_ratios",
    "managed_memory_bytes",
    "managed_memory_fraction",
    "rocksdb_memory",
)

# Flink's local cluster gives a worker this much where nothing is set.
DEFAULT_MANAGED_MEMORY_BYTES = 128 * 1024**2


class MemorySharing(enum.StrEnum):
    """Which databases share one cache and one write buffer manager."""

    SLOT = "slot"
    WORKER = "worker"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class RocksDBMemory:
    """The memory of RocksDB; without sharing, `total_bytes` is 0 and RocksDB's defaults apply."""

    sharing: MemorySharing
    total_bytes: int
    write_buffer_ratio: float
    high_priority_pool_ratio: float
    uses_partitioned_index_filters: bool

    @property
    def cache_bytes(self) -> int:
        """Capacity of the shared cache (RocksDBMemoryControllerUtils)."""
        return int((3 - self.write_buffer_ratio) * self.total_bytes / 3)

    @property
    def write_buffer_manager_bytes(self) -> int:
        """Capacity of the write buffer manager; memtables may overshoot it by half."""
        return int(2 * self.total_bytes * self.write_buffer_ratio / 3)


def rocksdb_memory(
    configuration: Configuration,
    *,
    uses_python: bool = True,
    default_total_bytes: int | None = None,
) -> RocksDBMemory:
    """Resolve the memory options by Flink's rules (RocksDBMemoryConfiguration).

    Fixed memory a slot wins, then managed memory, then fixed memory a worker.

    Args:
        configuration: the effective configuration.
        uses_python: whether user code gets its weighted share of managed memory.
        default_total_bytes: the worker's memory if no option names it.

    Raises:
        ConfigurationError: the ratios do not fit together, or weights give RocksDB nothing.
    """
    ratio, pool = check_ratios(configuration)
    sharing, total = MemorySharing.NONE, 0
    per_slot = configuration.get(rocksdb.FIXED_MEMORY_PER_SLOT)
    per_worker = configuration.get(rocksdb.FIXED_MEMORY_PER_WORKER)
    if per_slot is not None:
        sharing, total = MemorySharing.SLOT, per_slot
    elif configuration.get(rocksdb.MANAGED_MEMORY):
        slots = configuration.get(memory.NUMBER_OF_SLOTS)
        share = managed_memory_fraction(configuration, uses_python=uses_python)
        managed = managed_memory_bytes(configuration, default_total_bytes)
        sharing, total = MemorySharing.SLOT, int(managed // slots * share)
        if total == 0:
            raise ConfigurationError(
                "RocksDB's share of the managed memory is 0 bytes.",
                hint=f"Raise '{memory.MANAGED_MEMORY_SIZE.key}' or the weight STATE_BACKEND in "
                f"'{memory.CONSUMER_WEIGHTS.key}', or set '{rocksdb.MANAGED_MEMORY.key}' to false.",
                option=(memory.CONSUMER_WEIGHTS if managed else memory.MANAGED_MEMORY_SIZE).key,
            )
    elif per_worker is not None:
        sharing, total = MemorySharing.WORKER, per_worker
    return RocksDBMemory(
        sharing, total, ratio, pool, configuration.get(rocksdb.PARTITIONED_INDEX_FILTERS)
    )


def managed_memory_bytes(
    configuration: Configuration, default_total_bytes: int | None = None
) -> int:
    """Return the managed memory of the worker in bytes.

    The size wins; else the fraction of the named total, or of `default_total_bytes`; else 128 MiB.
    """
    size = configuration.get(memory.MANAGED_MEMORY_SIZE)
    if size is not None:
        return size
    total = configuration.get(memory.FLINK_MEMORY_SIZE)
    if total is None:
        total = configuration.get(memory.PROCESS_MEMORY_SIZE)
    if total is None:
        total = default_total_bytes
    if total is None:
        return DEFAULT_MANAGED_MEMORY_BYTES
    return int(total * Decimal(str(configuration.get(memory.MANAGED_MEMORY_FRACTION))))


def managed_memory_fraction(configuration: Configuration, *, uses_python: bool = True) -> Decimal:
    """Return the state backend's share of a slot, by the consumer weights, to 16 decimals.

    Only kinds of consumers that the slot has count; 1.12's ``DATAPROC`` stands for the state
    backend where that has no weight itself.
    """
    weights = configuration.get(memory.CONSUMER_WEIGHTS)
    own = Decimal(weights.get("STATE_BACKEND", weights.get("DATAPROC", "0")))
    other = Decimal(weights.get("PYTHON", "0")) if uses_python else Decimal(0)
    if own + other == 0:
        return Decimal(0)
    return (own / (own + other)).quantize(Decimal(1).scaleb(-16), rounding=ROUND_DOWN)


def check_ratios(configuration: Configuration) -> tuple[float, float]:
    """Return write buffer ratio and high priority pool ratio after checking their sum.

    Raises:
        ConfigurationError: together they leave nothing of the cache.
    """
    ratio = configuration.get(rocksdb.WRITE_BUFFER_RATIO)
    pool = configuration.get(rocksdb.HIGH_PRIORITY_POOL_RATIO)
    if 2 * ratio / (3 - ratio) + pool >= 1:
        raise ConfigurationError(
            f"Write buffers ({ratio}) and the high priority pool ({pool}) leave nothing of the "
            f"cache: 2w / (3 - w) + h must be less than 1 and is "
            f"{2 * ratio / (3 - ratio) + pool:.3f}.",
            hint=f"Lower '{rocksdb.WRITE_BUFFER_RATIO.key}' or "
            f"'{rocksdb.HIGH_PRIORITY_POOL_RATIO.key}'.",
            option=rocksdb.WRITE_BUFFER_RATIO.key,
        )
    return ratio, pool
