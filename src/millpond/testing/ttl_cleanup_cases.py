"""Conformance cases of removing what expired, named after Flink's TTL tests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.datastream.window import TimeWindow
from millpond.state.contract.namespace import TIME_WINDOW
from millpond.testing.backend_harness import BackendHarness, at_key, state_of
from millpond.testing.ttl_cases import TtlKind, every_kind, ttl_config

if TYPE_CHECKING:
    from millpond.state.contract.keyed_backend import KeyedStateBackend

__all__ = ("TtlCleanupCases",)

_TTL_MS = 100


def _end_batches(harness: BackendHarness, backend: KeyedStateBackend, steps: int = 20) -> None:
    """Let time pass, a TTL in five steps, with batches that touch nothing."""
    for _ in range(steps):
        harness.clock.advance(20)
        for _ in range(3):
            backend.end_batch()


class TtlCleanupCases:
    """What is physically gone is in no snapshot, even if the clock is set back before the end."""

    def test_ttl_value_set_null(self, harness: BackendHarness) -> None:
        """None removes a value; as a value of a map it has a time like any other."""
        value = ValueStateDescriptor("value", Types.LONG())
        entries = MapStateDescriptor("map", Types.LONG(), Types.LONG())
        for descriptor in (value, entries):
            descriptor.enable_time_to_live(ttl_config())
        backend = harness.create()
        values, maps = state_of(backend, value), state_of(backend, entries)
        with at_key(backend, 1):
            values.update(1)
            values.update(None)
            maps.put(1, None)
        backend = harness.restored(backend)
        values, maps = state_of(backend, value), state_of(backend, entries)
        with at_key(backend, 1):
            assert values.value() is None
            assert dict(maps.items()) == {1: None}
            harness.clock.advance(_TTL_MS)
            assert dict(maps.items()) == {}

    def test_ttl_list_of_pickled_elements_takes_null(self, harness: BackendHarness) -> None:
        """PICKLED takes every object, None too; each element has its time."""
        descriptor = ListStateDescriptor("list", None)
        descriptor.enable_time_to_live(ttl_config())
        backend = harness.create()
        state = state_of(backend, descriptor)
        with at_key(backend, 1):
            state.add_all([None, 1])
            harness.clock.advance(60)
            state.add(None)
        backend = harness.restored(backend)
        state = state_of(backend, descriptor)
        with at_key(backend, 1):
            assert list(state.get()) == [None, 1, None]
            harness.clock.advance(60)
            assert list(state.get()) == [None]

    @every_kind
    def test_ttl_multiple_namespaces_with_snapshot_cleanup(
        self, harness: BackendHarness, kind: TtlKind
    ) -> None:
        """A full snapshot may leave out what expired in a namespace; the others are there."""
        backend = harness.create()
        state = state_of(backend, kind.declare(full_snapshot=True), TIME_WINDOW)
        windows = [TimeWindow(number, number + 1) for number in range(3)]
        for window in windows:
            with at_key(backend, 1):
                state.current_namespace = window
                kind.write(state, 5)
            harness.clock.advance(40)
        backend = harness.restored(backend)
        state = state_of(backend, kind.declare(full_snapshot=True), TIME_WINDOW)
        for window, alive in zip(windows, (False, True, True), strict=True):
            with at_key(backend, 1):
                state.current_namespace = window
                assert kind.read(state) == (kind.expected([5]) if alive else None)

    @every_kind
    def test_incremental_cleanup_whole_state(self, harness: BackendHarness, kind: TtlKind) -> None:
        """A clean-up size above the size of the state removes all that expired in few batches."""
        config = StateTtlConfig.new_builder(Time.milliseconds(_TTL_MS))
        descriptor = kind.descriptor()
        descriptor.enable_time_to_live(config.cleanup_incrementally(100_000, True).build())
        backend = harness.create()
        state = state_of(backend, descriptor)
        written = harness.clock.now_ms()
        for key in range(50):
            with at_key(backend, key):
                kind.write(state, 1)
        backend.end_batch()
        harness.clock.advance(_TTL_MS)
        _end_batches(harness, backend, 10)
        harness.clock.set(written)
        backend = harness.restored(backend)
        state = state_of(backend, descriptor)
        for key in range(50):
            with at_key(backend, key):
                assert kind.read(state) is None

    @every_kind
    def test_compact_filter(self, harness: BackendHarness, kind: TtlKind) -> None:
        """Keys that nobody ever touches again are physically gone after a bounded time."""
        backend = harness.create()
        state = state_of(backend, kind.declare(background=True))
        written = harness.clock.now_ms()
        for key in range(200):
            with at_key(backend, key):
                kind.write(state, 1)
        _end_batches(harness, backend)
        assert backend.entry_count("ttl") == 0
        harness.clock.set(written)
        backend = harness.restored(backend)
        state = state_of(backend, kind.declare(background=True))
        for key in range(200):
            with at_key(backend, key):
                assert kind.read(state) is None

    @every_kind
    def test_compact_filter_with_snapshot(self, harness: BackendHarness, kind: TtlKind) -> None:
        """What came expired out of a snapshot is removed as well, and the rest is kept."""
        backend = harness.create()
        state = state_of(backend, kind.declare(background=True))
        for key in range(50):
            with at_key(backend, key):
                kind.write(state, 1)
            if key == 24:
                harness.clock.advance(_TTL_MS)
        harness.clock.advance(_TTL_MS // 2)
        backend = harness.restored(backend)
        state = state_of(backend, kind.declare(background=True))
        backend.end_batch()
        harness.clock.advance(_TTL_MS // 2 - 1)
        for _ in range(5):
            backend.end_batch()
        for key in range(25, 50):
            with at_key(backend, key):
                assert kind.read(state) == kind.expected([1])
        _end_batches(harness, backend)
        assert backend.entry_count("ttl") == 0

    def test_compact_filter_cuts_elements_and_entries(self, harness: BackendHarness) -> None:
        """Of a list the expired elements go, of a map the expired entries; the others stay."""
        elements = ListStateDescriptor("list", Types.LONG())
        entries = MapStateDescriptor("map", Types.LONG(), Types.LONG())
        for descriptor in (elements, entries):
            descriptor.enable_time_to_live(ttl_config(background=True))
        backend = harness.create()
        lists, maps = state_of(backend, elements), state_of(backend, entries)
        written = harness.clock.now_ms()
        with at_key(backend, 1):
            lists.add_all([1, 2])
            maps.put_all({1: 1, 2: 2})
        backend.end_batch()
        _end_batches(harness, backend, 5)
        with at_key(backend, 1):
            lists.add(3)
            maps.put(3, 3)
        _end_batches(harness, backend, 4)
        harness.clock.set(written)
        backend = harness.restored(backend)
        lists, maps = state_of(backend, elements), state_of(backend, entries)
        with at_key(backend, 1):
            assert list(lists.get()) == [3]
            assert dict(maps.items()) == {3: 3}

    @every_kind
    def test_non_concurrent_snapshot_transformer_access(
        self, harness: BackendHarness, kind: TtlKind
    ) -> None:
        """Two snapshots that leave out what expired are written at once, each with its own time."""
        backend = harness.create()
        state = state_of(backend, kind.declare(full_snapshot=True))
        snapshots = []
        for turn in range(2):
            for key in range(30 * turn, 30 * turn + 30):
                with at_key(backend, key):
                    kind.write(state, 1)
            harness.clock.advance(60)
            snapshots.append(harness.start_snapshot(backend))
        with ThreadPoolExecutor(2) as threads:
            handles = list(threads.map(lambda snapshot: snapshot.write(), snapshots))
        for snapshot in snapshots:
            snapshot.release()
        for handle, first_alive, last_alive in ((handles[0], 0, 29), (handles[1], 30, 59)):
            restored = harness.create([handle])
            before = state_of(restored, kind.declare(full_snapshot=True))
            harness.clock.advance(-60 if handle is handles[0] else 60)
            for key in range(60):
                with at_key(restored, key):
                    expected = kind.expected([1]) if first_alive <= key <= last_alive else None
                    assert kind.read(before) == expected
            harness.dismiss(restored)
