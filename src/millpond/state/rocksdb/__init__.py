"""The RocksDB store: keyed state that may be larger than memory."""
