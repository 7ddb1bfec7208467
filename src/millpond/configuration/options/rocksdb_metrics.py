"""Options that turn RocksDB's native metrics on; all are off by default."""

from __future__ import annotations

from millpond.common.config_options import ConfigOption, ConfigOptions
from millpond.configuration.registered_option import RegisteredOption, works

__all__ = (
    "COLUMN_FAMILY_AS_VARIABLE",
    "FILES_AT_LEVEL",
    "OPTIONS",
    "PREFIX",
    "PROPERTY_METRICS",
    "TICKER_METRICS",
)

PREFIX = "state.backend.rocksdb.metrics."

_PROPERTIES_OF_1_12 = {
    "num-immutable-mem-table": "Memtables that wait for a flush.",
    "mem-table-flush-pending": "1 if a flush is pending.",
    "compaction-pending": "1 if a compaction is pending.",
    "background-errors": "Errors of flush and compaction so far.",
    "cur-size-active-mem-table": "Bytes of the active memtable.",
    "cur-size-all-mem-tables": "Bytes of active and waiting memtables.",
    "size-all-mem-tables": "Bytes of all memtables, pinned ones included.",
    "num-entries-active-mem-table": "Entries of the active memtable.",
    "num-entries-imm-mem-tables": "Entries of waiting memtables.",
    "num-deletes-active-mem-table": "Deletions in the active memtable.",
    "num-deletes-imm-mem-tables": "Deletions in waiting memtables.",
    "estimate-num-keys": "Estimated number of keys.",
    "estimate-table-readers-mem": "Bytes for readers of files outside the cache.",
    "num-snapshots": "Snapshots that are held.",
    "num-live-versions": "Versions that are held.",
    "estimate-live-data-size": "Estimated bytes of live data.",
    "total-sst-files-size": "Bytes of the files of all versions.",
    "estimate-pending-compaction-bytes": "Bytes that compaction must rewrite.",
    "num-running-compactions": "Compactions that run.",
    "num-running-flushes": "Flushes that run.",
    "actual-delayed-write-rate": "Current delayed write rate; 0: none.",
    "is-write-stopped": "1 if writes are stopped.",
    "block-cache-capacity": "Capacity of the cache in bytes.",
    "block-cache-usage": "Bytes in the cache.",
    "block-cache-pinned-usage": "Pinned bytes in the cache.",
}
_LATER_PROPERTIES = {"live-sst-files-size": "Bytes of the files of the latest version."}
_TICKERS = {
    "block-cache-hit": "Blocks found in the cache.",
    "block-cache-miss": "Blocks not found in the cache.",
    "bloom-filter-useful": "Reads that a filter avoided.",
    "bloom-filter-full-positive": "Reads that a filter let through.",
    "bloom-filter-full-true-positive": "Reads that a filter let through and that found a key.",
    "bytes-read": "Bytes read by get.",
    "iter-bytes-read": "Bytes read by iterators.",
    "bytes-written": "Bytes written.",
    "compaction-read-bytes": "Bytes read by compaction.",
    "compaction-write-bytes": "Bytes written by compaction.",
    "stall-micros": "Microseconds that writers stood still.",
}


def _switch(suffix: str, description: str) -> ConfigOption[bool]:
    key = ConfigOptions.key(PREFIX + suffix)
    return key.boolean_type().default_value(False).with_description(description)


# Property or ticker name (without `rocksdb.`) to the option that turns it on.
PROPERTY_METRICS = {
    suffix: _switch(suffix, text)
    for suffix, text in (_PROPERTIES_OF_1_12 | _LATER_PROPERTIES).items()
}
TICKER_METRICS = {suffix: _switch(suffix, text) for suffix, text in _TICKERS.items()}
FILES_AT_LEVEL = _switch("num-files-at-level", "Files at each level, 0 to 6.")
COLUMN_FAMILY_AS_VARIABLE = _switch(
    "column-family-as-variable", "Name the column family in a variable of the metric group."
)


def _gauge(suffix: str) -> str:
    return suffix.replace("compaction-", "compact-").replace("-", "_")


OPTIONS: tuple[RegisteredOption, ...] = (
    *(
        works(
            option,
            f"gauge `rocksdb.{suffix}` of every column family",
            since="1.12" if suffix in _PROPERTIES_OF_1_12 else "1.16",
        )
        for suffix, option in PROPERTY_METRICS.items()
    ),
    works(FILES_AT_LEVEL, "gauges `rocksdb.num-files-at-level0` to `6`", since="1.16"),
    *(
        works(
            option,
            f"gauge `rocksdb.{_gauge(suffix)}` of every database; counting costs a little",
            since="1.16",
        )
        for suffix, option in TICKER_METRICS.items()
    ),
    works(
        COLUMN_FAMILY_AS_VARIABLE,
        "the label `column_family` instead of a part of the metric's name",
    ),
)
