"""`DatabaseSettings` and `ColumnFamilySettings` as option objects of the binding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from millpond.state.rocksdb.options_file import options_from_file
from millpond.state.rocksdb.settings import CompactionStyle, CompressionType

if TYPE_CHECKING:
    from millpond.state.rocksdb.database import SharedBuffers
    from millpond.state.rocksdb.settings import ColumnFamilySettings, DatabaseSettings

__all__ = ("NO_MORE_FILTERS", "UPPER_FILTER_BITS", "column_family_options", "database_options")

UPPER_FILTER_BITS: Final = 10
"""Bits a key of the filters that all levels but the last one have (decision 0108)."""

NO_MORE_FILTERS: Final = {"block_based_table_factory": "{filter_policy=nullptr}"}
"""What an open family is told so that new files have no filter."""

_MEMTABLE_FILTER_SHARE: Final = 0.02


def database_options(
    binding: Any,
    settings: DatabaseSettings,
    default: ColumnFamilySettings,
    buffers: SharedBuffers | None,
) -> Any:
    """Return options to open a database with; `default` is for the default family."""
    options = options_from_file(binding, settings.log_level)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_stats_dump_period_sec(0)
    options.set_max_background_jobs(settings.background_jobs)
    options.set_max_open_files(settings.open_files)
    options.set_max_log_file_size(settings.log_max_file_size_bytes)
    options.set_keep_log_file_num(settings.log_file_count)
    if settings.log_directory is not None:
        options.set_db_log_dir(settings.log_directory)
    if settings.statistics:
        options.enable_statistics()
    _apply(binding, options, default, buffers)
    if buffers is not None:
        options.set_write_buffer_manager(buffers.write_buffer_manager)
    return options


def column_family_options(
    binding: Any, settings: ColumnFamilySettings, buffers: SharedBuffers | None
) -> Any:
    """Return options of one family."""
    options = binding.Options(raw_mode=True)
    _apply(binding, options, settings, buffers)
    return options


def _apply(
    binding: Any, options: Any, settings: ColumnFamilySettings, buffers: SharedBuffers | None
) -> None:
    styles = binding.DBCompactionStyle
    style = {
        CompactionStyle.LEVEL: styles.level,
        CompactionStyle.UNIVERSAL: styles.universal,
        CompactionStyle.FIFO: styles.fifo,
    }[settings.compaction_style]
    options.set_compaction_style(style())
    options.set_level_compaction_dynamic_level_bytes(settings.dynamic_level_size)
    options.set_target_file_size_base(settings.target_file_size_bytes)
    options.set_max_bytes_for_level_base(settings.level_base_size_bytes)
    options.set_write_buffer_size(settings.write_buffer_size_bytes)
    options.set_max_write_buffer_number(settings.write_buffer_count)
    options.set_min_write_buffer_number_to_merge(settings.write_buffers_to_merge)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(_MEMTABLE_FILTER_SHARE)
    options.set_optimize_filters_for_hits(
        settings.has_upper_filters(shared_memory=buffers is not None)
    )
    if settings.arena_block_size_bytes:
        options.set_arena_block_size(settings.arena_block_size_bytes)
    types = [_compression(binding, compression) for compression in settings.compression]
    if len(types) == 1:
        options.set_compression_type(types[0])
    else:
        options.set_compression_per_level(types)
    options.set_block_based_table_factory(_table(binding, settings, buffers))


def _table(binding: Any, settings: ColumnFamilySettings, buffers: SharedBuffers | None) -> Any:
    table = binding.BlockBasedOptions()
    table.set_block_size(settings.block_size_bytes)
    table.set_metadata_block_size(settings.metadata_block_size_bytes)
    bloom_bits, block_based = settings.bloom_bits_per_key, settings.bloom_block_based
    if buffers is None:
        table.set_block_cache(binding.Cache(settings.block_cache_size_bytes))
    else:
        table.set_block_cache(buffers.cache)
        table.set_cache_index_and_filter_blocks(True)
        table.set_pin_l0_filter_and_index_blocks_in_cache(True)
        if settings.partitioned_index_filters:
            table.set_index_type(binding.BlockBasedIndexType.two_level_index_search())
            table.set_partition_filters(True)
            table.set_pin_top_level_index_and_filter(True)
            if bloom_bits is not None:
                bloom_bits, block_based = 10.0, False
    if settings.has_upper_filters(shared_memory=buffers is not None):
        bloom_bits = float(UPPER_FILTER_BITS)
    if bloom_bits is not None:
        table.set_bloom_filter(bloom_bits, block_based)
    return table


def _compression(binding: Any, compression: CompressionType) -> Any:
    types = binding.DBCompressionType
    return {
        CompressionType.NO_COMPRESSION: types.none,
        CompressionType.SNAPPY_COMPRESSION: types.snappy,
        CompressionType.ZLIB_COMPRESSION: types.zlib,
        CompressionType.BZLIB2_COMPRESSION: types.bz2,
        CompressionType.LZ4_COMPRESSION: types.lz4,
        CompressionType.LZ4HC_COMPRESSION: types.lz4hc,
        CompressionType.ZSTD_COMPRESSION: types.zstd,
    }[compression]()
