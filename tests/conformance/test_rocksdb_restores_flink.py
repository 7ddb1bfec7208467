"""Snapshots that Apache Flink wrote, restored into the RocksDB store."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from millpond.state.rocksdb.store import RocksDBStateStore

_spec = importlib.util.spec_from_file_location(
    "flink_snapshots", Path(__file__).parent / "test_heap_restores_flink.py"
)
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)
cases.FOLDERS = [
    "2.3.0-hashmap-canonical",
    "2.3.0-hashmap-none-checkpoint",
    "2.3.0-hashmap-p2-max300-snappy-canonical",
    "1.20.5-rocksdb-incremental",
    "2.3.0-rocksdb-incremental",
    "2.3.0-rocksdb-p2-heap-timers-checkpoint",
]


@pytest.fixture(autouse=True)
def store(monkeypatch):
    store = RocksDBStateStore()
    monkeypatch.setattr(cases, "HeapStateStore", lambda: store)
    yield
    store.close()


@pytest.mark.parametrize(("snapshot", "expected"), list(cases.snapshots()))
def test_every_entry_comes_back(snapshot, expected):
    cases.test_every_entry_comes_back(snapshot, expected)


def test_a_list_of_flink_cannot_become_a_map():
    cases.test_a_list_of_flink_cannot_become_a_map()
