from __future__ import annotations

import pytest

from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.rocksdb import (
    early_write_back,
    list_rows,
    map_state,
    number_list_state,
    state,
    timer_queue,
    ttl_sweep,
)
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.state_machine import StateStoreMachine, check_store


class RocksDBMachine(StateStoreMachine):
    def make_store(self):
        return RocksDBStateStore()


class IncrementalRocksDBMachine(StateStoreMachine):
    def make_store(self):
        return RocksDBStateStore()

    def snapshot_options(self):
        return SnapshotOptions(incremental=True)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(state, "_SMALLEST_CACHE", 2)
    monkeypatch.setattr(state, "_OBJECT_BYTES", 1 << 22)
    monkeypatch.setattr(state, "_POINT_DELETES", 2)
    monkeypatch.setattr(early_write_back, "_FEW", 0)
    monkeypatch.setattr(early_write_back, "_SAMPLE", 2)
    monkeypatch.setattr(early_write_back, "_FIRST_PIECE", 1)
    monkeypatch.setattr(early_write_back, "_LARGEST_PIECE", 2)
    monkeypatch.setattr(early_write_back, "_CHECKPOINTS_LEFT_OUT", 0)
    monkeypatch.setattr(map_state, "_LARGEST_PART", 2)
    monkeypatch.setattr(list_rows, "_CACHED_ELEMENTS", 3)
    monkeypatch.setattr(list_rows, "_PIECE_ROWS", 2)
    monkeypatch.setattr(list_rows, "_FEW_ROWS", 2)
    monkeypatch.setattr(list_rows, "_PIECE_BYTES", 1 << 23)
    numbers = number_list_state.RocksDBNumberListState
    monkeypatch.setattr(numbers, "_list_weight", 1 << 22)
    monkeypatch.setattr(number_list_state, "_ROW_ELEMENTS", 2)
    monkeypatch.setattr(number_list_state, "_LONG_TAIL_BYTES", 64)
    monkeypatch.setattr(timer_queue, "_PENDING", 3)
    monkeypatch.setattr(ttl_sweep, "_VISITS_PER_CLEANUP_SIZE", 1)


def test_rocksdb_against_a_model():
    check_store(RocksDBMachine, steps=500)


def test_rocksdb_with_incremental_checkpoints_against_a_model():
    check_store(IncrementalRocksDBMachine, steps=500)


@pytest.mark.nightly
def test_rocksdb_against_a_model_for_long():
    check_store(RocksDBMachine, steps=10_000, steps_per_run=100)


@pytest.mark.nightly
def test_rocksdb_with_incremental_checkpoints_against_a_model_for_long():
    check_store(IncrementalRocksDBMachine, steps=10_000, steps_per_run=100)
