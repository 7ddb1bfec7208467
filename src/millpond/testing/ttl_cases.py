"""Conformance cases of time to live, named after Flink's TtlStateTestBase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from millpond.common.time import Time
from millpond.common.typeinfo import Types
from millpond.datastream.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millpond.datastream.window import TimeWindow
from millpond.errors import StateTypeError
from millpond.state.contract.namespace import TIME_WINDOW, VOID_NAMESPACE
from millpond.testing.backend_harness import BackendHarness, at_key, state_of
from millpond.testing.keyed_state_cases import SumOfCopies

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("TTL_KINDS", "TtlCases", "TtlKind", "every_kind", "ttl_config")

_TTL_MS = 100


@dataclass(frozen=True)
class TtlKind:
    """One kind of state: how to declare, write and read it.

    `write` takes a number from 1 to 9; `read` gives what several writes make, None if nothing.
    """

    name: str
    descriptor: Callable[[], StateDescriptor]
    write: Callable[[Any, int], None]
    read: Callable[[Any], Any]
    expected: Callable[[list[int]], Any]

    def declare(self, *, forever: bool = False, **settings: Any) -> StateDescriptor:
        """Return a descriptor with a TTL of 100 ms, or without."""
        descriptor = self.descriptor()
        if not forever:
            descriptor.enable_time_to_live(ttl_config(**settings))
        return descriptor


def ttl_config(
    *,
    on_read: bool = False,
    relaxed: bool = False,
    full_snapshot: bool = False,
    background: bool = False,
    ttl_ms: int = _TTL_MS,
) -> StateTtlConfig:
    """Return a configuration without clean-up, except what is asked for."""
    builder = StateTtlConfig.new_builder(Time.milliseconds(ttl_ms))
    if on_read:
        builder.update_ttl_on_read_and_write()
    if relaxed:
        builder.return_expired_if_not_cleaned_up()
    if full_snapshot:
        builder.cleanup_full_snapshot()
    if not background:
        builder.disable_cleanup_in_background()
    return builder.build()


TTL_KINDS = [
    TtlKind(
        "value",
        lambda: ValueStateDescriptor("ttl", Types.LONG()),
        lambda state, number: state.update(number),
        lambda state: state.value(),
        lambda numbers: numbers[-1] if numbers else None,
    ),
    TtlKind(
        "list",
        lambda: ListStateDescriptor("ttl", Types.LONG()),
        lambda state, number: state.add(number),
        lambda state: list(state.get()) or None,
        lambda numbers: numbers or None,
    ),
    TtlKind(
        "map entry",
        lambda: MapStateDescriptor("ttl", Types.STRING(), Types.LONG()),
        lambda state, number: state.put("k", number),
        lambda state: state.get("k"),
        lambda numbers: numbers[-1] if numbers else None,
    ),
    TtlKind(
        "map all entries",
        lambda: MapStateDescriptor("ttl", Types.LONG(), Types.LONG()),
        lambda state, number: state.put(number, number),
        lambda state: dict(state.items()) or None,
        lambda numbers: {number: number for number in numbers} or None,
    ),
    TtlKind(
        "reducing",
        lambda: ReducingStateDescriptor("ttl", lambda a, b: a + b, Types.LONG()),
        lambda state, number: state.add(number),
        lambda state: state.get(),
        lambda numbers: sum(numbers) if numbers else None,
    ),
    TtlKind(
        "aggregating",
        lambda: AggregatingStateDescriptor("ttl", SumOfCopies(), Types.PICKLED_BYTE_ARRAY()),
        lambda state, number: state.add(number),
        lambda state: state.get(),
        lambda numbers: sum(numbers) if numbers else None,
    ),
]

every_kind = pytest.mark.parametrize("kind", TTL_KINDS, ids=lambda kind: kind.name)


class _EveryKind:
    """Cases that run for each kind."""

    @every_kind
    def test_ttl_non_existent_value(self, harness: BackendHarness, kind: TtlKind) -> None:
        """Nothing written, nothing read."""
        backend = harness.create()
        state = state_of(backend, kind.declare())
        with at_key(backend, 1):
            assert kind.read(state) is None

    @every_kind
    def test_ttl_exact_expiration_on_write(self, harness: BackendHarness, kind: TtlKind) -> None:
        """It is gone exactly one TTL after the last write; reading does not extend."""
        backend = harness.create()
        state = state_of(backend, kind.declare())
        with at_key(backend, 1):
            kind.write(state, 1)
            harness.clock.advance(_TTL_MS - 1)
            assert kind.read(state) == kind.expected([1])
            harness.clock.advance(1)
            assert kind.read(state) is None
            kind.write(state, 2)
            assert kind.read(state) == kind.expected([2])
            harness.clock.advance(_TTL_MS)
            kind.write(state, 3)
            assert kind.read(state) == kind.expected([3])

    @every_kind
    def test_ttl_relaxed_expiration_on_write(self, harness: BackendHarness, kind: TtlKind) -> None:
        """An expired value is returned once more, then it is gone."""
        backend = harness.create()
        state = state_of(backend, kind.declare(relaxed=True))
        with at_key(backend, 1):
            kind.write(state, 1)
            harness.clock.advance(_TTL_MS)
            if kind.name != "map all entries":
                assert kind.read(state) == kind.expected([1])
            else:
                kind.read(state)
            assert kind.read(state) is None

    @every_kind
    def test_ttl_exact_expiration_on_read(self, harness: BackendHarness, kind: TtlKind) -> None:
        """Each read extends the life by a whole TTL."""
        backend = harness.create()
        state = state_of(backend, kind.declare(on_read=True))
        with at_key(backend, 1):
            kind.write(state, 1)
            for _ in range(5):
                harness.clock.advance(_TTL_MS - 1)
                assert kind.read(state) == kind.expected([1])
            harness.clock.advance(_TTL_MS)
            assert kind.read(state) is None

    @every_kind
    def test_ttl_relaxed_expiration_on_read(self, harness: BackendHarness, kind: TtlKind) -> None:
        """Reads extend; what expired is returned once more at most."""
        backend = harness.create()
        state = state_of(backend, kind.declare(on_read=True, relaxed=True))
        with at_key(backend, 1):
            kind.write(state, 1)
            harness.clock.advance(_TTL_MS - 1)
            assert kind.read(state) == kind.expected([1])
            harness.clock.advance(_TTL_MS)
            kind.read(state)
            assert kind.read(state) is None

    @every_kind
    def test_ttl_expiration_timestamp_overflow(
        self, harness: BackendHarness, kind: TtlKind
    ) -> None:
        """A huge TTL never expires."""
        backend = harness.create()
        state = state_of(backend, kind.declare(ttl_ms=(1 << 63) - 1))
        with at_key(backend, 1):
            kind.write(state, 1)
            harness.clock.advance(10**15)
            assert kind.read(state) == kind.expected([1])

    @every_kind
    def test_ttl_multiple_keys(self, harness: BackendHarness, kind: TtlKind) -> None:
        """Each key has its own time; a snapshot keeps the times."""
        self._multiple_keys(harness, kind, full_snapshot=False)

    @every_kind
    def test_ttl_multiple_keys_with_snapshot_cleanup(
        self, harness: BackendHarness, kind: TtlKind
    ) -> None:
        """A full snapshot may leave out what expired; the rest is there."""
        self._multiple_keys(harness, kind, full_snapshot=True)

    def _multiple_keys(
        self, harness: BackendHarness, kind: TtlKind, *, full_snapshot: bool
    ) -> None:
        backend = harness.create()
        state = state_of(backend, kind.declare(full_snapshot=full_snapshot))
        for key in range(10):
            with at_key(backend, key):
                kind.write(state, 1)
                kind.write(state, 2)
            harness.clock.advance(10)
        harness.clock.advance(50)  # key k was written 150 - 10 * k ms ago
        backend = harness.restored(backend)
        state = state_of(backend, kind.declare(full_snapshot=full_snapshot))
        for key in range(10):
            with at_key(backend, key):
                assert kind.read(state) == (kind.expected([1, 2]) if key > 5 else None)
        harness.clock.advance(30)
        for key in range(10):
            with at_key(backend, key):
                assert kind.read(state) == (kind.expected([1, 2]) if key > 8 else None)

    @every_kind
    def test_ttl_multiple_namespaces(self, harness: BackendHarness, kind: TtlKind) -> None:
        """Each namespace has its own time."""
        backend = harness.create()
        state = state_of(backend, kind.declare(), TIME_WINDOW)
        windows = [TimeWindow(number, number + 1) for number in range(3)]
        for window in windows:
            with at_key(backend, 1):
                state.current_namespace = window
                kind.write(state, 5)
            harness.clock.advance(40)
        backend = harness.restored(backend)
        state = state_of(backend, kind.declare(), TIME_WINDOW)
        for window, alive in zip(windows, (False, True, True), strict=True):
            with at_key(backend, 1):
                state.current_namespace = window
                assert kind.read(state) == (kind.expected([5]) if alive else None)

    @every_kind
    def test_ttl_snapshot_change_restore(self, harness: BackendHarness, kind: TtlKind) -> None:
        """Writes after a snapshot are not in it; its timestamps are those of the writes."""
        backend = harness.create()
        state = state_of(backend, kind.declare())
        with at_key(backend, 1):
            kind.write(state, 1)
        harness.clock.advance(50)
        snapshot = harness.start_snapshot(backend)
        with at_key(backend, 1):
            kind.write(state, 2)
        with at_key(backend, 2):
            kind.write(state, 3)
        handle = snapshot.write()
        snapshot.release()
        restored = harness.create([handle])
        state = state_of(restored, kind.declare())
        with at_key(restored, 2):
            assert kind.read(state) is None
        with at_key(restored, 1):
            harness.clock.advance(49)
            assert kind.read(state) == kind.expected([1])
            harness.clock.advance(1)
            assert kind.read(state) is None

    @every_kind
    def test_restore_ttl_and_register_non_ttl_state_compat_failure(
        self, harness: BackendHarness, kind: TtlKind
    ) -> None:
        """TTL can be neither switched on nor off for state that is there."""
        for was_forever in (False, True):
            backend = harness.create()
            state = state_of(backend, kind.declare(forever=was_forever))
            with at_key(backend, 1):
                kind.write(state, 1)
            backend = harness.restored(backend)
            with pytest.raises(StateTypeError, match="TTL"):
                state_of(backend, kind.declare(forever=not was_forever))
            backend.close()

    @every_kind
    def test_ttl_disabled(self, harness: BackendHarness, kind: TtlKind) -> None:
        """The update type Disabled is as no TTL at all."""
        builder = StateTtlConfig.new_builder(Time.milliseconds(1))
        builder.set_update_type(StateTtlConfig.UpdateType.Disabled)
        descriptor = kind.descriptor()
        descriptor.enable_time_to_live(builder.build())
        backend = harness.create()
        state = state_of(backend, descriptor)
        with at_key(backend, 1):
            kind.write(state, 1)
            harness.clock.advance(10_000)
            assert kind.read(state) == kind.expected([1])

    @every_kind
    def test_incremental_cleanup(self, harness: BackendHarness, kind: TtlKind) -> None:
        """What expired is physically gone after some batches, though nobody touches it."""
        backend = harness.create()
        state = state_of(backend, kind.declare(background=True))
        for key in range(50):
            with at_key(backend, key):
                kind.write(state, 1)
        for _ in range(60):
            harness.clock.advance(10)
            with at_key(backend, 7):
                kind.write(state, 2)
            backend.end_batch()
        assert list(backend.keys("ttl", VOID_NAMESPACE)) == [7]

    @every_kind
    def test_incremental_cleanup_with_snapshots(
        self, harness: BackendHarness, kind: TtlKind
    ) -> None:
        """Snapshots taken while expired entries are removed stay consistent."""
        backend = harness.create()
        state = state_of(backend, kind.declare(background=True))
        snapshots = []
        for turn in range(12):
            with at_key(backend, turn):
                kind.write(state, 1)
            snapshots.append((harness.clock.now_ms(), harness.start_snapshot(backend)))
            harness.clock.advance(30)
            backend.end_batch()
            if len(snapshots) > 2:
                taken_at, snapshot = snapshots.pop(0)
                handle = snapshot.write()
                snapshot.release()
                now = harness.clock.now_ms()
                harness.clock.set(taken_at)
                restored = harness.create([handle])
                before = state_of(restored, kind.declare(background=True))
                for key in range(turn - 2 - 3, turn - 1):
                    with at_key(restored, key):
                        alive = 0 <= key <= turn - 2
                        assert kind.read(before) == (kind.expected([1]) if alive else None)
                restored.close()
                harness.clock.set(now)
        for _, snapshot in snapshots:
            snapshot.cancel()
            snapshot.release()


class TtlCases(_EveryKind):
    """Cases that run for each kind, and those of some kinds."""

    def test_value_state_work_with_ttl(self, harness: BackendHarness) -> None:
        """A value of any class can have a TTL, and is None when it expired."""
        descriptor = ValueStateDescriptor("object", None)
        descriptor.enable_time_to_live(ttl_config())
        backend = harness.create()
        state = state_of(backend, descriptor)
        with at_key(backend, 1):
            state.update({"a": {1, 2}})
        backend = harness.restored(backend)
        state = state_of(backend, descriptor)
        with at_key(backend, 1):
            assert state.value() == {"a": {1, 2}}
            state.update(None)
            assert state.value() is None
            state.update(5)
            harness.clock.advance(_TTL_MS)
            assert state.value() is None

    @pytest.mark.parametrize(
        "kind",
        [kind for kind in TTL_KINDS if kind.name in {"list", "reducing", "aggregating"}],
        ids=lambda kind: kind.name,
    )
    def test_ttl_merge_namespaces(self, harness: BackendHarness, kind: TtlKind) -> None:
        """What has not expired is merged."""
        backend = harness.create()
        state = state_of(backend, kind.declare(), TIME_WINDOW)
        windows = [TimeWindow(number, number + 1) for number in range(4)]
        for window in windows:
            with at_key(backend, 1):
                state.current_namespace = window
                kind.write(state, window.start + 1)
            harness.clock.advance(30)
        with at_key(backend, 1):
            state.merge_namespaces(windows[1], [windows[0], windows[2], windows[3]])
            state.current_namespace = windows[1]
            assert kind.read(state) == kind.expected([2, 3, 4])
            for window in (windows[0], *windows[2:]):
                state.current_namespace = window
                assert kind.read(state) is None

    def test_ttl_list_elements_expire_one_by_one(self, harness: BackendHarness) -> None:
        """Each element has its own time, after a restore too."""
        descriptor = ListStateDescriptor("list", Types.LONG())
        descriptor.enable_time_to_live(ttl_config())
        backend = harness.create()
        state = state_of(backend, descriptor)
        for number in range(5):
            with at_key(backend, 1):
                state.add_all([number, number])
            harness.clock.advance(30)
        backend = harness.restored(backend)
        state = state_of(backend, descriptor)
        with at_key(backend, 1):
            assert list(state.get()) == [2, 2, 3, 3, 4, 4]
            harness.clock.advance(30)
            assert list(state.get()) == [3, 3, 4, 4]
            state.update([9])
            harness.clock.advance(90)
            assert list(state.get()) == [9]

    def test_ttl_map_entries_expire_one_by_one(self, harness: BackendHarness) -> None:
        """Each entry has its own time; `contains` counts as a read."""
        descriptor = MapStateDescriptor("map", Types.LONG(), Types.LONG())
        descriptor.enable_time_to_live(ttl_config(on_read=True))
        backend = harness.create()
        state = state_of(backend, descriptor)
        with at_key(backend, 1):
            state.put_all({1: 10, 2: 20, 3: None})
            harness.clock.advance(90)
            assert state.contains(1)
            assert not state.contains(4)
        backend = harness.restored(backend)
        state = state_of(backend, descriptor)
        with at_key(backend, 1):
            harness.clock.advance(90)
            assert dict(state.items()) == {1: 10}
            entries = state.items()
            next(entries)
            entries.remove()
            assert state.is_empty()
            state.put(5, None)
            assert list(state.keys()) == [5]
            state.remove(5)
            assert list(state.values()) == []
