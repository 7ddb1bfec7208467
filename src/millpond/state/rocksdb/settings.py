"""`DatabaseSettings` and `ColumnFamilySettings`: RocksDB settings as plain values.

They are what an options factory gets and returns, hence not frozen; nothing changes them once a
database is open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from millpond.configuration.options.rocksdb_column_family import (
    CompactionStyle,
    CompressionType,
    InfoLogLevel,
)

__all__ = (
    "ColumnFamilySettings",
    "CompactionStyle",
    "CompressionType",
    "DatabaseSettings",
    "InfoLogLevel",
    "ReadSettings",
    "WriteSettings",
)

_MIB: Final = 1024 * 1024
_MIN_WRITE_BUFFER_BYTES: Final = 64 * 1024
_MAX_WRITE_BUFFER_BYTES: Final = 64 * 1024 * _MIB
_STYLES: Final = {
    CompactionStyle.LEVEL: "Level",
    CompactionStyle.UNIVERSAL: "Universal",
    CompactionStyle.FIFO: "FIFO",
}


@dataclass(slots=True)
class ColumnFamilySettings:
    """Settings of one column family; the defaults are those of Flink's RocksDB, not of ours.

    `arena_block_size_bytes` of 0 leaves the choice to RocksDB. `block_cache_size_bytes` counts
    only while no memory is shared. `bloom_bits_per_key` of None means no filter. `compression` is
    one type for all levels or one a level.
    """

    compaction_style: CompactionStyle = CompactionStyle.LEVEL
    dynamic_level_size: bool = False
    target_file_size_bytes: int = 64 * _MIB
    level_base_size_bytes: int = 256 * _MIB
    write_buffer_size_bytes: int = 64 * _MIB
    write_buffer_count: int = 2
    write_buffers_to_merge: int = 1
    arena_block_size_bytes: int = 0
    block_size_bytes: int = 4096
    metadata_block_size_bytes: int = 4096
    block_cache_size_bytes: int = 8 * _MIB
    bloom_bits_per_key: float | None = None
    bloom_block_based: bool = False
    compression: tuple[CompressionType, ...] = (CompressionType.SNAPPY_COMPRESSION,)
    partitioned_index_filters: bool = False

    def has_upper_filters(self, *, shared_memory: bool) -> bool:
        """Return whether all levels but the last one have filters though nobody asked for any.

        They are in the shared cache, so that they count; without one they would not be bounded.
        """
        unasked = self.bloom_bits_per_key is None and not self.partitioned_index_filters
        return shared_memory and unasked

    def expected_effective(self, *, shared_memory: bool) -> dict[str, str]:
        """Return what RocksDB must report for these settings, by its own option names.

        Only values that RocksDB takes over as they are; checked after every opening, because a
        family that is reopened without its options silently falls back to other ones.
        """
        style = _STYLES[self.compaction_style]
        expected = {
            "compaction_style": f"kCompactionStyle{style}",
            "target_file_size_base": str(self.target_file_size_bytes),
            "max_bytes_for_level_base": str(self.level_base_size_bytes),
            "write_buffer_size": str(
                min(
                    max(self.write_buffer_size_bytes, _MIN_WRITE_BUFFER_BYTES),
                    _MAX_WRITE_BUFFER_BYTES,
                )
            ),
            # RocksDB itself sees to two buffers, and to one that takes writes while others merge.
            "max_write_buffer_number": str(max(2, self.write_buffer_count)),
            "min_write_buffer_number_to_merge": str(
                min(self.write_buffers_to_merge, max(2, self.write_buffer_count) - 1)
            ),
            "level_compaction_dynamic_level_bytes": str(
                self.dynamic_level_size and self.compaction_style is CompactionStyle.LEVEL
            ).lower(),
            "block_size": str(self.block_size_bytes),
            "metadata_block_size": str(self.metadata_block_size_bytes),
            "filter_policy": "nullptr" if self.bloom_bits_per_key is None else "bloomfilter",
        }
        if self.has_upper_filters(shared_memory=shared_memory):
            expected["filter_policy"] = "bloomfilter"
            expected["optimize_filters_for_hits"] = "true"
        if shared_memory:
            expected["cache_index_and_filter_blocks"] = "true"
            expected["cache_index_and_filter_blocks_with_high_priority"] = "true"
            expected["pin_l0_filter_and_index_blocks_in_cache"] = "true"
        if self.arena_block_size_bytes:
            expected["arena_block_size"] = str(self.arena_block_size_bytes)
        if shared_memory and self.partitioned_index_filters:
            expected["index_type"] = "kTwoLevelIndexSearch"
        return expected


@dataclass(slots=True)
class ReadSettings:
    """How rows are read.

    `readahead_bytes` of 0 lets RocksDB choose while it iterates.
    """

    verify_checksums: bool = True
    readahead_bytes: int = 0
    asynchronous: bool = False


@dataclass(slots=True)
class WriteSettings:
    """How batches are written; there is never a write-ahead log.

    With `low_priority` writes give way to compaction.
    """

    low_priority: bool = False
    hints_inserts: bool = False


@dataclass(slots=True)
class DatabaseSettings:
    """Settings of one database; the defaults are Flink's."""

    background_jobs: int = 2
    open_files: int = -1
    log_level: InfoLogLevel = InfoLogLevel.INFO_LEVEL
    log_max_file_size_bytes: int = 25 * _MIB
    log_file_count: int = 4
    log_directory: str | None = None
    write_batch_size_bytes: int = 2 * _MIB
    statistics: bool = False
    read: ReadSettings = field(default_factory=ReadSettings)
    write: WriteSettings = field(default_factory=WriteSettings)

    def expected_effective(self) -> dict[str, str]:
        """Return what RocksDB must report for these settings, by its own option names."""
        expected = {
            "max_background_jobs": str(self.background_jobs),
            "info_log_level": self.log_level.name,
            "max_log_file_size": str(self.log_max_file_size_bytes),
            "keep_log_file_num": str(self.log_file_count),
            "avoid_flush_during_shutdown": "true",
        }
        if self.open_files == -1:
            # Any other number is clipped to what RocksDB needs and the process may open.
            expected["max_open_files"] = "-1"
        if self.log_directory is not None:
            expected["db_log_dir"] = self.log_directory
        return expected
