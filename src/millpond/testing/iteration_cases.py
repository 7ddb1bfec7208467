"""Conformance cases of iterating over keys, after Flink's StateBackendTestBase."""

from __future__ import annotations

from typing import Any

from millpond.datastream.window import TimeWindow
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.keyed_backend import NO_KEY
from millpond.state.contract.namespace import TIME_WINDOW, VOID_NAMESPACE
from millpond.testing.backend_harness import BackendHarness, at_key, state_of
from millpond.testing.keyed_state_cases import LIST, MAP, VALUE

__all__ = ("IterationCases",)


class IterationCases:
    """All keys of a state, and changing state while visiting them."""

    def test_get_keys(self, harness: BackendHarness) -> None:
        """Every key with the state in a namespace comes once."""
        backend = harness.create()
        state = state_of(backend, VALUE, TIME_WINDOW)
        windows = [TimeWindow(0, 10), TimeWindow(10, 20)]
        for key in range(1000):
            with at_key(backend, key):
                state.current_namespace = windows[0]
                state.update("x")
                if key % 2:
                    state.current_namespace = windows[1]
                    state.update("y")
        assert sorted(backend.keys("value", windows[0])) == list(range(1000))
        assert sorted(backend.keys("value", windows[1])) == list(range(1, 1000, 2))
        assert list(backend.keys("value", TimeWindow(5, 6))) == []

    def test_get_keys_and_namespaces(self, harness: BackendHarness) -> None:
        """Every (key, namespace) comes once."""
        backend = harness.create()
        state = state_of(backend, VALUE, TIME_WINDOW)
        expected = set()
        for key in range(300):
            for start in range(key % 3):
                with at_key(backend, key):
                    state.current_namespace = TimeWindow(start, start + 1)
                    state.update("x")
                expected.add((key, TimeWindow(start, start + 1)))
        pairs = list(backend.keys_and_namespaces("value"))
        assert len(pairs) == len(expected)
        assert set(pairs) == expected

    def test_map_state_get_keys(self, harness: BackendHarness) -> None:
        """A key with many map entries comes once; one whose map became empty does not come."""
        backend = harness.create()
        state = state_of(backend, MAP)
        for key in range(50):
            with at_key(backend, key):
                state.put_all({str(number): number for number in range(10)})
        with at_key(backend, 7):
            state.clear()
        with at_key(backend, 8):
            for number in range(10):
                state.remove(str(number))
        expected = [key for key in range(50) if key not in {7, 8}]
        assert sorted(backend.keys("map", VOID_NAMESPACE)) == expected
        backend = harness.restored(backend)
        state_of(backend, MAP)
        assert sorted(backend.keys("map", VOID_NAMESPACE)) == expected

    def test_map_state_get_keys_and_namespaces(self, harness: BackendHarness) -> None:
        """A (key, namespace) with many map entries comes once."""
        backend = harness.create()
        state = state_of(backend, MAP)
        for key in range(50):
            with at_key(backend, key):
                state.put_all({"a": 1, "b": 2})
        pairs = list(backend.keys_and_namespaces("map"))
        assert sorted(pairs) == [(key, VOID_NAMESPACE) for key in range(50)]

    def test_keys_of_lists(self, harness: BackendHarness) -> None:
        """A key with many list elements comes once."""
        backend = harness.create()
        state = state_of(backend, LIST)
        for key in range(50):
            with at_key(backend, key):
                state.add_all(range(1, 5))
        assert sorted(backend.keys("list", VOID_NAMESPACE)) == list(range(50))

    def test_keys_of_the_moment(self, harness: BackendHarness) -> None:
        """State may be changed while the keys are iterated over: they are those of the call."""
        backend = harness.create()
        state = state_of(backend, VALUE)
        for key in range(500):
            with at_key(backend, key):
                state.update("x")
        seen = []
        for key in backend.keys("value", VOID_NAMESPACE):
            seen.append(key)
            with at_key(backend, key):
                state.clear()
            with at_key(backend, key + 10_000):
                state.update("new")
        assert sorted(seen) == list(range(500))
        assert sorted(backend.keys("value", VOID_NAMESPACE)) == list(range(10_000, 10_500))

    def test_concurrent_modification_with_apply_to_all_keys(self, harness: BackendHarness) -> None:
        """Deleting and updating state while visiting all keys is safe."""
        backend = harness.create()
        state = state_of(backend, LIST)
        for key in range(100):
            with at_key(backend, key):
                state.add(key)
        handle = harness.start_snapshot(backend)
        backend.apply_to_all_keys(
            VOID_NAMESPACE, StateDefinition.of(LIST), lambda _key, each: each.clear()
        )
        assert list(backend.keys("list", VOID_NAMESPACE)) == []
        for key in range(100):
            with at_key(backend, key):
                assert list(state.get()) == []
                state.add(key + 1)
        handle.cancel()
        handle.release()

        def change(key: Any, each: Any) -> None:
            each.clear() if key % 2 else each.add(-1)

        backend.apply_to_all_keys(VOID_NAMESPACE, StateDefinition.of(LIST), change)
        for key in range(100):
            with at_key(backend, key):
                assert list(state.get()) == ([] if key % 2 else [key + 1, -1])

    def test_apply_to_all_keys_lambda_function(self, harness: BackendHarness) -> None:
        """The function gets each key and the state; the current key is as before afterwards."""
        backend = harness.create()
        state = state_of(backend, VALUE)
        for key in range(20):
            with at_key(backend, key):
                state.update(str(key))
        seen: dict[Any, Any] = {}

        def remember(key: Any, each: Any) -> None:
            seen[key] = each.value()

        backend.apply_to_all_keys(
            VOID_NAMESPACE,
            StateDefinition.of(VALUE),
            remember,
        )
        assert seen == {key: str(key) for key in range(20)}
        assert backend.current_key is NO_KEY

    def test_num_state_entries(self, harness: BackendHarness) -> None:
        """The number of entries grows with new keys and shrinks with clears."""
        backend = harness.create()
        state = state_of(backend, VALUE)
        assert backend.entry_count("value") == 0
        for key in (1, 2, 2, 3):
            with at_key(backend, key):
                state.update("x")
        assert backend.entry_count("value") == 3
        with at_key(backend, 2):
            state.clear()
        assert backend.entry_count("value") == 2
        snapshot = harness.start_snapshot(backend)
        with at_key(backend, 3):
            state.clear()
        with at_key(backend, 4):
            state.update("x")
        assert backend.entry_count("value") == 2
        snapshot.write()
        snapshot.release()
        backend.end_batch()
        assert backend.entry_count("value") == 2
