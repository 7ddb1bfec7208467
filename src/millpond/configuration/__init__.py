"""Flink's configuration: options, files, precedence, and the decisions that follow from them."""
