"""Options of RocksDB's databases and column families.

Each default is what RocksDB itself has; only an option that is set changes anything, and it wins
over the profile.
"""

from __future__ import annotations

import enum

from millpond.common.config_options import ConfigOptions
from millpond.common.option_range import at_least, between, positive
from millpond.configuration.registered_option import RegisteredOption, without_meaning, works

__all__ = (
    "BLOCK_CACHE_SIZE",
    "BLOCK_SIZE",
    "BLOOM_FILTER",
    "BLOOM_FILTER_BITS_PER_KEY",
    "BLOOM_FILTER_BLOCK_BASED",
    "COMPACTION_STYLE",
    "COMPRESSIONS",
    "COMPRESSION_PER_LEVEL",
    "DYNAMIC_LEVEL_SIZE",
    "LOG_DIRECTORY",
    "LOG_FILE_COUNT",
    "LOG_LEVEL",
    "LOG_MAX_FILE_SIZE",
    "MAX_SIZE_LEVEL_BASE",
    "METADATA_BLOCK_SIZE",
    "OPEN_FILES",
    "OPTIONS",
    "TARGET_FILE_SIZE_BASE",
    "THREADS",
    "WRITE_BUFFER_COUNT",
    "WRITE_BUFFER_NUMBER_TO_MERGE",
    "WRITE_BUFFER_SIZE",
    "CompactionStyle",
    "CompressionType",
    "InfoLogLevel",
)

_key = ConfigOptions.key
_PREFIX = "state.backend.rocksdb."
# RocksDB refuses longer blocks, cuts write buffers to this and starts every thread at once.
_LONGEST_BLOCK = (1 << 32) - 1
_BLOCK_RANGE = "greater than 0 and less than 4 gb"
_LARGEST_WRITE_BUFFER = 64 << 30
_MOST_THREADS = 1024


class CompactionStyle(enum.Enum):
    """How RocksDB arranges its files."""

    LEVEL = 0
    UNIVERSAL = 1
    FIFO = 2
    NONE = 3


class CompressionType(enum.Enum):
    """Compression of RocksDB's blocks."""

    NO_COMPRESSION = 0
    SNAPPY_COMPRESSION = 1
    ZLIB_COMPRESSION = 2
    BZLIB2_COMPRESSION = 3
    LZ4_COMPRESSION = 4
    LZ4HC_COMPRESSION = 5
    XPRESS_COMPRESSION = 6
    ZSTD_COMPRESSION = 7
    DISABLE_COMPRESSION_OPTION = 127


COMPRESSIONS = frozenset(
    {
        CompressionType.NO_COMPRESSION,
        CompressionType.SNAPPY_COMPRESSION,
        CompressionType.ZLIB_COMPRESSION,
        CompressionType.BZLIB2_COMPRESSION,
        CompressionType.LZ4_COMPRESSION,
        CompressionType.LZ4HC_COMPRESSION,
        CompressionType.ZSTD_COMPRESSION,
    }
)


class InfoLogLevel(enum.Enum):
    """What RocksDB writes to its own log."""

    DEBUG_LEVEL = 0
    INFO_LEVEL = 1
    WARN_LEVEL = 2
    ERROR_LEVEL = 3
    FATAL_LEVEL = 4
    HEADER_LEVEL = 5
    NUM_INFO_LOG_LEVELS = 6


THREADS = between(
    _key(_PREFIX + "thread.num")
    .int_type()
    .default_value(2)
    .with_description("Background threads for flush and compaction."),
    1,
    _MOST_THREADS,
)
OPEN_FILES = (
    _key(_PREFIX + "files.open")
    .int_type()
    .default_value(-1)
    .with_description("Files a database keeps open; -1: all.")
    .with_constraint("-1 or greater than 0", lambda value: value == -1 or value > 0)
)
LOG_MAX_FILE_SIZE = at_least(
    _key(_PREFIX + "log.max-file-size")
    .memory_type()
    .default_value(25 * 1024**2)
    .with_description("Size at which RocksDB's log is rotated; 0: one file."),
    0,
)
LOG_FILE_COUNT = positive(
    _key(_PREFIX + "log.file-num")
    .int_type()
    .default_value(4)
    .with_description("Files of RocksDB's log that are kept.")
)
LOG_DIRECTORY = (
    _key(_PREFIX + "log.dir")
    .string_type()
    .no_default_value()
    .with_description("Directory of RocksDB's log; unset: beside the database.")
    .with_constraint("an absolute path", lambda value: value is None or value.startswith("/"))
)
LOG_LEVEL = (
    _key(_PREFIX + "log.level")
    .enum_type(InfoLogLevel)
    .default_value(InfoLogLevel.INFO_LEVEL)
    .with_description("What RocksDB writes to its log.")
    .with_constraint(
        "a level, which NUM_INFO_LOG_LEVELS is not",
        lambda value: value is not InfoLogLevel.NUM_INFO_LOG_LEVELS,
    )
)
COMPACTION_STYLE = (
    _key(_PREFIX + "compaction.style")
    .enum_type(CompactionStyle)
    .default_value(CompactionStyle.LEVEL)
    .with_description("How files are arranged.")
    .with_constraint(
        "LEVEL, UNIVERSAL or FIFO, as RocksDB's Python binding has no other",
        lambda value: value is not CompactionStyle.NONE,
    )
)
DYNAMIC_LEVEL_SIZE = (
    _key(_PREFIX + "compaction.level.use-dynamic-size")
    .boolean_type()
    .default_value(False)
    .with_description("Derive the size of the levels from the last one.")
)
COMPRESSION_PER_LEVEL = (
    _key(_PREFIX + "compression.per.level")
    .enum_type(CompressionType)
    .as_list()
    .default_value([CompressionType.SNAPPY_COMPRESSION])
    .with_description("One compression for all levels, or one a level, separated by `;`.")
    .with_constraint(
        f"one or more of {', '.join(sorted(kind.name for kind in COMPRESSIONS))}, as RocksDB's "
        "Python binding has no other",
        lambda value: bool(value) and COMPRESSIONS.issuperset(value),
    )
)
TARGET_FILE_SIZE_BASE = positive(
    _key(_PREFIX + "compaction.level.target-file-size-base")
    .memory_type()
    .default_value(64 * 1024**2)
    .with_description("Size of files in level 1.")
)
MAX_SIZE_LEVEL_BASE = positive(
    _key(_PREFIX + "compaction.level.max-size-level-base")
    .memory_type()
    .default_value(256 * 1024**2)
    .with_description("Size of level 1.")
)
WRITE_BUFFER_SIZE = between(
    _key(_PREFIX + "writebuffer.size")
    .memory_type()
    .default_value(64 * 1024**2)
    .with_description("Size of a memtable; less than 64 kb count as 64 kb."),
    1,
    _LARGEST_WRITE_BUFFER,
    "greater than 0 and at most 64 gb",
)
WRITE_BUFFER_COUNT = positive(
    _key(_PREFIX + "writebuffer.count")
    .int_type()
    .default_value(2)
    .with_description("Memtables of a column family.")
)
WRITE_BUFFER_NUMBER_TO_MERGE = positive(
    _key(_PREFIX + "writebuffer.number-to-merge")
    .int_type()
    .default_value(1)
    .with_description("Memtables that are merged in a flush.")
)
BLOCK_SIZE = between(
    _key(_PREFIX + "block.blocksize")
    .memory_type()
    .default_value(4096)
    .with_description("Size of a data block."),
    1,
    _LONGEST_BLOCK,
    _BLOCK_RANGE,
)
METADATA_BLOCK_SIZE = between(
    _key(_PREFIX + "block.metadata-blocksize")
    .memory_type()
    .default_value(4096)
    .with_description("Size of a block of partitioned index and filters."),
    1,
    _LONGEST_BLOCK,
    _BLOCK_RANGE,
)
BLOCK_CACHE_SIZE = positive(
    _key(_PREFIX + "block.cache-size")
    .memory_type()
    .default_value(8 * 1024**2)
    .with_description("Cache of a column family, where no shared one replaces it.")
)
BLOOM_FILTER = (
    _key(_PREFIX + "use-bloom-filter")
    .boolean_type()
    .default_value(False)
    .with_description("Give every column family a bloom filter.")
)
BLOOM_FILTER_BITS_PER_KEY = between(
    _key(_PREFIX + "bloom-filter.bits-per-key")
    .double_type()
    .default_value(10.0)
    .with_description("Bits a key of the bloom filter."),
    # With fewer RocksDB has no filter; more it does not use.
    0.5,
    100,
)
BLOOM_FILTER_BLOCK_BASED = (
    _key(_PREFIX + "bloom-filter.block-based-mode")
    .boolean_type()
    .default_value(False)
    .with_description("One filter a block instead of one a file.")
)

_DATABASE = "DB option of every database"
_COLUMN_FAMILY = "option of every column family"

OPTIONS: tuple[RegisteredOption, ...] = (
    works(THREADS, _DATABASE, default_in_1_12="(none)"),
    works(OPEN_FILES, _DATABASE, default_in_1_12="(none)"),
    works(LOG_MAX_FILE_SIZE, _DATABASE, since="1.15"),
    works(LOG_FILE_COUNT, _DATABASE, since="1.15"),
    works(LOG_DIRECTORY, _DATABASE, since="1.15"),
    works(LOG_LEVEL, _DATABASE, since="1.13"),
    works(COMPACTION_STYLE, _COLUMN_FAMILY, default_in_1_12="(none)"),
    works(DYNAMIC_LEVEL_SIZE, _COLUMN_FAMILY, default_in_1_12="(none)"),
    works(COMPRESSION_PER_LEVEL, _COLUMN_FAMILY, since="1.18"),
    works(TARGET_FILE_SIZE_BASE, _COLUMN_FAMILY, default_in_1_12="(none)"),
    works(MAX_SIZE_LEVEL_BASE, _COLUMN_FAMILY, default_in_1_12="(none)"),
    works(WRITE_BUFFER_SIZE, _COLUMN_FAMILY, default_in_1_12="(none)"),
    works(WRITE_BUFFER_COUNT, _COLUMN_FAMILY, default_in_1_12="(none)"),
    works(WRITE_BUFFER_NUMBER_TO_MERGE, _COLUMN_FAMILY, default_in_1_12="(none)"),
    works(BLOCK_SIZE, _COLUMN_FAMILY, default_in_1_12="(none)"),
    works(METADATA_BLOCK_SIZE, _COLUMN_FAMILY, since="1.13"),
    works(
        BLOCK_CACHE_SIZE,
        _COLUMN_FAMILY + "; the shared cache replaces it unless managed memory is off",
        default_in_1_12="(none)",
    ),
    works(BLOOM_FILTER, _COLUMN_FAMILY, since="1.14"),
    works(BLOOM_FILTER_BITS_PER_KEY, _COLUMN_FAMILY, since="1.14"),
    without_meaning(
        BLOOM_FILTER_BLOCK_BASED,
        "RocksDB dropped this format in version 7; filters are always one a file",
        since="1.14",
    ),
)
