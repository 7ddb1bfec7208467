"""Restoring from incremental snapshots: as they are, and rescaled in each mode."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from millpond.clock import ManualClock
from millpond.common.configuration import Configuration
from millpond.common.typeinfo import Types
from millpond.datastream.state import ListStateDescriptor, ValueStateDescriptor
from millpond.errors import ConfigurationError
from millpond.metrics.registry import MetricRegistry
from millpond.state.contract.key_group import KeyGroupRange
from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.rocksdb.restore_phases import RestorePhases
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PREFIX = "state.backend.rocksdb."
INGEST = {PREFIX + "use-ingest-db-restore-mode": "true"}
DELETE = {PREFIX + "rescaling.use-delete-files-in-range": "true"}
LATER = {PREFIX + "incremental-restore-async-compact-after-rescale": "true"}
NEVER_BASE = {PREFIX + "restore-overlap-fraction-threshold": "1.0"}
MODES = {"base": {}, "ingest": INGEST, "delete files": DELETE, "compact later": LATER}
VALUE = ValueStateDescriptor("value", Types.STRING())
LIST = ListStateDescriptor("list", Types.LONG())
KEYS = 600


@pytest.fixture
def harness_with(tmp_path: Path) -> Iterator[Callable[..., BackendHarness]]:
    made: list[BackendHarness] = []

    def make(options: dict[str, str], registry: MetricRegistry | None = None) -> BackendHarness:
        store = RocksDBStateStore(Configuration.from_dict(options))
        harness = BackendHarness(
            store,
            tmp_path,
            options=SnapshotOptions(incremental=True),
            metric_group=None if registry is None else registry.group({}),
        )
        if made:
            harness.snapshots = made[0].snapshots
        made.append(harness)
        return harness

    yield make
    for harness in made:
        harness.close()


def _filled(harness: BackendHarness, parallelism: int) -> list[Any]:
    handles = []
    for index, backend in enumerate(harness.subtasks(parallelism)):
        value, elements = state_of(backend, VALUE), state_of(backend, LIST)
        for key in range(KEYS):
            if harness.owner(key, parallelism) == index:
                with at_key(backend, key):
                    value.update(f"{key}" * 20)
                    elements.add_all([key, -key])
        handles.append(harness.snapshot(backend))
        backend.close()
    return handles


def _check(harness: BackendHarness, backends: list[Any]) -> None:
    for index, backend in enumerate(backends):
        own = [key for key in range(KEYS) if harness.owner(key, len(backends)) == index]
        value, elements = state_of(backend, VALUE), state_of(backend, LIST)
        for key in own:
            with at_key(backend, key):
                assert value.value() == f"{key}" * 20
                assert list(elements.get()) == [key, -key]
        assert backend.entry_count("value") == backend.entry_count("list") == len(own)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 3)])
def test_every_mode_gives_the_same_state(
    mode: str, before: int, after: int, harness_with: Callable[..., BackendHarness]
) -> None:
    handles = _filled(harness_with({}), before)
    harness = harness_with(MODES[mode])
    backends = harness.subtasks(after, handles)
    _check(harness, backends)
    # What was restored can be snapshotted and restored again, whatever was done to its files.
    second = harness_with({})
    _check(second, second.subtasks(2, [harness.snapshot(backend) for backend in backends]))


def test_files_are_used_as_they_are_with_the_same_key_groups(
    harness_with: Callable[..., BackendHarness],
) -> None:
    handles = _filled(harness_with({}), 1)
    for options in ({}, INGEST, NEVER_BASE, DELETE):
        harness = harness_with(options)
        backend: Any = harness.create(handles)
        assert list(backend.restore_phases.seconds) == ["download", "open"]
        assert backend.restore_phases.size_bytes["download"] > 1000
        _check(harness, [backend])


def _phases(harness: BackendHarness, handles: list[Any], first: int, last: int) -> list[str]:
    backend: Any = harness.create(handles, KeyGroupRange(first, last))
    return list(backend.restore_phases.seconds)


def test_the_best_base_is_clipped_and_the_rest_is_ingested(
    harness_with: Callable[..., BackendHarness],
) -> None:
    handles = _filled(harness_with({}), 2)
    clipped = ["download", "open", "clip"]
    assert _phases(harness_with({}), handles, 0, 31) == clipped
    assert _phases(harness_with({}), handles, 32, 95) == [*clipped, "copy rows", "ingest"]
    assert _phases(harness_with(DELETE), handles, 0, 31) == [*clipped, "compact"]


@pytest.mark.option(PREFIX + "use-ingest-db-restore-mode")
@pytest.mark.option(PREFIX + "restore-overlap-fraction-threshold")
def test_ingestion_and_a_high_threshold_take_no_base(
    harness_with: Callable[..., BackendHarness],
) -> None:
    handles = _filled(harness_with({}), 2)
    rebuilt = ["open", "download", "copy rows", "ingest"]
    assert _phases(harness_with(INGEST), handles, 0, 31) == rebuilt
    assert _phases(harness_with(NEVER_BASE), handles, 0, 31) == rebuilt
    half = {PREFIX + "restore-overlap-fraction-threshold": "0.5"}
    assert "clip" in _phases(harness_with(half), handles, 0, 31)
    assert "clip" not in _phases(harness_with(half), handles, 0, 30)


@pytest.mark.option(PREFIX + "rescaling.use-delete-files-in-range")
@pytest.mark.option(PREFIX + "incremental-restore-async-compact-after-rescale")
def test_foreign_rows_leave_the_disk_only_where_asked_for(
    harness_with: Callable[..., BackendHarness],
) -> None:
    handles = _filled(harness_with({}), 1)

    def entries(options: dict[str, str]) -> int:
        backend: Any = harness_with(options).create(handles, KeyGroupRange(0, 15))
        if backend._compaction is not None:
            backend._compaction._thread.join()
        return sum(file["num_entries"] for file in backend.database.live_files())

    kept = entries({})
    assert entries(DELETE) < kept / 3
    assert entries(LATER) < kept / 3
    assert entries(INGEST) < kept / 3


def test_a_background_compaction_does_not_outlive_its_database(
    harness_with: Callable[..., BackendHarness],
) -> None:
    handles = _filled(harness_with({}), 1)
    backend: Any = harness_with(LATER).create(handles, KeyGroupRange(0, 63))
    compaction = backend._compaction
    backend.close()
    assert not compaction.running


def test_a_restore_reports_its_phases(
    harness_with: Callable[..., BackendHarness], caplog: pytest.LogCaptureFixture
) -> None:
    handles = _filled(harness_with({}), 1)
    registry = MetricRegistry()
    with caplog.at_level(logging.INFO, "millpond.state.rocksdb"):
        harness_with({}, registry).create(handles, KeyGroupRange(0, 63))
    assert "Restored 'conformance', subtask 0: download " in caplog.text
    values = {each.name: each.metric.get_value() for each in registry}  # type: ignore[attr-defined]
    assert values["restore.download.bytes"] > 1000
    assert values["restore.clip.milliseconds"] >= 0


def test_phases_add_up() -> None:
    clock = ManualClock()
    phases = RestorePhases(clock)
    for _ in range(2):
        with phases.measure("download"):
            clock.advance(1500)
        phases.add("download", 1_000_000)
    with phases.measure("open"):
        clock.advance(250)
    assert phases.total_seconds == 3.25
    assert str(phases) == "download 3.000 s (2.0 MB), open 0.250 s"
    assert phases.describe()["open"] == {"seconds": 0.25, "bytes": 0}


@pytest.mark.parametrize("value", ["-0.1", "1.1", "half"])
def test_the_threshold_is_a_fraction(value: str) -> None:
    options = {PREFIX + "restore-overlap-fraction-threshold": value}
    with pytest.raises(ConfigurationError, match="restore-overlap-fraction-threshold"):
        RocksDBStateStore(Configuration.from_dict(options))
