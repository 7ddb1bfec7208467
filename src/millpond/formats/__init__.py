"""Flink's bytes: metadata, keyed and operator state streams; pure functions over buffers."""
