from __future__ import annotations

import pytest

from millpond.configuration.options.rocksdb import TimerStore
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions
from millpond.state.rocksdb.state import RocksDBState
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.state_backend_suite import StateBackendSuite


class TestRocksDBStateBackend(StateBackendSuite):
    def create_store(self):
        return RocksDBStateStore()


class TestRocksDBStateBackendWithIncrementalCheckpoints(StateBackendSuite):
    def create_store(self):
        return RocksDBStateStore()

    def snapshot_options(self):
        return SnapshotOptions(incremental=True)


class TestRocksDBStateBackendWithNativeSavepoints(StateBackendSuite):
    def create_store(self):
        return RocksDBStateStore(timer_store=TimerStore.HEAP)

    def snapshot_options(self):
        return SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.NATIVE)


class TestRocksDBStateBackendWithTinyCache(StateBackendSuite):
    """Every few operations the cache is written back, so that all cases read from RocksDB."""

    @pytest.fixture(autouse=True)
    def _tiny_cache(self, monkeypatch):
        monkeypatch.setattr("millpond.state.rocksdb.state._SMALLEST_CACHE", 2)
        limit = RocksDBState.limit_cache
        monkeypatch.setattr(RocksDBState, "limit_cache", lambda state, _: limit(state, 0))

    def create_store(self):
        return RocksDBStateStore()
