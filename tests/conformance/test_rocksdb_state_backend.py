from __future__ import annotations

import pytest

from millpond.common.configuration import Configuration
from millpond.configuration.options.rocksdb import TIMER_CACHE_SIZE, TimerStore
from millpond.state.contract.namespace import VOID
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions
from millpond.state.rocksdb.state import RocksDBState
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness
from millpond.testing.state_backend_suite import StateBackendSuite
from millpond.testing.timer_queue_cases import TimerQueueCases
from millpond.testing.timer_service_cases import TimerServiceCases


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


class TestRocksDBStateBackendWithHeapTimers(StateBackendSuite):
    """Timers in memory, with asynchronous incremental checkpoints of the state beside them."""

    def create_store(self):
        return RocksDBStateStore(timer_store=TimerStore.HEAP)

    def snapshot_options(self):
        return SnapshotOptions(incremental=True)


class TestRocksDBTimersWithTinyHeads(TimerQueueCases, TimerServiceCases):
    """The queue keeps two timers of a key group in memory and writes after every few changes."""

    @pytest.fixture
    def harness(self, tmp_path, monkeypatch):
        monkeypatch.setattr("millpond.state.rocksdb.timer_queue._PENDING", 3)
        configuration = Configuration.from_dict({TIMER_CACHE_SIZE.key: "2"})
        harness = BackendHarness(RocksDBStateStore(configuration), tmp_path)
        yield harness
        harness.close()


class TestRocksDBStateBackendWithTinyCache(StateBackendSuite):
    """Every few operations the cache is written back, so that all cases read from RocksDB."""

    @pytest.fixture(autouse=True)
    def _tiny_cache(self, monkeypatch):
        monkeypatch.setattr("millpond.state.rocksdb.state._SMALLEST_CACHE", 2)
        limit = RocksDBState.limit_cache
        monkeypatch.setattr(RocksDBState, "limit_cache", lambda state, _: limit(state, 0))

    def create_store(self):
        return RocksDBStateStore()


@pytest.mark.parametrize(
    "options",
    [
        SnapshotOptions(),
        SnapshotOptions(incremental=True),
        SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.NATIVE),
        SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.CANONICAL),
    ],
    ids=["full", "incremental", "native savepoint", "canonical savepoint"],
)
def test_timers_survive_every_change_of_where_they_live(tmp_path, options):
    stores = [TimerStore.HEAP, TimerStore.ROCKSDB, TimerStore.HEAP]
    expected = {(key % 9 - 4, key) for key in range(50)}
    handle, snapshots = None, None
    for number, timer_store in enumerate(stores):
        harness = BackendHarness(RocksDBStateStore(timer_store=timer_store), tmp_path)
        harness.options = options
        harness.snapshots = snapshots or harness.snapshots
        snapshots = harness.snapshots
        backend = harness.create([handle])
        queue = backend.timer_queue("user-timers", "processing", VOID)
        if number == 0:
            for timestamp, key in expected:
                queue.add(timestamp, key, None)
        else:
            # Each run fires some and sets another.
            assert {timer[:2] for timer in queue} == expected
            due = {timer[:2] for timer in queue.poll(0)}
            assert due == {timer for timer in expected if timer[0] == min(expected)[0]}
            expected = (expected - due) | {(100 + number, 1)}
            queue.add(100 + number, 1, None)
        handle = harness.snapshot(backend)
        harness.close()
