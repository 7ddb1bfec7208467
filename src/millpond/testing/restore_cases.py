"""Conformance cases of restoring: carried states, wrong types, damaged streams."""

from __future__ import annotations

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    ValueStateDescriptor,
)
from millpond.datastream.window import TimeWindow
from millpond.errors import MillpondError, RestoreError, StateTypeError
from millpond.formats.handles import KeyGroupsHandle
from millpond.state.contract.namespace import TIME_WINDOW
from millpond.testing.backend_harness import BackendHarness, at_key, state_of
from millpond.testing.keyed_state_cases import LIST, MAP, REDUCING, VALUE, every_kind

__all__ = ("RestoreCases",)


class RestoreCases:
    """What a restored backend knows and what it refuses."""

    def test_snapshot_non_accessed_state(self, harness: BackendHarness) -> None:
        """States that nobody registers again are in the next snapshots all the same."""
        backend = harness.create()
        for key in (1, 2, 300):
            with at_key(backend, key):
                state_of(backend, VALUE).update(f"v{key}")
                state_of(backend, MAP).put("k", key)
                state_of(backend, LIST).add_all([key, key])
        timers = backend.timer_queue("user-timers", "event", TIME_WINDOW)
        timers.add(5, 1, TimeWindow(0, 5))
        backend = harness.restored(backend)
        with at_key(backend, 1):
            state_of(backend, LIST).add(9)
        backend = harness.restored(backend)
        backend = harness.restored(backend)
        for key in (1, 2, 300):
            with at_key(backend, key):
                assert state_of(backend, VALUE).value() == f"v{key}"
                assert dict(state_of(backend, MAP).items()) == {"k": key}
                assert list(state_of(backend, LIST).get()) == [key, key] + [9] * (key == 1)
        timers = backend.timer_queue("user-timers", "event", TIME_WINDOW)
        assert list(timers) == [(5, 1, TimeWindow(0, 5))]

    def test_restore_every_kind(self, harness: BackendHarness) -> None:
        """Each kind comes back, several times over."""
        backend = harness.create()
        for key in range(40):
            with at_key(backend, key):
                for descriptor in every_kind():
                    state = state_of(backend, descriptor)
                    if hasattr(state, "put"):
                        state.put("k", key)
                    elif hasattr(state, "add"):
                        state.add(key)
                    else:
                        state.update(str(key))
        for _ in range(3):
            backend = harness.restored(backend)
            for key in range(40):
                with at_key(backend, key):
                    for descriptor in every_kind():
                        state = state_of(backend, descriptor)
                        if hasattr(state, "put"):
                            assert dict(state.items()) == {"k": key}
                        elif hasattr(state, "add_all"):
                            assert list(state.get()) == [key]
                        elif hasattr(state, "add"):
                            assert state.get() == key
                        else:
                            assert state.value() == str(key)

    @pytest.mark.parametrize(
        ("written", "declared"),
        [
            pytest.param(VALUE, ValueStateDescriptor("value", Types.LONG()), id="value"),
            pytest.param(LIST, ListStateDescriptor("list", Types.STRING()), id="list"),
            pytest.param(
                REDUCING,
                ReducingStateDescriptor("reducing", lambda a, _: a, Types.STRING()),
                id="reducing",
            ),
            pytest.param(
                MAP, MapStateDescriptor("map", Types.STRING(), Types.STRING()), id="map value"
            ),
            pytest.param(MAP, MapStateDescriptor("map", Types.LONG(), Types.LONG()), id="map key"),
            pytest.param(VALUE, ListStateDescriptor("value", Types.STRING()), id="kind"),
            pytest.param(
                LIST,
                ReducingStateDescriptor("list", lambda a, _: a, Types.LONG()),
                id="list as reducing",
            ),
        ],
    )
    def test_state_restore_with_wrong_serializers(
        self, harness: BackendHarness, written: StateDescriptor, declared: StateDescriptor
    ) -> None:
        """Another kind or type is refused by an error that names both; the old one still works."""
        backend = harness.create()
        state = state_of(backend, written)
        with at_key(backend, 1):
            if hasattr(state, "put"):
                state.put("k", 1)
            elif hasattr(state, "add"):
                state.add(1)
            else:
                state.update("x")
        handle = harness.snapshot(backend)
        backend = harness.create([handle])
        with pytest.raises(StateTypeError) as caught:
            state_of(backend, declared)
        assert written.type_info is not None
        assert declared.type_info is not None
        assert written.type_info.signature in str(caught.value)
        assert declared.type_info.signature in str(caught.value)
        state = state_of(backend, written)
        with at_key(backend, 1):
            assert state.get("k") == 1 if hasattr(state, "put") else True

    def test_restore_with_wrong_namespaces(self, harness: BackendHarness) -> None:
        """State of windows cannot become state without."""
        backend = harness.create()
        state = state_of(backend, VALUE, TIME_WINDOW)
        with at_key(backend, 1):
            state.current_namespace = TimeWindow(0, 1)
            state.update("x")
        backend = harness.create([harness.snapshot(backend)])
        with pytest.raises(StateTypeError, match="time-window"):
            state_of(backend, VALUE)

    def test_restore_with_wrong_key_serializer(self, harness: BackendHarness) -> None:
        """Keys of another type than the snapshot's are refused."""
        backend = harness.create()
        with at_key(backend, 1):
            state_of(backend, VALUE).update("x")
        handle = harness.snapshot(backend)
        with pytest.raises((RestoreError, StateTypeError)):
            state_of(harness.create([handle], key_type=Types.STRING()), VALUE)

    def test_restore_from_a_damaged_stream(self, harness: BackendHarness) -> None:
        """A truncated stream gives a named error, whatever byte is the last."""
        backend = harness.create()
        for key in range(20):
            with at_key(backend, key):
                state_of(backend, VALUE).update("x")
        handle = harness.snapshot(backend)
        if not isinstance(handle, KeyGroupsHandle):
            pytest.skip("this kind of snapshot is not one stream")
        data = harness.snapshots.content(handle.stream)
        for size in (0, 3, len(data) // 2, len(data) - 1):
            harness.snapshots.replace(handle.stream, data[:size])
            with pytest.raises(MillpondError):
                state_of(harness.create([handle]), VALUE)
