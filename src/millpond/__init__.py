"""Millpond: Flink's stateful stream processing in one Python process, without a JVM."""

from __future__ import annotations

__all__ = ("__version__",)

__version__ = "0.1.0"
