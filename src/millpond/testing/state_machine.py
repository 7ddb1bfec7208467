"""`StateStoreMachine`: a Hypothesis state machine that drives any store against a model.

It interleaves accesses of every kind with snapshots in flight, cancellations, restores with other
parallelisms, moves of the clock and batch ends. Subclass it and say how a store is made::

    class MyMachine(StateStoreMachine):
        def make_store(self):
            return MyStateStore()

    def test_my_store():
        check_store(MyMachine, steps=500)
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from millpond.datastream.state import ListState, MapState, ValueState
from millpond.datastream.window import TimeWindow
from millpond.errors import CheckpointDeclinedError
from millpond.state.contract.namespace import TIME_WINDOW, VOID, VOID_NAMESPACE
from millpond.state.contract.snapshot import Snapshot, SnapshotOptions
from millpond.testing.backend_harness import BackendHarness, at_key, state_of
from millpond.testing.state_model import TTL_MS, StateModel, state_descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.formats.handles import KeyedHandle
    from millpond.state.contract.keyed_backend import KeyedStateBackend, StateStore

__all__ = ("StateStoreMachine", "check_store")

_MAX_PARALLELISM = 16
_KEYS = st.integers(-2, 5)
_NUMBERS = st.integers(-100, 100)
_MAP_KEYS = st.sampled_from(["", "a", "b", "ab", "\u00e9\U0001f600"])
_WINDOWS = st.sampled_from([TimeWindow(start, start + 10) for start in (-10, 0, 10)])
_PLAIN = ("number", "object", "list", "map", "sum", "aggregate")
_TIMES = st.integers(-5, 20)


@dataclass
class _InFlight:
    checkpoint_id: int
    snapshots: list[Snapshot[KeyedHandle | None]]
    model: StateModel


class StateStoreMachine(RuleBasedStateMachine):
    """One operator with some subtasks on a store, beside a model."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory(prefix="state-machine-")
        self._harness = BackendHarness(
            self.make_store(),
            Path(self._directory.name),
            max_parallelism=_MAX_PARALLELISM,
            options=self.snapshot_options(),
        )
        self._model = StateModel()
        self._subtasks: list[KeyedStateBackend] = self._harness.subtasks(1)
        self._checkpoint_id = 0
        self._preparing: list[Iterator[bool]] = []
        self._in_flight: list[_InFlight] = []
        self._completed: list[tuple[list[KeyedHandle | None], StateModel]] = []

    def make_store(self) -> StateStore:
        """Return a new store."""
        raise TypeError("Override make_store() in your subclass.")

    def snapshot_options(self) -> SnapshotOptions:
        """Return the kind of snapshots to take."""
        return SnapshotOptions()

    def teardown(self) -> None:
        """Close everything."""
        self._abandon()
        self._harness.close()
        self._directory.cleanup()

    # -- access

    def _backend(self, key: int) -> KeyedStateBackend:
        return self._subtasks[self._harness.owner(key, len(self._subtasks))]

    def _state(self, backend: KeyedStateBackend, name: str) -> Any:
        # Registered at the first access, so that restored states are carried along until then.
        namespace = TIME_WINDOW if name.startswith("window") else VOID
        return state_of(backend, state_descriptors()[name], namespace)

    @property
    def _now(self) -> int:
        return self._harness.clock.now_ms()

    # -- values

    @rule(key=_KEYS, number=st.one_of(st.none(), _NUMBERS))
    def update_number(self, key: int, number: int | None) -> None:
        """Write or clear a number."""
        backend = self._backend(key)
        with at_key(backend, key):
            self._state(backend, "number").update(number)
        if number is None:
            self._model.entries.pop(("number", key, None), None)
        else:
            self._model.entries["number", key, None] = number

    @rule(key=_KEYS)
    def read_number(self, key: int) -> None:
        """Read a number."""
        backend = self._backend(key)
        with at_key(backend, key):
            value = self._state(backend, "number").value()
        assert value == self._model.entries.get(("number", key, None))

    @rule(key=_KEYS, number=_NUMBERS)
    def change_object_in_place(self, key: int, number: int) -> None:
        """Read an object, change it and write it back."""
        backend = self._backend(key)
        with at_key(backend, key):
            state = self._state(backend, "object")
            value = state.value()
            assert value == self._model.entries.get(("object", key, None))
            value = {"numbers": []} if value is None else value
            value["numbers"].append(number)
            state.update(value)
        stored = self._model.entries.setdefault(("object", key, None), {"numbers": []})
        stored["numbers"].append(number)

    @rule(key=_KEYS, name=st.sampled_from(_PLAIN))
    def clear(self, key: int, name: str) -> None:
        """Clear a state."""
        backend = self._backend(key)
        with at_key(backend, key):
            self._state(backend, name).clear()
        self._model.entries.pop((name, key, None), None)

    # -- lists, sums

    @rule(key=_KEYS, numbers=st.lists(_NUMBERS, max_size=4), replace=st.booleans())
    def write_list(self, key: int, numbers: list[int], replace: bool) -> None:
        """Replace a list or append to it."""
        backend = self._backend(key)
        with at_key(backend, key):
            state = self._state(backend, "list")
            if replace:
                state.update(numbers)
            else:
                state.add_all(numbers)
        before = [] if replace else self._model.entries.get(("list", key, None), [])
        self._model.entries.pop(("list", key, None), None)
        if before + numbers:
            self._model.entries["list", key, None] = before + numbers

    @rule(key=_KEYS)
    def read_list(self, key: int) -> None:
        """Read a list."""
        backend = self._backend(key)
        with at_key(backend, key):
            elements = list(self._state(backend, "list").get())
        assert elements == self._model.entries.get(("list", key, None), [])

    @rule(key=_KEYS, number=_NUMBERS, name=st.sampled_from(["sum", "aggregate"]))
    def add(self, key: int, number: int, name: str) -> None:
        """Add to a sum."""
        backend = self._backend(key)
        with at_key(backend, key):
            state = self._state(backend, name)
            assert state.get() == self._model.entries.get((name, key, None))
            state.add(number)
        sums = self._model.entries
        sums[name, key, None] = sums.get((name, key, None), 0) + number

    # -- maps

    @rule(key=_KEYS, entries=st.dictionaries(_MAP_KEYS, st.one_of(st.none(), _NUMBERS)))
    def put_all(self, key: int, entries: dict[str, int | None]) -> None:
        """Put map entries, None among the values."""
        backend = self._backend(key)
        with at_key(backend, key):
            self._state(backend, "map").put_all(entries)
        if entries:
            self._model.entries.setdefault(("map", key, None), {}).update(entries)

    @rule(key=_KEYS, map_key=_MAP_KEYS)
    def remove_from_map(self, key: int, map_key: str) -> None:
        """Remove a map entry."""
        backend = self._backend(key)
        with at_key(backend, key):
            self._state(backend, "map").remove(map_key)
        self._forget(key, {map_key})

    @rule(key=_KEYS, removed=st.sets(_MAP_KEYS), changed=st.dictionaries(_MAP_KEYS, _NUMBERS))
    def iterate_over_map(self, key: int, removed: set[str], changed: dict[str, int]) -> None:
        """Iterate over a map; change it at the first step, and remove some entries meanwhile."""
        backend = self._backend(key)
        seen: set[str] = set()
        before = dict(self._model.entries.get(("map", key, None), {}))
        with at_key(backend, key):
            entries = self._state(backend, "map").items()
            for map_key, value in entries:
                assert value == (changed if seen else before).get(map_key, before[map_key])
                if not seen:
                    self.put_all(key, changed)
                seen.add(map_key)
                if map_key in removed:
                    entries.remove()
        assert seen == set(before)
        self._forget(key, removed & seen)

    def _forget(self, key: int, removed: set[str]) -> None:
        entries = self._model.entries.get(("map", key, None), {})
        for map_key in removed:
            entries.pop(map_key, None)
        if not entries:
            self._model.entries.pop(("map", key, None), None)

    @rule(key=_KEYS, map_key=_MAP_KEYS)
    def read_map(self, key: int, map_key: str) -> None:
        """Look into a map."""
        backend = self._backend(key)
        model = self._model.entries.get(("map", key, None), {})
        with at_key(backend, key):
            state = self._state(backend, "map")
            assert state.get(map_key) == model.get(map_key)
            assert state.contains(map_key) == (model.get(map_key) is not None)
            assert state.is_empty() == (not model)

    # -- windows

    @rule(key=_KEYS, window=_WINDOWS, number=_NUMBERS)
    def add_to_window(self, key: int, window: TimeWindow, number: int) -> None:
        """Add an object that can be changed to a window's list."""
        backend = self._backend(key)
        with at_key(backend, key):
            state = self._state(backend, "window list")
            state.current_namespace = window
            state.add([number])
            elements = list(state.get())
        model = self._model.entries.setdefault(("window list", key, window), [])
        model.append([number])
        assert elements == model

    @rule(key=_KEYS, into=_WINDOWS, source=_WINDOWS)
    def merge_windows(self, key: int, into: TimeWindow, source: TimeWindow) -> None:
        """Merge one window's list into another's."""
        if into == source:
            return
        backend = self._backend(key)
        with at_key(backend, key):
            self._state(backend, "window list").merge_namespaces(into, [source])
        moved = self._model.entries.pop(("window list", key, source), [])
        if moved:
            self._model.entries.setdefault(("window list", key, into), []).extend(moved)

    @rule(key=_KEYS, window=_WINDOWS)
    def clear_window(self, key: int, window: TimeWindow) -> None:
        """Clear a window's list."""
        backend = self._backend(key)
        with at_key(backend, key):
            state = self._state(backend, "window list")
            state.current_namespace = window
            state.clear()
        self._model.entries.pop(("window list", key, window), None)

    # -- time to live

    @rule(milliseconds=st.integers(0, TTL_MS))
    def advance_clock(self, milliseconds: int) -> None:
        """Let time pass."""
        self._harness.clock.advance(milliseconds)

    @rule(key=_KEYS, map_key=_MAP_KEYS, number=_NUMBERS)
    def write_expiring(self, key: int, map_key: str, number: int) -> None:
        """Write to the states with TTL."""
        backend, now = self._backend(key), self._now
        with at_key(backend, key):
            self._state(backend, "ttl value").update(number)
            self._state(backend, "ttl list").add(number)
            self._state(backend, "ttl map").put(map_key, number)
        expiring = self._model.expiring
        expiring["ttl value", key] = (now, number)
        expiring.setdefault(("ttl list", key), []).append((now, number))
        expiring.setdefault(("ttl map", key), {})[map_key] = (now, number)

    @rule(key=_KEYS, map_key=_MAP_KEYS)
    def read_expiring(self, key: int, map_key: str) -> None:
        """Read the states with TTL: what expired is not seen."""
        backend, now, model = self._backend(key), self._now, self._model
        with at_key(backend, key):
            assert self._state(backend, "ttl value").value() == model.alive_value(
                "ttl value", key, now
            )
            elements = list(self._state(backend, "ttl list").get())
            assert elements == model.alive_list("ttl list", key, now)
            entries = model.alive_map("ttl map", key, now)
            state = self._state(backend, "ttl map")
            assert state.get(map_key) == entries.get(map_key)
            assert dict(state.items()) == entries

    # -- timers

    @rule(key=_KEYS, timestamp=_TIMES, present=st.booleans())
    def set_timer(self, key: int, timestamp: int, present: bool) -> None:
        """Add or remove a timer."""
        timers = self._backend(key).timer_queue("user-timers", "event", VOID)
        if present:
            timers.add(timestamp, key, VOID_NAMESPACE)
            self._model.timers.add((timestamp, key))
        else:
            timers.remove(timestamp, key, VOID_NAMESPACE)
            self._model.timers.discard((timestamp, key))

    @rule(up_to=_TIMES)
    def poll_timers(self, up_to: int) -> None:
        """Let timers fire."""
        fired: list[tuple[int, int]] = []
        for backend in self._subtasks:
            timers = backend.timer_queue("user-timers", "event", VOID)
            while due := timers.poll(up_to):
                fired.extend((timestamp, key) for timestamp, key, _ in due)
            assert timers.poll(up_to) == []
        expected = {timer for timer in self._model.timers if timer[0] <= up_to}
        assert sorted(fired) == sorted(expected)
        self._model.timers -= expected

    # -- snapshots

    @rule()
    def end_batch(self) -> None:
        """End a batch: stores do their bounded work."""
        for backend in self._subtasks:
            backend.end_batch()

    @rule(pieces=st.integers(0, 8))
    def prepare_checkpoint(self, pieces: int) -> None:
        """Let all subtasks work ahead of the next snapshot, perhaps not to the end."""
        next_one = self._checkpoint_id + 1, self.snapshot_options()
        if not self._preparing:
            self._preparing = [each.prepare_snapshot(*next_one) for each in self._subtasks]
        for _ in range(pieces):
            self._preparing = [each for each in self._preparing if next(each, self) is not self]

    @precondition(lambda self: len(self._in_flight) < 3)
    @rule()
    def start_checkpoint(self) -> None:
        """Capture all subtasks."""
        self._checkpoint_id += 1
        snapshots = [
            backend.snapshot(self._checkpoint_id, self._harness.snapshots, self.snapshot_options())
            for backend in self._subtasks
        ]
        self._preparing = []
        self._in_flight.append(_InFlight(self._checkpoint_id, snapshots, self._model.copy()))

    @precondition(lambda self: self._in_flight)
    @rule(data=st.data())
    def complete_checkpoint(self, data: st.DataObject) -> None:
        """Write one of the captured snapshots."""
        checkpoint = self._in_flight.pop(data.draw(st.integers(0, len(self._in_flight) - 1)))
        handles = []
        for snapshot in checkpoint.snapshots:
            handles.append(snapshot.write())
            snapshot.release()
        for backend in self._subtasks:
            backend.notify_checkpoint_complete(checkpoint.checkpoint_id)
        self._verify(handles, checkpoint.model)
        self._completed = [*self._completed[-2:], (handles, checkpoint.model)]

    @precondition(lambda self: self._in_flight)
    @rule(data=st.data())
    def cancel_checkpoint(self, data: st.DataObject) -> None:
        """Give up one of the captured snapshots."""
        checkpoint = self._in_flight.pop(data.draw(st.integers(0, len(self._in_flight) - 1)))
        for snapshot in checkpoint.snapshots:
            snapshot.cancel()
            try:
                snapshot.write()
            except CheckpointDeclinedError:
                pass
            finally:
                snapshot.release()
        for backend in self._subtasks:
            backend.notify_checkpoint_aborted(checkpoint.checkpoint_id)

    @precondition(lambda self: self._completed)
    @rule(data=st.data(), parallelism=st.integers(1, 5))
    def restore(self, data: st.DataObject, parallelism: int) -> None:
        """Start again from a completed checkpoint, with another parallelism."""
        handles, model = data.draw(st.sampled_from(self._completed))
        self._abandon()
        self._completed = []
        for backend in self._subtasks:
            backend.close()
        self._model = model.copy()
        self._subtasks = self._harness.subtasks(parallelism, handles)

    def _verify(self, handles: list[KeyedHandle | None], model: StateModel) -> None:
        """Restore a checkpoint on the side and compare every entry with the model."""
        probe = self._harness.create(handles)
        for (name, key, namespace), expected in model.entries.items():
            state = self._state(probe, name)
            with at_key(probe, key):
                state.current_namespace = namespace
                assert _content(state) == expected
        for name, key in model.expiring:
            state = self._state(probe, name)
            with at_key(probe, key):
                if name == "ttl value":
                    assert state.value() == model.alive_value(name, key, self._now)
                elif name == "ttl list":
                    assert list(state.get()) == model.alive_list(name, key, self._now)
                else:
                    assert dict(state.items()) == model.alive_map(name, key, self._now)
        self._check_keys([probe], model)
        self._harness.dismiss(probe)

    def _abandon(self) -> None:
        for checkpoint in self._in_flight:
            for snapshot in checkpoint.snapshots:
                snapshot.cancel()
                snapshot.release()
        self._in_flight, self._preparing = [], []

    # -- everything at once

    @rule()
    def check_all_keys(self) -> None:
        """Compare keys and timers of all subtasks with the model."""
        self._check_keys(self._subtasks, self._model)

    def _check_keys(self, subtasks: list[KeyedStateBackend], model: StateModel) -> None:
        for name in _PLAIN:
            keys = self._keys(subtasks, name)
            assert sorted(keys) == sorted(model.keys(name, None))
        for name in ("ttl value", "ttl list", "ttl map"):
            keys = self._keys(subtasks, name)
            assert len(keys) == len(set(keys))
            assert model.alive_keys(name, self._now) <= set(keys)
            assert set(keys) <= {key for of, key in model.expiring if of == name}
        pairs = []
        for backend in subtasks:
            self._state(backend, "window list")
            pairs += list(backend.keys_and_namespaces("window list"))
        expected = {(k, window) for _, k, window in model.entries if window is not None}
        assert len(pairs) == len(expected)
        assert set(pairs) == expected
        timers = []
        for backend in subtasks:
            timers += list(backend.timer_queue("user-timers", "event", VOID))
        assert sorted((t, key) for t, key, _ in timers) == sorted(model.timers)

    def _keys(self, subtasks: list[KeyedStateBackend], name: str) -> list[int]:
        keys: list[int] = []
        for backend in subtasks:
            self._state(backend, name)
            keys += backend.keys(name, VOID_NAMESPACE)
        return keys

    @invariant()
    def no_stream_is_left_open(self) -> None:
        """Snapshots leave no open streams behind."""
        assert self._harness.snapshots.open_streams == 0


def _content(state: Any) -> Any:
    """Return all that a state without TTL holds under the current key."""
    if isinstance(state, MapState):
        return dict(state.items())
    if isinstance(state, ListState):
        return list(state.get())
    return state.value() if isinstance(state, ValueState) else state.get()


def check_store(machine: type[StateStoreMachine], *, steps: int, steps_per_run: int = 50) -> None:
    """Run a machine for so many steps in all; raises what the failing step raised."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, steps // steps_per_run),
            stateful_step_count=steps_per_run,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
