"""Metrics: what a job counts and measures; PyFlink's `pyflink.metrics`."""

from __future__ import annotations

from millpond.metrics.registry import Counter, Distribution, Gauge, Meter, Metric, MetricGroup

__all__ = ("Counter", "Distribution", "Gauge", "Meter", "Metric", "MetricGroup")
