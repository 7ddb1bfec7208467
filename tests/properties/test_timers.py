"""Timers against a set, through any sequence of changes, snapshots, restores and rescales."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.configuration.options.rocksdb import TimerStore
from millpond.operators.batch import MAX_WATERMARK, MIN_WATERMARK
from millpond.operators.timer_service import InternalTimerService
from millpond.state.contract.keyed_backend import NO_KEY
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions
from millpond.state.heap.store import HeapStateStore
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key

STORES = {
    "heap": HeapStateStore,
    "rocksdb": lambda: RocksDBStateStore(timer_store=TimerStore.ROCKSDB),
    "rocksdb, timers on the heap": lambda: RocksDBStateStore(timer_store=TimerStore.HEAP),
}
CANONICAL = SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.CANONICAL)

keys = st.integers(0, 5)
times = st.one_of(
    st.integers(-20, 60), st.sampled_from([MIN_WATERMARK, MAX_WATERMARK, MAX_WATERMARK - 1])
)


def follow_ups(timestamp):
    """What a timer sets and deletes when it fires: (set, delete)."""
    if timestamp % 5 or not -100 < timestamp < 100:
        return (), ()
    return (timestamp + 3, timestamp - 4, timestamp + 50), (timestamp + 7,)


class Model:
    def __init__(self):
        self.timers = set()

    def advance(self, watermark):
        fired = []
        while self.timers and min(self.timers)[0] <= watermark:
            timer = min(self.timers)
            self.timers.remove(timer)
            fired.append(timer)
            added, deleted = follow_ups(timer[0])
            self.timers |= {(each, timer[1]) for each in added}
            self.timers -= {(each, timer[1]) for each in deleted}
        return fired


class Subtasks:
    """Timer services of several subtasks, which can be replaced by restored ones."""

    def __init__(self, directory):
        self.directory = directory
        self.snapshots = None

    def start(self, store, parallelism, handles=()):
        self.backends = BackendHarness(STORES[store](), self.directory, options=CANONICAL)
        self.snapshots = self.snapshots or self.backends.snapshots
        self.backends.snapshots = self.snapshots
        self.services = [
            (backend, InternalTimerService(backend, self.backends.clock))
            for backend in self.backends.subtasks(parallelism, list(handles))
        ]

    def change(self, action, key, timestamp):
        backend, service = self.services[self.backends.owner(key, len(self.services))]
        with at_key(backend, key):
            getattr(service, f"{action}_event_time_timer")(None, timestamp)

    def advance(self, watermark):
        fired = []
        for backend, service in self.services:

            def fire(timestamp, namespace, backend=backend, service=service):
                fired.append((timestamp, backend.current_key))
                added, deleted = follow_ups(timestamp)
                for each in added:
                    service.register_event_time_timer(namespace, each)
                for each in deleted:
                    service.delete_event_time_timer(namespace, each)

            start = len(fired)
            service.advance_watermark(watermark, fire)
            assert backend.current_key is NO_KEY
            assert service.current_watermark == watermark
            if start == len(fired):
                assert all(timer[0] > watermark for timer in self.timers_of(service))
            backend.end_batch()
        return fired

    @staticmethod
    def timers_of(service):
        found = []
        service.for_each_event_time_timer(lambda _, timestamp: found.append((timestamp,)))
        return found

    def restore(self, store, parallelism):
        captured = [self.backends.start_snapshot(backend) for backend, _ in self.services]
        for key in range(6):
            self.change("register", key, 17)
            self.change("delete", key, 20)
        self.advance(30)
        handles = [snapshot.write() for snapshot in captured]
        for snapshot in captured:
            snapshot.release()
        self.backends.close()
        self.start(store, parallelism, handles)


@pytest.mark.parametrize(
    ("stores", "examples"),
    [pytest.param(["heap"], 60, id="heap"), pytest.param(list(STORES), 12, id="every store")],
)
def test_timers(tmp_path, stores, examples):
    changes = st.tuples(st.sampled_from(["register", "register", "delete"]), keys, times)
    restores = st.tuples(st.sampled_from(stores), st.integers(1, 3))
    steps = st.lists(st.one_of(changes, changes, times, restores), max_size=30)

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(steps)
    def run(script):
        model, subtasks = Model(), Subtasks(tmp_path)
        subtasks.start(stores[-1], 1)
        try:
            for step in [*script, MAX_WATERMARK]:
                if isinstance(step, int):
                    fired = subtasks.advance(step)
                    assert sorted(fired) == sorted(model.advance(step))
                elif len(step) == 2:
                    subtasks.restore(*step)
                else:
                    action, key, timestamp = step
                    subtasks.change(action, key, timestamp)
                    if action == "register":
                        model.timers.add((timestamp, key))
                    else:
                        model.timers.discard((timestamp, key))
            assert [len(list(Subtasks.timers_of(each))) for _, each in subtasks.services] == [
                0
            ] * len(subtasks.services)
        finally:
            subtasks.backends.close()

    run()
