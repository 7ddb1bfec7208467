"""Conformance cases of restoring with another parallelism, after Flink's StateBackendTestBase."""

from __future__ import annotations

from typing import Any

import pytest

from millpond.errors import KeyGroupOutOfRangeError
from millpond.state.contract.namespace import VOID, VOID_NAMESPACE
from millpond.testing.backend_harness import BackendHarness, at_key, state_of
from millpond.testing.keyed_state_cases import LIST, MAP, VALUE

__all__ = ("RescalingCases",)

_KEYS = range(200)


class RescalingCases:
    """Key groups split and merged: each key in exactly the right subtask."""

    def test_key_group_snapshot_restore_no_rescale(self, harness: BackendHarness) -> None:
        """The same parallelism."""
        self._rescale(harness, 2, 2)

    def test_key_group_snapshot_restore_scale_up(self, harness: BackendHarness) -> None:
        """Twice the parallelism."""
        self._rescale(harness, 2, 4)

    def test_key_group_snapshot_restore_scale_down(self, harness: BackendHarness) -> None:
        """Half the parallelism."""
        self._rescale(harness, 4, 2)

    def test_key_group_snapshot_restore_scale_up_uneven(self, harness: BackendHarness) -> None:
        """Ranges that do not fit into each other, growing."""
        self._rescale(harness, 3, 5)

    def test_key_group_snapshot_restore_scale_down_uneven(self, harness: BackendHarness) -> None:
        """Ranges that do not fit into each other, shrinking."""
        self._rescale(harness, 5, 3)

    def test_rescale_again_and_again(self, harness: BackendHarness) -> None:
        """1, 3, 2, 5 subtasks, with states that are registered only at the end."""
        self._rescale(harness, 1, 3, 2, 5)

    def test_a_key_of_another_subtask(self, harness: BackendHarness) -> None:
        """A key that belongs to another subtask is refused at the latest by the snapshot."""
        backends = harness.subtasks(2)
        foreign = next(key for key in _KEYS if harness.owner(key, 2) == 1)
        state = state_of(backends[0], VALUE)

        def misplace() -> None:
            with at_key(backends[0], foreign):
                state.update("x")
            harness.snapshot(backends[0])

        with pytest.raises(KeyGroupOutOfRangeError):
            misplace()

    def _rescale(self, harness: BackendHarness, *parallelisms: int) -> None:
        backends = harness.subtasks(parallelisms[0])
        for key in _KEYS:
            backend = backends[harness.owner(key, len(backends))]
            with at_key(backend, key):
                state_of(backend, VALUE).update(f"v{key}")
                state_of(backend, LIST).add_all([key, -key])
                state_of(backend, MAP).put_all({"a": key, "b": None})
            backend.timer_queue("user-timers", "event", VOID).add(key % 7, key, VOID_NAMESPACE)
        for parallelism in parallelisms[1:]:
            handles = [harness.snapshot(backend) for backend in backends]
            for backend in backends:
                backend.close()
            backends = harness.subtasks(parallelism, handles)
        for index, backend in enumerate(backends):
            self._check(harness, backend, index, len(backends))

    @staticmethod
    def _check(harness: BackendHarness, backend: Any, index: int, parallelism: int) -> None:
        owned = [key for key in _KEYS if harness.owner(key, parallelism) == index]
        values, lists, maps = (state_of(backend, each) for each in (VALUE, LIST, MAP))
        for name in ("value", "list", "map"):
            assert sorted(backend.keys(name, VOID_NAMESPACE)) == owned
        for key in owned:
            with at_key(backend, key):
                assert values.value() == f"v{key}"
                assert list(lists.get()) == [key, -key]
                assert dict(maps.items()) == {"a": key, "b": None}
        timers = backend.timer_queue("user-timers", "event", VOID)
        assert sorted(timers) == sorted((key % 7, key, VOID_NAMESPACE) for key in owned)
