"""Offline reading of savepoints and checkpoints: of Millpond and of Apache Flink."""
