"""Conformance cases of the five kinds of keyed state, named after Flink's StateBackendTestBase."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.functions import AggregateFunction
from millpond.datastream.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    ValueStateDescriptor,
)
from millpond.errors import (
    NoCurrentKeyError,
    SerializationError,
    StateError,
    StateTypeError,
)
from millpond.state.contract.definition import StateDefinition
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

__all__ = ("KeyedStateCases", "SumInPlace", "SumOfCopies")


class SumInPlace(AggregateFunction):
    """Adds numbers up in a list of one element that it changes in place."""

    def create_accumulator(self) -> Any:
        """Start at zero."""
        return [0]

    def add(self, value: Any, accumulator: Any) -> Any:
        """Add a number."""
        accumulator[0] += value
        return accumulator

    def get_result(self, accumulator: Any) -> Any:
        """Return the sum."""
        return accumulator[0]

    def merge(self, acc_a: Any, acc_b: Any) -> Any:
        """Add the second sum to the first."""
        acc_a[0] += acc_b[0]
        return acc_a


class SumOfCopies(SumInPlace):
    """The same, with a new list each time."""

    def add(self, value: Any, accumulator: Any) -> Any:
        """Add a number."""
        return [accumulator[0] + value]

    def merge(self, acc_a: Any, acc_b: Any) -> Any:
        """Return the sum of both."""
        return [acc_a[0] + acc_b[0]]


VALUE = ValueStateDescriptor("value", Types.STRING())
LIST = ListStateDescriptor("list", Types.LONG())
PICKLED_LIST = ListStateDescriptor("pickled", None)
MAP = MapStateDescriptor("map", Types.STRING(), Types.LONG())
REDUCING = ReducingStateDescriptor("reducing", lambda a, b: a + b, Types.LONG())


def every_kind() -> list[StateDescriptor]:
    """Return a descriptor of each kind."""
    return [
        VALUE,
        LIST,
        MAP,
        REDUCING,
        AggregatingStateDescriptor("aggregating", SumOfCopies(), Types.PICKLED_BYTE_ARRAY()),
    ]


class KeyedStateCases:
    """What each kind of state does for one key, and that keys are apart."""

    def test_value_state(self, harness: BackendHarness) -> None:
        """Values are apart by key; a restored backend has those of the snapshot."""
        backend = harness.create()
        state = state_of(backend, VALUE)
        for key in (1, 2):
            with at_key(backend, key):
                assert state.value() is None
                state.update(str(key))
        handle = harness.snapshot(backend)
        with at_key(backend, 1):
            assert state.value() == "1"
            state.update("later")
            assert state.value() == "later"
        with at_key(backend, 2):
            state.clear()
            assert state.value() is None
        restored = harness.create([handle])
        state = state_of(restored, VALUE)
        for key, expected in ((1, "1"), (2, "2"), (3, None)):
            with at_key(restored, key):
                assert state.value() == expected

    def test_multiple_value_states(self, harness: BackendHarness) -> None:
        """Two states of one backend do not mix, after a restore neither."""
        backend = harness.create()
        other = ValueStateDescriptor("other", Types.LONG())
        with at_key(backend, 1):
            state_of(backend, VALUE).update("text")
            state_of(backend, other).update(7)
        backend = harness.restored(backend)
        with at_key(backend, 1):
            assert state_of(backend, other).value() == 7
            assert state_of(backend, VALUE).value() == "text"
            state_of(backend, VALUE).clear()
            assert state_of(backend, other).value() == 7

    def test_value_state_null_update(self, harness: BackendHarness) -> None:
        """None clears, also for types whose coder knows no None."""
        backend = harness.create()
        for descriptor in (VALUE, ValueStateDescriptor("pickled", None)):
            state = state_of(backend, descriptor)
            with at_key(backend, 1):
                state.update("x")
                state.update(None)
                assert state.value() is None
        backend = harness.restored(backend)
        with at_key(backend, 1):
            assert state_of(backend, VALUE).value() is None

    def test_value_state_default_value(self, harness: BackendHarness) -> None:
        """An absent value is None, before the first update and after a clear."""
        backend = harness.create()
        state = state_of(backend, VALUE)
        with at_key(backend, 1):
            assert state.value() is None
            state.update("x")
            state.clear()
            assert state.value() is None

    def test_value_state_null_as_default_value(self, harness: BackendHarness) -> None:
        """Nothing written is None, before the first write and after a clear, key by key."""
        backend = harness.create()
        state = state_of(backend, ValueStateDescriptor("numbers", Types.LONG()))
        with at_key(backend, 1):
            assert state.value() is None
            state.update(0)
            assert state.value() == 0
        with at_key(backend, 2):
            assert state.value() is None
        with at_key(backend, 1):
            state.clear()
            assert state.value() is None

    def test_is_safe_to_reuse_state(self, harness: BackendHarness) -> None:
        """One state object serves all keys: it is looked up once and follows the current key."""
        backend = harness.create()
        for descriptor in (VALUE, LIST, MAP, REDUCING):
            state = state_of(backend, descriptor)
            assert state_of(backend, descriptor) is state
        state = state_of(backend, VALUE)
        for key in range(10):
            with at_key(backend, key):
                state.update(str(key))
        for key in range(10):
            with at_key(backend, key):
                assert state.value() == str(key)

    def test_list_state(self, harness: BackendHarness) -> None:
        """Add, get and update by key; a snapshot holds the lists of its moment."""
        backend = harness.create()
        state = state_of(backend, LIST)
        with at_key(backend, 1):
            assert list(state.get()) == []
            state.add(1)
            state.add(2)
        with at_key(backend, 2):
            state.add(20)
        handle = harness.snapshot(backend)
        with at_key(backend, 1):
            assert list(state.get()) == [1, 2]
            state.update([9])
            state.add(8)
            assert list(state.get()) == [9, 8]
        with at_key(backend, 2):
            state.clear()
            assert list(state.get()) == []
        restored = harness.create([handle])
        state = state_of(restored, LIST)
        for key, expected in ((1, [1, 2]), (2, [20]), (3, [])):
            with at_key(restored, key):
                assert list(state.get()) == expected

    def test_list_state_add_null(self, harness: BackendHarness) -> None:
        """None cannot be added, unless elements are pickled; the list stays as it was."""
        self._list_refuses(harness, LIST, lambda state: state.add(None))

    def test_list_state_add_all_null_entries(self, harness: BackendHarness) -> None:
        """No list with None in it can be added; the list stays as it was."""
        self._list_refuses(harness, LIST, lambda state: state.add_all([3, None, 4]))

    def test_list_state_add_all_null(self, harness: BackendHarness) -> None:
        """None is no list to add; the list stays as it was."""
        for descriptor in (LIST, PICKLED_LIST):
            self._list_refuses(harness, descriptor, lambda state: state.add_all(None))

    def test_list_state_update_null_entries(self, harness: BackendHarness) -> None:
        """A list cannot become one with None in it; it stays as it was."""
        self._list_refuses(harness, LIST, lambda state: state.update([3, None, 4]))

    def test_list_state_update_null(self, harness: BackendHarness) -> None:
        """A list cannot become None; it stays as it was."""
        for descriptor in (LIST, PICKLED_LIST):
            self._list_refuses(harness, descriptor, lambda state: state.update(None))

    def _list_refuses(
        self, harness: BackendHarness, descriptor: ListStateDescriptor, action: Any
    ) -> None:
        backend = harness.create()
        state = state_of(backend, descriptor)
        with at_key(backend, 1):
            state.add(1)
            with pytest.raises(StateError, match="None"):
                action(state)
            assert list(state.get()) == [1]

    def test_list_state_of_pickled_elements_takes_null(self, harness: BackendHarness) -> None:
        """PICKLED takes every object, None too, as in PyFlink."""
        backend = harness.create()
        state = state_of(backend, PICKLED_LIST)
        with at_key(backend, 1):
            state.add(None)
            state.add_all([1, None])
        with at_key(backend, 2):
            state.update([None])
        backend = harness.restored(backend)
        state = state_of(backend, PICKLED_LIST)
        with at_key(backend, 1):
            assert list(state.get()) == [None, 1, None]
            state.add(None)
            assert list(state.get()) == [None, 1, None, None]
        with at_key(backend, 2):
            assert list(state.get()) == [None]

    def test_list_state_apis(self, harness: BackendHarness) -> None:
        """`add_all` appends, nothing if empty; `update` replaces, and clears if empty."""
        backend = harness.create()
        state = state_of(backend, LIST)
        with at_key(backend, 1):
            state.add_all([])
            assert list(state.get()) == []
            state.add_all([1, 2])
        with at_key(backend, 2):
            state.update([7, 8])
            state.add_all(iter([9]))
        with at_key(backend, 1):
            state.add_all((3,))
            state.add_all([])
            got = state.get()
            assert list(got) == [1, 2, 3]
            assert list(got) == [1, 2, 3]
            assert list(state) == [1, 2, 3]
            state.update([])
            assert list(state.get()) == []
        with at_key(backend, 2):
            assert list(state.get()) == [7, 8, 9]

    def test_list_state_default_value(self, harness: BackendHarness) -> None:
        """An absent list is empty."""
        backend = harness.create()
        with at_key(backend, 1):
            assert list(state_of(backend, LIST).get()) == []

    def test_list_state_changed_while_iterating(self, harness: BackendHarness) -> None:
        """A loop over the elements may add to the list: it sees those of its start."""
        backend = harness.create()
        state = state_of(backend, LIST)
        with at_key(backend, 1):
            state.update([1, 2, 3])
            for element in state.get():
                state.add(element * 10)
            assert list(state.get()) == [1, 2, 3, 10, 20, 30]

    def test_reducing_state(self, harness: BackendHarness) -> None:
        """Values are reduced by key; a snapshot holds those of its moment."""
        backend = harness.create()
        state = state_of(backend, REDUCING)
        with at_key(backend, 1):
            assert state.get() is None
            state.add(5)
            state.add(7)
        with at_key(backend, 2):
            state.add(100)
        handle = harness.snapshot(backend)
        with at_key(backend, 1):
            assert state.get() == 12
            state.add(1)
            assert state.get() == 13
            state.clear()
            assert state.get() is None
        restored = harness.create([handle])
        state = state_of(restored, REDUCING)
        for key, expected in ((1, 12), (2, 100), (3, None)):
            with at_key(restored, key):
                assert state.get() == expected

    def test_reducing_state_add_and_get(self, harness: BackendHarness) -> None:
        """The first value is stored as it is: the function is called from the second on."""
        calls: list[tuple[int, int]] = []

        def add(a: int, b: int) -> int:
            calls.append((a, b))
            return a + b

        backend = harness.create()
        state = state_of(backend, ReducingStateDescriptor("sum", add, Types.LONG()))
        with at_key(backend, 1):
            state.add(1)
            assert calls == []
            state.add(2)
            state.add(3)
            assert state.get() == 6
        assert calls == [(1, 2), (3, 3)]

    def test_reducing_state_default_value(self, harness: BackendHarness) -> None:
        """Nothing added gives None."""
        backend = harness.create()
        with at_key(backend, 1):
            assert state_of(backend, REDUCING).get() is None

    @pytest.mark.parametrize("function", [SumInPlace, SumOfCopies])
    def test_aggregating_state_add_and_get(
        self, harness: BackendHarness, function: type[AggregateFunction]
    ) -> None:
        """Accumulators changed in place give the same results as copied ones."""
        descriptor = AggregatingStateDescriptor("sum", function(), Types.PICKLED_BYTE_ARRAY())
        backend = harness.create()
        state = state_of(backend, descriptor)
        for key in (1, 2):
            with at_key(backend, key):
                assert state.get() is None
                for number in (1, 2, 3):
                    state.add(number * key)
                assert state.get() == 6 * key
        handle = harness.snapshot(backend)
        with at_key(backend, 1):
            state.add(1000)
            assert state.get() == 1006
            state.clear()
            assert state.get() is None
            state.add(3)
            state.add(None)
            assert state.get() is None
        restored = harness.create([handle])
        state = state_of(restored, descriptor)
        for key in (1, 2):
            with at_key(restored, key):
                assert state.get() == 6 * key

    def test_copy_default_value(self, harness: BackendHarness) -> None:
        """Each key gets an accumulator of its own."""
        descriptor = AggregatingStateDescriptor("sum", SumInPlace(), Types.PICKLED_BYTE_ARRAY())
        backend = harness.create()
        state = state_of(backend, descriptor)
        for key in range(5):
            with at_key(backend, key):
                state.add(key)
                assert state.get() == key

    def test_require_current_key(self, harness: BackendHarness) -> None:
        """Without a current key every access of every kind is refused."""
        backend = harness.create()
        for descriptor in every_kind():
            state = state_of(backend, descriptor)
            accesses = [state.clear]
            for name, arguments in (
                ("value", ()),
                ("update", (["x"] if hasattr(state, "add_all") else "x",)),
                ("add", (1,)),
                ("put", ("k", 1)),
                ("remove", ("k",)),
                ("contains", ("k",)),
                ("items", ()),
                ("is_empty", ()),
            ):
                if hasattr(state, name):
                    accesses.append(partial(getattr(state, name), *arguments))
            if hasattr(state, "get"):
                accesses.append(partial(state.get, *(["k"] if hasattr(state, "put") else [])))
            for access in accesses:
                with pytest.raises((NoCurrentKeyError, SerializationError)):
                    access()

    def test_registering_again(self, harness: BackendHarness) -> None:
        """The same descriptor gives the same state; another kind or type names both."""
        backend = harness.create()
        for descriptor in every_kind():
            definition = StateDefinition.of(descriptor)
            assert backend.get_state(definition) is backend.get_state(definition)
        with pytest.raises(StateTypeError, match=r"VALUE<STRING>.*LIST<STRING>"):
            state_of(backend, ListStateDescriptor("value", Types.STRING()))
        with pytest.raises(StateTypeError, match=r"MAP<STRING, LONG>.*MAP<LONG, LONG>"):
            state_of(backend, MapStateDescriptor("map", Types.LONG(), Types.LONG()))

    @pytest.mark.parametrize(
        ("descriptor", "write"),
        [
            (ValueStateDescriptor("s", Types.LONG()), lambda s: s.update("text")),
            (ValueStateDescriptor("s", Types.LONG()), lambda s: s.update(1 << 63)),
            (ValueStateDescriptor("s", Types.INT()), lambda s: s.update(1 << 31)),
            (ValueStateDescriptor("s", Types.STRING()), lambda s: s.update(5)),
            (ValueStateDescriptor("s", Types.TUPLE([Types.LONG()])), lambda s: s.update(("a",))),
            (ListStateDescriptor("s", Types.LONG()), lambda s: s.add("text")),
            (ListStateDescriptor("s", Types.LONG()), lambda s: s.add_all([1, "text"])),
            (ListStateDescriptor("s", Types.LONG()), lambda s: s.update([1, "text"])),
            (MapStateDescriptor("s", Types.LONG(), Types.LONG()), lambda s: s.put("k", 1)),
            (MapStateDescriptor("s", Types.LONG(), Types.LONG()), lambda s: s.put(1, "text")),
            (
                ReducingStateDescriptor("s", lambda a, b: f"{a}{b}", Types.LONG()),
                lambda s: (s.add(1), s.add(2)),
            ),
        ],
    )
    def test_wrong_values_are_refused_at_the_write(
        self, harness: BackendHarness, descriptor: StateDescriptor, write: Any
    ) -> None:
        """The error names state, operator and key; nothing is stored."""
        backend = harness.create()
        state = state_of(backend, descriptor)
        with at_key(backend, 41), pytest.raises(SerializationError) as caught:
            write(state)
        assert caught.value.context["state"] == "s"
        assert caught.value.context["operator"] == "conformance"
        assert "41" in str(caught.value.context["key"])
        harness.snapshot(backend)
