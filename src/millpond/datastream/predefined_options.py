"""PyFlink's name of the RocksDB option profiles."""

from __future__ import annotations

from millpond.configuration.options.rocksdb import PredefinedOptions

__all__ = ("PredefinedOptions",)
