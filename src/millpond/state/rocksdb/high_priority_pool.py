"""What becomes of the high priority pool: RocksDB's binding takes no ratio, and always uses half.

A cache made by rocksdict is RocksDB's LRU cache with that library's default ratio, 0.5, which no
constructor, option or options file can change; index and filter blocks have high priority by
default. So they are protected from data blocks, up to half of the cache instead of the ratio.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from millpond.configuration.options.rocksdb import HIGH_PRIORITY_POOL_RATIO
from millpond.configuration.rocksdb_memory import MemorySharing

if TYPE_CHECKING:
    from millpond.common.configuration import Configuration
    from millpond.configuration.rocksdb_memory import RocksDBMemory

__all__ = ("POOL_RATIO", "announce_pool")

POOL_RATIO: Final = 0.5

_logger = logging.getLogger("millpond.state.rocksdb")
_said: set[float] = set()


def announce_pool(memory: RocksDBMemory, configuration: Configuration) -> None:
    """Say once a process and ratio what is applied; a warning if another ratio was set."""
    ratio = memory.high_priority_pool_ratio
    if memory.sharing is MemorySharing.NONE or ratio == POOL_RATIO or ratio in _said:
        return
    _said.add(ratio)
    _logger.log(
        logging.WARNING if configuration.contains(HIGH_PRIORITY_POOL_RATIO) else logging.INFO,
        "'%s' is %s, and was checked with the write buffer ratio; RocksDB's Python binding cannot "
        "set it. Index and filter blocks have high priority in a pool of up to %s of the cache, "
        "and those of level 0 are pinned.",
        HIGH_PRIORITY_POOL_RATIO.key,
        ratio,
        POOL_RATIO,
    )
