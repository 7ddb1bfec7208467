"""The promise of the memory options: the process does not grow beyond the budget and 15 %."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from millpond.common.configuration import Configuration
from millpond.common.typeinfo import Types
from millpond.datastream.state import MapStateDescriptor, ValueStateDescriptor
from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

ROOT = Path(__file__).parents[4]
ALLOWED = 1.15


def _measure(budget_mb: int, times: float, texts: str) -> dict[str, float]:
    """Run in a process of its own: what other tests left behind would hide growth."""
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.resident_memory",
            "--budget-mb", str(budget_mb), "--times", str(times), "--texts", texts,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
        capture_output=True,
        check=True,
        text=True,
    )  # fmt: skip
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("budget_mb", "times", "texts"),
    [
        (64, 1, "long"),
        pytest.param(64, 10, "short", marks=pytest.mark.nightly),
        pytest.param(256, 10, "long", marks=pytest.mark.nightly),
        pytest.param(1024, 10, "longest", marks=pytest.mark.nightly),
    ],
)
def test_the_process_grows_by_no_more_than_the_budget(
    budget_mb: int, times: float, texts: str
) -> None:
    figures = _measure(budget_mb, times, texts)
    assert figures["written_mb"] >= budget_mb * times
    assert figures["share_of_budget"] <= ALLOWED, figures


def _harness(tmp_path: Path) -> BackendHarness:
    options = {"state.backend.rocksdb.memory.fixed-per-slot": "16mb"}
    store = RocksDBStateStore(Configuration.from_dict(options))
    return BackendHarness(store, tmp_path, options=SnapshotOptions(incremental=True))


def test_long_values_do_not_pile_up_before_the_first_write(tmp_path: Path) -> None:
    harness = _harness(tmp_path)
    backend = harness.create()
    state = state_of(backend, ValueStateDescriptor("value", Types.STRING()))
    held = 0
    for key in range(2000):
        with at_key(backend, key):
            state.update("x" * 10_000)
        held = max(held, len(state._dirty))
    assert held * 10_000 < harness._store.memory.object_bytes * 2
    assert state.cache_entries < 400
    harness.close()


def test_long_values_do_not_pile_up_when_they_are_only_read(tmp_path: Path) -> None:
    harness = _harness(tmp_path)
    backend = harness.create()
    values = ValueStateDescriptor("value", Types.STRING())
    maps = MapStateDescriptor("map", Types.LONG(), Types.STRING())
    state, entries = state_of(backend, values), state_of(backend, maps)
    for key in range(1500):
        with at_key(backend, key):
            state.update("x" * 20_000)
            entries.put(1, "y" * 20_000)
    backend = harness.restored(backend)
    state, entries = state_of(backend, values), state_of(backend, maps)
    assumed = entries.cache_entries
    for key in range(1500):
        with at_key(backend, key):
            assert len(state.value()) == len(entries.get(1)) == 20_000
    assert entries.cache_entries < assumed / 3
    assert 20_000 * len(state._clean) <= harness._store.memory.object_bytes
    harness.close()
