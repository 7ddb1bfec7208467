"""Conformance cases of map state, named after Flink's StateBackendTestBase."""

from __future__ import annotations

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.state import MapStateDescriptor
from millpond.errors import StateError
from millpond.testing.backend_harness import BackendHarness, at_key, state_of
from millpond.testing.keyed_state_cases import MAP

__all__ = ("MapStateCases",)


class MapStateCases:
    """What map state does."""

    def test_map_state(self, harness: BackendHarness) -> None:
        """Entries are apart by key; a snapshot holds those of its moment."""
        backend = harness.create()
        state = state_of(backend, MAP)
        with at_key(backend, 1):
            state.put("a", 1)
            state.put_all({"b": 2, "c": 3})
            state.put_all([("d", 4)])
            state.put_all(None)
            state["e"] = 5
        with at_key(backend, 2):
            state.put("a", 10)
        handle = harness.snapshot(backend)
        with at_key(backend, 1):
            assert state.get("a") == 1
            assert state.get("none") is None
            assert state.contains("b")
            assert not state.contains("none")
            assert "c" in state
            assert sorted(state.keys()) == ["a", "b", "c", "d", "e"]
            assert sorted(state.values()) == [1, 2, 3, 4, 5]
            assert dict(state.items()) == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
            assert sorted(state) == ["a", "b", "c", "d", "e"]
            state.remove("a")
            state.remove("none")
            del state["e"]
            state.put("b", 22)
            assert dict(state.items()) == {"b": 22, "c": 3, "d": 4}
        with at_key(backend, 2):
            state.clear()
            assert dict(state.items()) == {}
            state.remove("a")
            state.put("z", 26)
            assert dict(state.items()) == {"z": 26}
        with at_key(backend, 1):
            assert dict(state.items()) == {"b": 22, "c": 3, "d": 4}
        restored = harness.create([handle])
        state = state_of(restored, MAP)
        with at_key(restored, 1):
            assert dict(state.items()) == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
        with at_key(restored, 2):
            assert dict(state.items()) == {"a": 10}
        with at_key(restored, 3):
            assert dict(state.items()) == {}

    def test_map_state_is_empty(self, harness: BackendHarness) -> None:
        """Empty before the first entry, after the last is removed, after a clear."""
        backend = harness.create()
        state = state_of(backend, MAP)
        with at_key(backend, 1):
            assert state.is_empty()
            state.put("a", 1)
            assert not state.is_empty()
            state.remove("a")
            assert state.is_empty()
            state.put("a", 1)
            state.clear()
            assert state.is_empty()

    def test_map_state_default_value(self, harness: BackendHarness) -> None:
        """An absent map is empty and can be iterated over."""
        backend = harness.create()
        state = state_of(backend, MAP)
        with at_key(backend, 1):
            assert list(state.items()) == []
            assert list(state.keys()) == []
            assert list(state.values()) == []

    def test_map_state_null_value(self, harness: BackendHarness) -> None:
        """None is a value, which `get` and `contains` do not tell from no value, as in PyFlink."""
        backend = harness.create()
        state = state_of(backend, MAP)
        with at_key(backend, 1):
            state.put("a", None)
        backend = harness.restored(backend)
        state = state_of(backend, MAP)
        with at_key(backend, 1):
            assert not state.is_empty()
            assert list(state.items()) == [("a", None)]
            assert state.get("a") is None
            assert not state.contains("a")
            state.remove("a")
            assert state.is_empty()

    def test_map_state_iterator_arbitrary_access(self, harness: BackendHarness) -> None:
        """4,096 entries may be changed and removed while they are iterated over."""
        backend = harness.create()
        state = state_of(backend, MapStateDescriptor("big", Types.LONG(), Types.LONG()))
        with at_key(backend, 1):
            state.put_all({number: number * 2 for number in range(4096)})
            entries = state.items()
            for key, value in entries:
                assert value == key * 2
                if key % 3 == 0:
                    entries.remove()
                    with pytest.raises(StateError, match="remove"):
                        entries.remove()
                elif key % 3 == 1:
                    state.put(key, -1)
            expected = {n: -1 if n % 3 == 1 else n * 2 for n in range(4096) if n % 3}
            assert dict(state.items()) == expected
        backend = harness.restored(backend)
        state = state_of(backend, MapStateDescriptor("big", Types.LONG(), Types.LONG()))
        with at_key(backend, 1):
            assert dict(state.items()) == expected
            keys = state.keys()
            for _ in keys:
                keys.remove()
            assert state.is_empty()

    def test_map_state_iterator_remove_before_next(self, harness: BackendHarness) -> None:
        """`remove` needs a step of the iterator before it."""
        backend = harness.create()
        state = state_of(backend, MAP)
        with at_key(backend, 1):
            state.put("a", 1)
            with pytest.raises(StateError, match="remove"):
                state.items().remove()
            assert not state.is_empty()

    def test_short_maps_changed_while_iterating(self, harness: BackendHarness) -> None:
        """The same for ten entries, in each form, beside a loop in a loop and another key's map."""
        backend = harness.create()
        state = state_of(backend, MapStateDescriptor("m", Types.LONG(), Types.LONG()))
        for is_written in (False, True):
            for key in (1, 2):
                with at_key(backend, key):
                    state.put_all(dict.fromkeys(range(10), 0))
            if is_written:
                backend = harness.restored(backend)
                state = state_of(backend, MapStateDescriptor("m", Types.LONG(), Types.LONG()))
            with at_key(backend, 1):
                pairs, keys, values = state.items(), state.keys(), state.values()
                order = list(state)
            for change in range(3):
                with at_key(backend, 2):
                    state.put(change, 9)
                with at_key(backend, 1):
                    assert next(pairs) == (order[change], 0)
                    assert next(keys) == order[change]
                    assert next(values) == 0
                    keys.remove()
                    state.put(order[change + 5], 7)
                    state.put(100 + change, 1)
            with at_key(backend, 1):
                assert list(state.keys())[-3:] == [100, 101, 102]
                state.remove(order[9])
                assert list(pairs) == [(order[n], 7 if 5 <= n < 8 else 0) for n in range(3, 9)]
                assert list(values) == [0, 0, 7, 7, 7, 0]
                seen = []
                for key in keys:
                    seen.append(key)
                    state.clear()
                    state.put(order[8], 8)
                assert seen == [order[3], order[8]]
                assert list(state.items()) == [(order[8], 8)]
                state.clear()
            with at_key(backend, 2):
                changed = {0: 9, 1: 9, 2: 9}
                assert dict(state.items()) == dict.fromkeys(range(10), 0) | changed

    def test_map_state_changed_while_iterating(self, harness: BackendHarness) -> None:
        """Entries that are gone are skipped; values are those of now."""
        backend = harness.create()
        state = state_of(backend, MapStateDescriptor("m", Types.LONG(), Types.LONG()))
        with at_key(backend, 1):
            state.put_all(dict.fromkeys(range(300), 0))
            seen: dict[int, int] = {}
            for key, value in state.items():
                if not seen:
                    for other in range(300):
                        if other != key:
                            state.put(other, 1)
                    for other in range(0, 300, 2):
                        if other != key:
                            state.remove(other)
                seen[key] = value
            odd = {number for number in range(300) if number % 2}
            assert odd <= set(seen)
            assert len(set(seen) - odd) <= 1
            first = next(iter(seen))
            assert all(seen[key] == 1 for key in odd if key != first)

    def test_map_state_iterator_keeps_its_key(self, harness: BackendHarness) -> None:
        """An iterator goes on over the map it was made for when another key is current."""
        backend = harness.create()
        state = state_of(backend, MAP)
        for key in (1, 2):
            with at_key(backend, key):
                state.put_all({f"{key}{letter}": key for letter in "abc"})
        with at_key(backend, 1):
            entries = state.items()
        with at_key(backend, 2):
            assert all(value == 1 for _, value in entries)

    def test_map_state_entry_compare(self, harness: BackendHarness) -> None:
        """Entries can be sorted while they are iterated over."""
        backend = harness.create()
        state = state_of(backend, MAP)
        with at_key(backend, 1):
            state.put_all({"a": 3, "b": 1, "c": 2})
            by_value = sorted(state.items(), key=lambda entry: entry[1])
            assert by_value == [("b", 1), ("c", 2), ("a", 3)]
