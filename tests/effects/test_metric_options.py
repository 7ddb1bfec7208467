"""Metrics: which of RocksDB's are there, and who shows them."""

from __future__ import annotations

import urllib.request

import pytest

from millpond.common import Types
from millpond.common.configuration import Configuration
from millpond.configuration.options import rocksdb_metrics
from millpond.datastream.state import ValueStateDescriptor
from millpond.metrics.registry import MetricRegistry
from millpond.runtime.metric_reporters import MetricReporters
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, state_of
from millpond.testing.ticking_clock import TickingClock

AS_VARIABLE = rocksdb_metrics.COLUMN_FAMILY_AS_VARIABLE.key
METRICS = [
    registered.option.key
    for registered in rocksdb_metrics.OPTIONS
    if registered.option.key != AS_VARIABLE
]
PROMETHEUS = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"


@pytest.fixture
def metrics_of(tmp_path):
    """Open a database with these options and return the names and variables of its metrics."""

    def open_store(options):
        registry = MetricRegistry()
        harness = BackendHarness(
            RocksDBStateStore(Configuration.from_dict(options)),
            tmp_path,
            metric_group=registry.group({"subtask": "0"}),
        )
        backend = harness.create()
        state_of(backend, ValueStateDescriptor("total", Types.LONG()))
        found = [(metric.name, dict(metric.scope)) for metric in registry]
        harness.close()
        return found

    return open_store


@pytest.mark.parametrize(
    "key", [pytest.param(key, marks=pytest.mark.option(key)) for key in METRICS]
)
def test_a_native_metric(metrics_of, key):
    assert metrics_of({}) == []
    assert metrics_of({key: "true"}) != []
    assert metrics_of({key: "false"}) == []


@pytest.mark.option(AS_VARIABLE)
def test_the_column_family_as_variable(metrics_of):
    key = rocksdb_metrics.PREFIX + "estimate-num-keys"
    assert all("column_family" not in variables for _, variables in metrics_of({key: "true"}))
    found = metrics_of({key: "true", AS_VARIABLE: "true"})
    assert {"total"} <= {variables.get("column_family") for _, variables in found}


@pytest.mark.option("metrics.reporters")
@pytest.mark.option("metrics.reporter")
def test_reporters():
    registry = MetricRegistry()
    registry.group({"job": "mill"}).counter("turns").inc(3)
    settings = {
        "metrics.reporter.first.factory.class": PROMETHEUS,
        "metrics.reporter.first.port": "0",
        "metrics.reporter.second.factory.class": PROMETHEUS,
        "metrics.reporter.second.port": "0",
    }
    reporters = MetricReporters(settings, registry, TickingClock())
    assert len(reporters.running) == 2
    reporters.close()
    reporters = MetricReporters(
        {**settings, "metrics.reporters": "first"}, registry, TickingClock()
    )
    (first,) = reporters.running
    with urllib.request.urlopen(f"http://127.0.0.1:{first.port}/metrics") as answer:
        assert "turns" in answer.read().decode()
    reporters.close()
