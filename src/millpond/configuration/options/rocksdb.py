"""Options of the RocksDB store: directories, profile, factory, timers, memory and transfer."""

from __future__ import annotations

import enum

from millpond.common.config_options import ConfigOptions
from millpond.common.option_range import at_least, positive, within_zero_and_one
from millpond.configuration.registered_option import (
    RegisteredOption,
    without_meaning,
    works,
)

__all__ = (
    "COMPACT_AFTER_RESCALE",
    "DELETE_FILES_IN_RANGE",
    "FIXED_MEMORY_PER_SLOT",
    "FIXED_MEMORY_PER_WORKER",
    "HIGH_PRIORITY_POOL_RATIO",
    "INGEST_AT_RESCALE",
    "LOCAL_DIRECTORIES",
    "MANAGED_MEMORY",
    "OPTIONS",
    "OPTIONS_FACTORY",
    "PARTITIONED_INDEX_FILTERS",
    "PREDEFINED_OPTIONS",
    "RESTORE_OVERLAP_FRACTION",
    "TIMER_CACHE_SIZE",
    "TIMER_STORE",
    "TRANSFER_THREADS",
    "WRITE_BATCH_SIZE",
    "WRITE_BUFFER_RATIO",
    "PredefinedOptions",
    "TimerStore",
)

_key = ConfigOptions.key
_PREFIX = "state.backend.rocksdb."


class PredefinedOptions(enum.Enum):
    """RocksDB option profiles for typical disks."""

    DEFAULT = 0
    SPINNING_DISK_OPTIMIZED = 1
    SPINNING_DISK_OPTIMIZED_HIGH_MEM = 2
    FLASH_SSD_OPTIMIZED = 3


class TimerStore(enum.Enum):
    """Where the timers of a RocksDB job live."""

    HEAP = 0
    ROCKSDB = 1


LOCAL_DIRECTORIES = (
    _key(_PREFIX + "localdir")
    .string_type()
    .no_default_value()
    .with_deprecated_keys(_PREFIX + "checkpointdir")
    .with_description("Absolute local directories for the databases, separated by `,` or `:`.")
)
TIMER_STORE = (
    _key(_PREFIX + "timer-service.factory")
    .enum_type(TimerStore)
    .default_value(TimerStore.ROCKSDB)
    .with_description("Where timers live.")
)
TIMER_CACHE_SIZE = positive(
    _key(_PREFIX + "timer-service.cache-size")
    .int_type()
    .default_value(128)
    .with_description("Timers of a key group that are held in memory ahead of their time.")
)
TRANSFER_THREADS = positive(
    _key(_PREFIX + "checkpoint.transfer.thread.num")
    .int_type()
    .default_value(4)
    .with_description("Threads of one database that copy files to and from checkpoints.")
)
PREDEFINED_OPTIONS = (
    _key(_PREFIX + "predefined-options")
    .enum_type(PredefinedOptions, exact=True)
    .default_value(PredefinedOptions.DEFAULT)
    .with_description("The option profile, in upper case.")
)
OPTIONS_FACTORY = (
    _key(_PREFIX + "options-factory")
    .string_type()
    .no_default_value()
    .with_description("Import path of a RocksDBOptionsFactory, applied after the profile.")
)
MANAGED_MEMORY = (
    _key(_PREFIX + "memory.managed")
    .boolean_type()
    .default_value(True)
    .with_description("Take cache and write buffers from the slot's managed memory.")
)
FIXED_MEMORY_PER_SLOT = positive(
    _key(_PREFIX + "memory.fixed-per-slot")
    .memory_type()
    .no_default_value()
    .with_description("Memory of all databases of a slot; wins over managed memory.")
)
FIXED_MEMORY_PER_WORKER = positive(
    _key(_PREFIX + "memory.fixed-per-tm")
    .memory_type()
    .no_default_value()
    .with_description("Memory of all databases of a worker, if neither of the others is on.")
)
WRITE_BUFFER_RATIO = within_zero_and_one(
    _key(_PREFIX + "memory.write-buffer-ratio")
    .double_type()
    .default_value(0.5)
    .with_description("Share of the memory for write buffers.")
)
HIGH_PRIORITY_POOL_RATIO = within_zero_and_one(
    _key(_PREFIX + "memory.high-prio-pool-ratio")
    .double_type()
    .default_value(0.1)
    .with_description(
        "Share of the cache for index and filter blocks. With the write buffer ratio w, "
        "2w / (3 - w) plus this must be less than 1."
    )
)
PARTITIONED_INDEX_FILTERS = (
    _key(_PREFIX + "memory.partitioned-index-filters")
    .boolean_type()
    .default_value(False)
    .with_description("Split index and filter blocks in two levels and pin the upper one.")
)
WRITE_BATCH_SIZE = at_least(
    _key(_PREFIX + "write-batch-size")
    .memory_type()
    .default_value(2 * 1024**2)
    .with_description("Bytes of one write batch; 0: only the number of entries counts."),
    0,
)
RESTORE_OVERLAP_FRACTION = (
    _key(_PREFIX + "restore-overlap-fraction-threshold")
    .double_type()
    .default_value(0.0)
    .with_description("Share of key groups a handle must cover to become the base of a rescale.")
    .with_constraint("from 0 to 1", lambda value: 0 <= value <= 1)
)
INGEST_AT_RESCALE = (
    _key(_PREFIX + "use-ingest-db-restore-mode")
    .boolean_type()
    .default_value(False)
    .with_description("Rescale by exporting and ingesting files.")
)
DELETE_FILES_IN_RANGE = (
    _key(_PREFIX + "rescaling.use-delete-files-in-range")
    .boolean_type()
    .default_value(False)
    .with_description("Drop whole files of foreign key groups at rescale.")
)
COMPACT_AFTER_RESCALE = (
    _key(_PREFIX + "incremental-restore-async-compact-after-rescale")
    .boolean_type()
    .default_value(False)
    .with_description("Compact foreign key groups away after a rescale.")
)
_NO_COMPACTION_FILTER = (
    "RocksDB's Python binding has no compaction filter; expired state is cleaned by access, by "
    "full snapshots and incrementally"
)

OPTIONS: tuple[RegisteredOption, ...] = (
    works(LOCAL_DIRECTORIES, "databases are spread over them in turn"),
    works(TIMER_STORE, "the timer queues of a RocksDB job"),
    works(TIMER_CACHE_SIZE, "head cache of a RocksDB timer queue", since="1.17"),
    works(TRANSFER_THREADS, "copies of SST files run in parallel", default_in_1_12="1"),
    works(PREDEFINED_OPTIONS, "first layer of the options of every database"),
    works(
        OPTIONS_FACTORY,
        "changes the options after profile and configuration",
        default_in_1_12="DefaultConfigurableOptionsFactory",
    ),
    works(MANAGED_MEMORY, "one cache and one write buffer manager a slot"),
    works(FIXED_MEMORY_PER_SLOT, "size of that cache, instead of managed memory"),
    works(FIXED_MEMORY_PER_WORKER, "one cache for the whole worker", since="1.17"),
    works(WRITE_BUFFER_RATIO, "capacities of cache and write buffer manager"),
    works(HIGH_PRIORITY_POOL_RATIO, "checked with the write buffer ratio; see docs/rocksdb.md"),
    works(PARTITIONED_INDEX_FILTERS, "two-level index and filters", since="1.13"),
    works(WRITE_BATCH_SIZE, "write batches of flush and restore"),
    works(RESTORE_OVERLAP_FRACTION, "choice of the base at rescale", since="1.17"),
    works(
        INGEST_AT_RESCALE,
        "no base: own rows of all databases go to sorted files, which a new one takes in",
        since="1.19",
    ),
    works(
        DELETE_FILES_IN_RANGE,
        "foreign key groups of the base are compacted away during the restore: the binding "
        "cannot delete whole files",
        since="1.17",
    ),
    works(COMPACT_AFTER_RESCALE, "the same in the background, after the restore", since="1.19"),
    without_meaning(
        _key(_PREFIX + "compaction.filter.query-time-after-num-entries")
        .long_type()
        .default_value(1000),
        _NO_COMPACTION_FILTER,
        since="2.0",
    ),
    without_meaning(
        _key(_PREFIX + "compaction.filter.periodic-compaction-time")
        .duration_type()
        .default_value(30 * 86_400_000),
        _NO_COMPACTION_FILTER,
        since="2.0",
    ),
)
