"""`DatabaseSettings` and `ColumnFamilySettings`: RocksDB settings as plain values.

They are what an options factory gets and returns, hence not frozen; nothing changes them once a
database is open.
"""

from __future__ import annotations

from dataclasses import dataclass
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
)

_MIB: Final = 1024 * 1024
_MIN_WRITE_BUFFER_BYTES: Final = 64 * 1024
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
            "write_buffer_size": str(max(self.write_buffer_size_bytes, _MIN_WRITE_BUFFER_BYTES)),
            "block_size": str(self.block_size_bytes),
            "filter_policy": "nullptr" if self.bloom_bits_per_key is None else "bloomfilter",
        }
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
