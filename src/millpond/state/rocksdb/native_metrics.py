"""RocksDB's own figures as gauges: which are on, and how each is read."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final, final

from millpond.configuration.options.rocksdb_metrics import (
    COLUMN_FAMILY_AS_VARIABLE,
    FILES_AT_LEVEL,
    PROPERTY_METRICS,
    TICKER_METRICS,
)
from millpond.errors import ConfigurationError, StateStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.clock import Clock
    from millpond.common.configuration import Configuration
    from millpond.metrics.registry import MetricGroup
    from millpond.state.rocksdb.column_family import ColumnFamily
    from millpond.state.rocksdb.database import Database

__all__ = ("NativeMetricOptions", "NativeMetrics", "configured_metrics")

# By option: the gauge's name, which is Flink's ticker in lower case, and RocksDB's in its text.
_TICKERS: Final = {
    "block-cache-hit": ("block_cache_hit", "rocksdb.block.cache.hit"),
    "block-cache-miss": ("block_cache_miss", "rocksdb.block.cache.miss"),
    "bloom-filter-useful": ("bloom_filter_useful", "rocksdb.bloom.filter.useful"),
    "bloom-filter-full-positive": (
        "bloom_filter_full_positive",
        "rocksdb.bloom.filter.full.positive",
    ),
    "bloom-filter-full-true-positive": (
        "bloom_filter_full_true_positive",
        "rocksdb.bloom.filter.full.true.positive",
    ),
    "bytes-read": ("bytes_read", "rocksdb.bytes.read"),
    "iter-bytes-read": ("iter_bytes_read", "rocksdb.db.iter.bytes.read"),
    "bytes-written": ("bytes_written", "rocksdb.bytes.written"),
    "compaction-read-bytes": ("compact_read_bytes", "rocksdb.compact.read.bytes"),
    "compaction-write-bytes": ("compact_write_bytes", "rocksdb.compact.write.bytes"),
    "stall-micros": ("stall_micros", "rocksdb.stall.micros"),
}
_FILES_AT_LEVEL: Final = "num-files-at-level"
_LEVELS: Final = 7
_NAMES: Final = frozenset((*PROPERTY_METRICS, *TICKER_METRICS, _FILES_AT_LEVEL))
# Tickers come as one text of all: gauges that are read together share one.
_TEXT_IS_FRESH_SECONDS: Final = 0.2


@final
class NativeMetricOptions:
    """Which native metrics are on; what an options factory may change.

    Attributes:
        column_family_as_variable: name the column family in a variable of the metrics' scope.
    """

    def __init__(self, *, column_family_as_variable: bool = False) -> None:
        self.column_family_as_variable = column_family_as_variable
        self._enabled: set[str] = set()

    def enable(self, name: str) -> None:
        """Turn a metric on, by what follows ``state.backend.rocksdb.metrics.`` in its key.

        Raises:
            ConfigurationError: there is none of this name.
        """
        if name not in _NAMES:
            close = difflib.get_close_matches(name, _NAMES, n=1)
            meant = f" Did you mean '{close[0]}'?" if close else ""
            raise ConfigurationError(f"RocksDB has no native metric '{name}'.{meant}")
        self._enabled.add(name)

    def disable(self, name: str) -> None:
        """Turn a metric off."""
        self._enabled.discard(name)

    @property
    def enabled(self) -> frozenset[str]:
        """The names of all that are on."""
        return frozenset(self._enabled)

    @property
    def needs_statistics(self) -> bool:
        """Whether a database must count tickers, which costs each operation something."""
        return not self._enabled.isdisjoint(TICKER_METRICS)


def configured_metrics(configuration: Configuration) -> NativeMetricOptions:
    """Return the native metrics that the configuration turns on."""
    options = NativeMetricOptions(
        column_family_as_variable=configuration.get(COLUMN_FAMILY_AS_VARIABLE)
    )
    named = {**PROPERTY_METRICS, **TICKER_METRICS, _FILES_AT_LEVEL: FILES_AT_LEVEL}
    for name, option in named.items():
        if configuration.get(option):
            options.enable(name)
    return options


@final
class NativeMetrics:
    """The gauges of one database (RocksDBNativeMetricMonitor).

    Gauges may be read by any thread; after the database was closed they keep their last value.
    """

    def __init__(
        self, options: NativeMetricOptions, group: MetricGroup, database: Database, clock: Clock
    ) -> None:
        """Register the gauges of the database as a whole."""
        self._options = options
        self._group = group
        self._database = database
        self._clock = clock
        self._tickers: dict[str, int] = {}
        self._read_at: float | None = None
        for name in sorted(options.enabled & TICKER_METRICS.keys()):
            metric, ticker = _TICKERS[name]
            group.gauge(f"rocksdb.{metric}", self._ticker(ticker))

    def add_family(self, family: ColumnFamily, state_name: str) -> None:
        """Register the gauges of a column family."""
        enabled = self._options.enabled
        if self._options.column_family_as_variable:
            group = self._group.add_group("column_family", state_name)
        else:
            group = self._group.add_group(state_name)
        names = sorted(enabled & PROPERTY_METRICS.keys())
        if _FILES_AT_LEVEL in enabled:
            names += [f"{_FILES_AT_LEVEL}{level}" for level in range(_LEVELS)]
        for name in names:
            group.gauge(f"rocksdb.{name}", _property(family, f"rocksdb.{name}"))

    def _ticker(self, name: str) -> Callable[[], float]:
        return lambda: self._read_tickers().get(name, 0)

    def _read_tickers(self) -> dict[str, int]:
        now = self._clock.monotonic()
        is_fresh = self._read_at is not None and now - self._read_at < _TEXT_IS_FRESH_SECONDS
        if not is_fresh and not self._database.closed:
            # Another thread may close the database meanwhile; the text is there nevertheless.
            self._tickers = parse_tickers(self._database.statistics())
            self._read_at = now
        return self._tickers


def _property(family: ColumnFamily, name: str) -> Callable[[], float]:
    last = 0

    def read() -> float:
        nonlocal last
        try:
            value = family.number(name)
        except StateStoreError:
            return last
        if value is not None:
            last = value
        return last

    return read


def parse_tickers(text: str) -> dict[str, int]:
    """Return the counts in RocksDB's text of statistics: lines ``name COUNT : number``."""
    counts: dict[str, int] = {}
    for line in text.splitlines():
        name, found, count = line.partition(" COUNT : ")
        if found and count.isdigit():
            counts[name] = int(count)
    return counts
