from __future__ import annotations

import pytest

from millpond.errors import StateError
from millpond.state.contract.map_iterator import ABSENT, MapStateIterator


def over(entries):
    return MapStateIterator(
        list(entries),
        lambda key: entries.get(key, ABSENT),
        lambda key: entries.pop(key, None),
        lambda key, value: (key, value),
    )


def test_it_sees_values_of_now_and_skips_what_is_gone():
    entries = {1: "a", 2: "b", 3: "c", 4: None}
    iterator = over(entries)
    assert next(iterator) == (1, "a")
    del entries[2]
    entries[3] = "later"
    entries[5] = "new"
    assert list(iterator) == [(3, "later"), (4, None)]


def test_remove_takes_the_last_one_once():
    entries = {1: "a", 2: "b"}
    iterator = over(entries)
    with pytest.raises(StateError, match="remove"):
        iterator.remove()
    next(iterator)
    iterator.remove()
    with pytest.raises(StateError, match="remove"):
        iterator.remove()
    assert entries == {2: "b"}
