"""RocksDB's own figures as gauges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from millpond.common.configuration import Configuration
from millpond.common.typeinfo import Types
from millpond.configuration.options.rocksdb_metrics import OPTIONS, PREFIX
from millpond.datastream.rocksdb_options_factory import RocksDBOptionsFactory
from millpond.datastream.state import ValueStateDescriptor
from millpond.errors import ConfigurationError
from millpond.metrics.registry import MetricRegistry
from millpond.state.rocksdb.native_metrics import NativeMetricOptions, configured_metrics
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from millpond.state.rocksdb.backend import RocksDBKeyedStateBackend

ALL = {each.option.key: "true" for each in OPTIONS}
LEVELS = [f"rocksdb.num-files-at-level{level}" for level in range(7)]


@pytest.fixture
def open_with(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    opened: list[BackendHarness] = []

    def open_with(options: dict[str, str], **arguments: Any) -> Any:
        registry = MetricRegistry()
        store = RocksDBStateStore(Configuration.from_dict(options), **arguments)
        harness = BackendHarness(store, tmp_path, metric_group=registry.group({"subtask": "0"}))
        opened.append(harness)
        backend = harness.create()
        state = state_of(backend, ValueStateDescriptor("total", Types.LONG()))
        for key in range(100):
            backend.current_key = key
            state.update(key)
        return backend, registry, harness

    yield open_with
    for harness in opened:
        harness.close()


def _values(registry: MetricRegistry) -> dict[str, float]:
    return {each.name: each.metric.get_value() for each in registry}  # type: ignore[attr-defined]


def test_all_are_off_by_default(open_with: Callable[..., Any]) -> None:
    backend, registry, _ = open_with({})
    assert _values(registry) == {}
    assert backend.database.statistics() == ""


def test_every_key_gives_its_gauges(open_with: Callable[..., Any]) -> None:
    backend, registry, harness = open_with({**ALL, PREFIX + "column-family-as-variable": "false"})
    harness.snapshot(backend)
    values = _values(registry)
    for key in ALL:
        suffix = key.removeprefix(PREFIX)
        if suffix == "column-family-as-variable":
            continue
        ticker = f"rocksdb.{suffix.replace('compaction-', 'compact-').replace('-', '_')}"
        names = LEVELS if suffix == "num-files-at-level" else [f"rocksdb.{suffix}"]
        assert ticker in values or all(f"total.{name}" in values for name in names), key
    assert values["total.rocksdb.estimate-num-keys"] == 100
    assert values["total.rocksdb.num-entries-active-mem-table"] == 100
    assert values["rocksdb.bytes_written"] > 1000
    assert values["total.rocksdb.block-cache-capacity"] > 1_000_000


def test_values_follow_the_database_and_outlive_it(open_with: Callable[..., Any]) -> None:
    backend, registry, harness = open_with(ALL)
    harness.snapshot(backend)
    backend.database.column_family(backend.database.column_family_names[1]).flush()
    harness.clock.advance(1000)
    name = "column_family.total.rocksdb."
    values = _values(registry)
    assert values[name + "num-files-at-level0"] == 1
    assert values[name + "total-sst-files-size"] > 0
    backend.close()
    harness.clock.advance(1000)
    assert _values(registry) == values


def test_restored_states_have_gauges_too(open_with: Callable[..., Any]) -> None:
    backend, registry, harness = open_with({PREFIX + "estimate-num-keys": "true"})
    restored: RocksDBKeyedStateBackend = harness.restored(backend)
    assert not restored.database.closed
    assert _values(registry)["total.rocksdb.estimate-num-keys"] == 100


def test_only_tickers_turn_statistics_on() -> None:
    assert not configured_metrics(
        Configuration.from_dict({PREFIX + "num-snapshots": "true"})
    ).needs_statistics
    assert configured_metrics(
        Configuration.from_dict({PREFIX + "bytes-read": "true"})
    ).needs_statistics


class _Factory(RocksDBOptionsFactory):
    def create_native_metrics_options(self, native_metric_options: Any) -> Any:
        native_metric_options.enable("stall-micros")
        native_metric_options.disable("num-snapshots")
        return native_metric_options


class _Wrong(RocksDBOptionsFactory):
    def create_native_metrics_options(self, native_metric_options: Any) -> Any:
        return True


def test_a_factory_chooses(open_with: Callable[..., Any]) -> None:
    _, registry, _ = open_with({PREFIX + "num-snapshots": "true"}, options_factory=_Factory())
    assert _values(registry) == {"rocksdb.stall_micros": 0}
    with pytest.raises(ConfigurationError, match="_Wrong returned bool instead of Native"):
        open_with({}, options_factory=_Wrong())


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'block-cache-hit'"):
        NativeMetricOptions().enable("block-cache-hits")
