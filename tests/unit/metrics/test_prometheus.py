"""What Prometheus gets."""

from __future__ import annotations

import builtins
import urllib.request
from typing import TYPE_CHECKING

import pytest

from millpond.clock import ManualClock
from millpond.errors import MissingDependencyError
from millpond.metrics.prometheus import PrometheusReporter
from millpond.metrics.registry import MetricRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

LABELS = 'job_name="my_job",operator_name="count",subtask_index="0"'
QUANTILE = LABELS.replace(",subtask", ',quantile="0.5",subtask')
PREFIX = "flink_taskmanager_job_task_operator_"


@pytest.fixture
def registry() -> MetricRegistry:
    return MetricRegistry()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def reporter(registry: MetricRegistry, clock: ManualClock) -> Iterator[PrometheusReporter]:
    reporter = PrometheusReporter(registry, [0], clock, host="127.0.0.1")
    yield reporter
    reporter.close()


def _lines(reporter: PrometheusReporter) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{reporter.port}/metrics") as answer:
        return answer.read().decode().splitlines()


def _group(registry: MetricRegistry):
    return registry.group({"job": "my job", "operator": "count", "subtask": "0"})


def test_all_kinds(
    registry: MetricRegistry, reporter: PrometheusReporter, clock: ManualClock
) -> None:
    group = _group(registry)
    group.counter("seen").inc(3)
    group.gauge("rocksdb.estimate-num-keys", lambda: 17)
    meter = group.meter("events")
    distribution = group.distribution("latency")
    for value in range(100):
        distribution.update(value)
    meter.mark_event(10)
    lines = _lines(reporter)
    assert f"{PREFIX}seen{{{LABELS}}} 3.0" in lines
    assert f"# TYPE {PREFIX}seen gauge" in lines
    assert f"{PREFIX}rocksdb_estimate_num_keys{{{LABELS}}} 17.0" in lines
    assert f"{PREFIX}events{{{LABELS}}} 0.0" in lines
    assert f"{PREFIX}latency_count{{{LABELS}}} 100.0" in lines
    assert f"{PREFIX}latency{{{QUANTILE}}} 50.0" in lines
    meter.mark_event(30)
    clock.advance(10_000)
    assert f"{PREFIX}events{{{LABELS}}} 3.0" in _lines(reporter)


def test_variables_become_labels(registry: MetricRegistry, reporter: PrometheusReporter) -> None:
    for name in ("one", "two"):
        _group(registry).add_group("column_family", name).gauge("size", lambda: 1)
    lines = _lines(reporter)
    assert f'{PREFIX}column_family_size{{column_family="one",{LABELS}}} 1.0' in lines
    assert f'{PREFIX}column_family_size{{column_family="two",{LABELS}}} 1.0' in lines


def test_a_gauge_that_raises_hides_no_other(
    registry: MetricRegistry, reporter: PrometheusReporter
) -> None:
    _group(registry).gauge("broken", lambda: 1 / 0)
    _group(registry).gauge("whole", lambda: 2)
    lines = _lines(reporter)
    assert f"{PREFIX}whole{{{LABELS}}} 2.0" in lines
    assert not [line for line in lines if line.startswith(f"{PREFIX}broken{{")]


def test_the_next_free_port_is_taken(
    registry: MetricRegistry, reporter: PrometheusReporter, caplog: pytest.LogCaptureFixture
) -> None:
    assert reporter.port is not None
    second = PrometheusReporter(registry, [reporter.port, 0], ManualClock(), host="127.0.0.1")
    assert second.port not in {None, reporter.port}
    second.close()
    second.close()
    third = PrometheusReporter(registry, [reporter.port], ManualClock(), host="127.0.0.1")
    assert third.port is None
    assert "none of the ports" in caplog.text


def test_the_missing_package_is_named(
    registry: MetricRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments, **keywords):
        if name.startswith("prometheus_client"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match="Prometheus reporter needs") as raised:
        PrometheusReporter(registry, [0], ManualClock())
    assert raised.value.hint == "pip install 'millpond[prometheus]'"
