"""Conformance cases of namespaces and of merging them, after Flink's StateBackendTestBase."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.state import AggregatingStateDescriptor
from millpond.datastream.window import TimeWindow
from millpond.errors import StateError
from millpond.state.contract.namespace import TIME_WINDOW
from millpond.state.contract.states import SupportsEntries
from millpond.testing.backend_harness import BackendHarness, at_key, state_of
from millpond.testing.keyed_state_cases import (
    LIST,
    REDUCING,
    VALUE,
    SumInPlace,
    SumOfCopies,
    every_kind,
)

if TYPE_CHECKING:
    from millpond.datastream.functions import AggregateFunction

__all__ = ("NamespaceCases",)

_WINDOWS = [TimeWindow(start, start + 10) for start in (0, 10, 20, 30)]


class NamespaceCases:
    """State of windows."""

    def test_namespaces_are_apart(self, harness: BackendHarness) -> None:
        """Each (key, namespace) has its own entry, after a restore too."""
        backend = harness.create()
        state = state_of(backend, VALUE, TIME_WINDOW)
        for key, window in product((1, 2), _WINDOWS):
            with at_key(backend, key):
                state.current_namespace = window
                assert state.value() is None
                state.update(f"{key} {window.start}")
        with at_key(backend, 1):
            state.current_namespace = _WINDOWS[0]
            state.clear()
        backend = harness.restored(backend)
        state = state_of(backend, VALUE, TIME_WINDOW)
        for key, window in product((1, 2), _WINDOWS):
            with at_key(backend, key):
                state.current_namespace = window
                gone = (key, window) == (1, _WINDOWS[0])
                assert state.value() == (None if gone else f"{key} {window.start}")

    def test_take(self, harness: BackendHarness) -> None:
        """Entries that operators take are gone, after a restore too; the others stay."""
        backend = harness.create()
        state: Any = state_of(backend, REDUCING, TIME_WINDOW)
        offers_entries = isinstance(state, SupportsEntries)
        if not offers_entries:
            pytest.skip("The store offers operators no entries.")
        for key, window in product((1, 2), _WINDOWS[:2]):
            with at_key(backend, key):
                state.current_namespace = window
                state.add(key * 10 + window.start)
        backend = harness.restored(backend)
        state = state_of(backend, REDUCING, TIME_WINDOW)
        taken = [(1, _WINDOWS[1]), (2, _WINDOWS[0]), (1, _WINDOWS[3])]
        assert state.take(taken) == [20, 20, None]
        assert state.take(taken) == [None, None, None]
        backend = harness.restored(backend)
        state = state_of(backend, REDUCING, TIME_WINDOW)
        slots = list(product((1, 2), _WINDOWS[:2]))
        assert state.take(slots) == [10, None, None, 30]

    def test_require_non_null_namespace(self, harness: BackendHarness) -> None:
        """State of windows is refused without a window, for every access."""
        backend = harness.create()
        for descriptor in every_kind():
            state = state_of(backend, descriptor, TIME_WINDOW)
            with at_key(backend, 1):
                state.current_namespace = None
                with pytest.raises(StateError, match="namespace"):
                    state.clear()
                read = state.value if hasattr(state, "value") else state.get
                with pytest.raises(StateError, match="namespace"):
                    read(*(["k"] if hasattr(state, "put") else []))

    @pytest.mark.parametrize("present", list(product((False, True), repeat=3)))
    def test_list_state_merging(
        self, harness: BackendHarness, present: tuple[bool, bool, bool]
    ) -> None:
        """Lists are concatenated, the target's first; the sources end empty."""
        backend = harness.create()
        state = state_of(backend, LIST, TIME_WINDOW)
        expected: list[int] = []
        for number, (window, is_there) in enumerate(zip(_WINDOWS, present, strict=False)):
            if is_there:
                with at_key(backend, 1):
                    state.current_namespace = window
                    state.add_all([number * 10, number * 10 + 1])
                expected += [number * 10, number * 10 + 1]
        _add_for_another_key(backend, state)
        with at_key(backend, 1):
            state.merge_namespaces(_WINDOWS[0], _WINDOWS[1:3])
            assert _read(state, _WINDOWS[:3]) == [expected, [], []]
            state.current_namespace = _WINDOWS[0]
            state.add(99)
            assert _read(state, _WINDOWS[:3]) == [[*expected, 99], [], []]
        with at_key(backend, 2):
            assert _read(state, _WINDOWS[1:2]) == [[5]]

    @pytest.mark.parametrize("present", list(product((False, True), repeat=3)))
    def test_reducing_state_merging(
        self, harness: BackendHarness, present: tuple[bool, bool, bool]
    ) -> None:
        """Values are combined; the sources end empty."""
        backend = harness.create()
        self._check_merging(backend, state_of(backend, REDUCING, TIME_WINDOW), present)

    @pytest.mark.parametrize("function", [SumInPlace, SumOfCopies])
    @pytest.mark.parametrize("present", list(product((False, True), repeat=3)))
    def test_aggregating_state_merging(
        self,
        harness: BackendHarness,
        present: tuple[bool, bool, bool],
        function: type[AggregateFunction],
    ) -> None:
        """Accumulators are combined, changed in place or copied; the sources end empty."""
        descriptor = AggregatingStateDescriptor("sum", function(), Types.PICKLED_BYTE_ARRAY())
        backend = harness.create()
        self._check_merging(backend, state_of(backend, descriptor, TIME_WINDOW), present)

    def test_merging_while_a_snapshot_is_written(self, harness: BackendHarness) -> None:
        """Merging in place does not leak into a snapshot that is still being written."""
        descriptor = AggregatingStateDescriptor("sum", SumInPlace(), Types.PICKLED_BYTE_ARRAY())
        backend = harness.create()
        state = state_of(backend, descriptor, TIME_WINDOW)
        with at_key(backend, 1):
            for window in _WINDOWS[:2]:
                state.current_namespace = window
                state.add(window.start + 1)
        snapshot = harness.start_snapshot(backend)
        with at_key(backend, 1):
            state.merge_namespaces(_WINDOWS[0], _WINDOWS[1:2])
            state.current_namespace = _WINDOWS[0]
            state.add(100)
            assert state.get() == 112
        handle = snapshot.write()
        snapshot.release()
        restored = harness.create([handle])
        state = state_of(restored, descriptor, TIME_WINDOW)
        with at_key(restored, 1):
            assert _read(state, _WINDOWS[:2]) == [1, 11]

    def _check_merging(
        self,
        backend: Any,
        state: Any,
        present: tuple[bool, bool, bool],
    ) -> None:
        expected = None
        for number, (window, is_there) in enumerate(zip(_WINDOWS, present, strict=False)):
            if is_there:
                with at_key(backend, 1):
                    state.current_namespace = window
                    state.add(number + 1)
                    state.add(10)
                expected = (expected or 0) + number + 11
        _add_for_another_key(backend, state)
        with at_key(backend, 1):
            state.merge_namespaces(_WINDOWS[0], _WINDOWS[1:3])
            assert _read(state, _WINDOWS[:3]) == [expected, None, None]
            state.current_namespace = _WINDOWS[0]
            state.add(100)
            assert _read(state, _WINDOWS[:1]) == [(expected or 0) + 100]
        with at_key(backend, 2):
            assert _read(state, _WINDOWS[1:2]) == [5]


def _read(state: Any, windows: list[TimeWindow]) -> list[Any]:
    results = []
    for window in windows:
        state.current_namespace = window
        got = state.get()
        results.append(got if got is None or isinstance(got, int) else list(got))
    return results


def _add_for_another_key(backend: Any, state: Any) -> None:
    with at_key(backend, 2):
        state.current_namespace = _WINDOWS[1]
        state.add(5)
