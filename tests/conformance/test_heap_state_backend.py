from __future__ import annotations

from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.heap.store import HeapStateStore
from millpond.testing.state_backend_suite import StateBackendSuite


class TestHeapStateBackend(StateBackendSuite):
    def create_store(self):
        return HeapStateStore()


class TestHeapStateBackendWithSynchronousSnapshots(StateBackendSuite):
    asynchronous_snapshots = False

    def create_store(self):
        return HeapStateStore(asynchronous=False)


class TestHeapStateBackendWithIncrementalCheckpoints(StateBackendSuite):
    def create_store(self):
        return HeapStateStore(incremental=True)

    def snapshot_options(self):
        return SnapshotOptions(incremental=True)
