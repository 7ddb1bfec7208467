"""Conformance cases of taking snapshots, after Flink's StateBackendTestBase."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.state import ValueStateDescriptor
from millpond.errors import CheckpointDeclinedError, MillpondError
from millpond.testing.backend_harness import BackendHarness, at_key, state_of
from millpond.testing.keyed_state_cases import LIST, MAP, VALUE

__all__ = ("SnapshotCases",)


class SnapshotCases:
    """Isolation, cancellation, several snapshots at once.

    Attributes:
        asynchronous_snapshots: whether `Snapshot.write` does the writing; false where the backend
            has written when `snapshot` returns.
    """

    asynchronous_snapshots = True

    def test_empty_state_checkpointing(self, harness: BackendHarness) -> None:
        """No state gives no handle or one that restores to nothing."""
        backend = harness.create()
        assert harness.snapshot(backend) is None
        state_of(backend, VALUE)
        backend = harness.create([harness.snapshot(backend)])
        state = state_of(backend, VALUE)
        with at_key(backend, 1):
            assert state.value() is None

    def test_async_snapshot(self, harness: BackendHarness) -> None:
        """A snapshot holds the state of its moment, whatever is written before it is."""
        backend = harness.create()
        values, lists, maps = (state_of(backend, each) for each in (VALUE, LIST, MAP))
        _write(backend, values, lists, maps, range(200), 1)
        snapshot = harness.start_snapshot(backend)
        _write(backend, values, lists, maps, range(100, 300), 2)
        with at_key(backend, 5):
            for state in (values, lists, maps):
                state.clear()
        for _ in range(3):
            backend.end_batch()
        handle = snapshot.write()
        snapshot.release()
        restored = harness.create([handle])
        values, lists, maps = (state_of(restored, each) for each in (VALUE, LIST, MAP))
        for key in range(300):
            there = key < 200
            with at_key(restored, key):
                assert values.value() == ("1" if there else None)
                assert list(lists.get()) == ([1] if there else [])
                assert dict(maps.items()) == ({"1": 1} if there else {})

    def test_objects_changed_in_place_do_not_leak(self, harness: BackendHarness) -> None:
        """An object that is read and changed after the barrier is not so in the snapshot."""
        backend = harness.create()
        state = state_of(backend, ValueStateDescriptor("objects", None))
        for key in range(10):
            with at_key(backend, key):
                state.update({"list": [key]})
        snapshot = harness.start_snapshot(backend)
        for key in range(10):
            with at_key(backend, key):
                value = state.value()
                value["list"].append("later")
                state.update(value)
        handle = snapshot.write()
        snapshot.release()
        for _ in range(3):
            backend.end_batch()
        with at_key(backend, 3):
            assert state.value() == {"list": [3, "later"]}
        restored = harness.create([handle])
        state = state_of(restored, ValueStateDescriptor("objects", None))
        for key in range(10):
            with at_key(restored, key):
                assert state.value() == {"list": [key]}

    def test_parallel_async_snapshots(self, harness: BackendHarness) -> None:
        """A second snapshot may be taken while the first is not done; both are right."""
        backend = harness.create()
        state = state_of(backend, VALUE)
        with at_key(backend, 1):
            state.update("first")
        first = harness.start_snapshot(backend)
        with at_key(backend, 1):
            state.update("second")
        with at_key(backend, 2):
            state.update("new")
        second = harness.start_snapshot(backend)
        with at_key(backend, 1):
            state.clear()
        third = harness.start_snapshot(backend)
        third.cancel()
        with pytest.raises(CheckpointDeclinedError):
            third.write()
        third.release()
        handles = []
        for snapshot in (second, first):
            handles.append(snapshot.write())
            snapshot.release()
            backend.end_batch()
        with at_key(backend, 1):
            assert state.value() is None
        for handle, expected in zip(handles, ("second", "first"), strict=True):
            restored = harness.create([handle])
            state = state_of(restored, VALUE)
            with at_key(restored, 1):
                assert state.value() == expected
            with at_key(restored, 2):
                assert state.value() == ("new" if expected == "second" else None)

    def test_async_snapshot_cancellation(self, harness: BackendHarness) -> None:
        """Cancelling while the stream is written stops it, and leaves no stream behind."""
        if not self.asynchronous_snapshots:
            pytest.skip("the snapshot is written before it could be cancelled")
        backend = harness.create()
        state = state_of(backend, LIST)
        for key in range(3000):
            with at_key(backend, key):
                state.add_all(range(10))
        snapshot = harness.start_snapshot(backend)
        harness.snapshots.gate.clear()
        outcome: list[BaseException | None] = []

        def write() -> None:
            try:
                snapshot.write()
            except BaseException as error:  # noqa: BLE001 - looked at below
                outcome.append(error)
            else:
                outcome.append(None)

        thread = threading.Thread(target=write)
        thread.start()
        snapshot.cancel()
        harness.snapshots.gate.set()
        thread.join(10)
        snapshot.release()
        assert isinstance(outcome[0], CheckpointDeclinedError)
        assert harness.snapshots.open_streams == 0
        for _ in range(10):
            backend.end_batch()
        with at_key(backend, 1):
            assert list(state.get()) == list(range(10))
        assert harness.snapshot(backend) is not None

    def test_failing_stream(self, harness: BackendHarness) -> None:
        """A full storage fails the snapshot; the state and the next snapshot are right."""
        backend = harness.create()
        state = state_of(backend, VALUE)
        with at_key(backend, 1):
            state.update("x" * 1000)
        harness.snapshots.fail_after_bytes = 10
        with pytest.raises(MillpondError):
            harness.snapshot(backend)
        assert harness.snapshots.open_streams == 0
        harness.snapshots.fail_after_bytes = None
        backend = harness.restored(backend)
        with at_key(backend, 1):
            assert state_of(backend, VALUE).value() == "x" * 1000

    def test_cancelled_before_it_is_written(self, harness: BackendHarness) -> None:
        """A snapshot that is never written can be released, and the backend goes on."""
        backend = harness.create()
        state = state_of(backend, VALUE)
        with at_key(backend, 1):
            state.update("x")
        snapshot = harness.start_snapshot(backend)
        with at_key(backend, 1):
            state.update("y")
        snapshot.cancel()
        snapshot.release()
        backend.end_batch()
        with at_key(backend, 1):
            assert state.value() == "y"

    def test_check_concurrency_problem_when_performing_checkpoint_async(
        self, harness: BackendHarness
    ) -> None:
        """Many states, written by threads while the task goes on writing: no interference."""
        backend = harness.create()
        states = [
            state_of(backend, ValueStateDescriptor(f"state{number}", Types.LONG()))
            for number in range(20)
        ]
        expected = []
        threads = []
        handles: list[Any] = [None] * 4
        snapshots = []
        for turn in range(4):
            for key in range(150):
                with at_key(backend, key):
                    for state in states[turn:]:
                        state.update(turn * 1000 + key)
            expected.append({number: min(number, turn) for number in range(20)})
            snapshot = harness.start_snapshot(backend)
            snapshots.append(snapshot)

            def write(turn: int = turn, snapshot: Any = snapshot) -> None:
                handles[turn] = snapshot.write()

            threads.append(threading.Thread(target=write))
            threads[-1].start()
        for key in range(150):
            with at_key(backend, key):
                for state in states:
                    state.clear()
        for thread, snapshot in zip(threads, snapshots, strict=True):
            thread.join(20)
            snapshot.release()
            backend.end_batch()
        for turn, handle in enumerate(handles):
            restored = harness.create([handle])
            states = [
                state_of(restored, ValueStateDescriptor(f"state{number}", Types.LONG()))
                for number in range(20)
            ]
            for key in (0, 77, 149):
                with at_key(restored, key):
                    assert [state.value() for state in states] == [
                        expected[turn][number] * 1000 + key for number in range(20)
                    ]
            restored.close()


def _write(backend: Any, values: Any, lists: Any, maps: Any, keys: range, number: int) -> None:
    for key in keys:
        with at_key(backend, key):
            values.update(str(number))
            lists.add(number)
            maps.put(str(number), number)
