from __future__ import annotations

import gc

import pytest

from millpond.errors import StateError
from millpond.state.contract.map_iterator import (
    ABSENT,
    MapStateIterator,
    ShortMapIterator,
    Walks,
)


class Entries(dict):
    """A map that tells of its changes, as map states do."""

    def __init__(self, entries):
        super().__init__(entries)
        self.walks = Walks()

    def __setitem__(self, key, value):
        self.walks.outdate("slot")
        super().__setitem__(key, value)

    def __delitem__(self, key):
        self.walks.outdate("slot")
        super().__delitem__(key)

    def entry_at(self, slot, key):
        return self.get(key, ABSENT)

    def remove_at(self, slot, key):
        del self[key]


def long(entries):
    return MapStateIterator(
        list(entries),
        lambda key: entries.get(key, ABSENT),
        entries.__delitem__,
        lambda key, value: (key, value),
    )


def short(entries):
    results = list(entries.items())
    iterator = ShortMapIterator(
        list(entries), results, entries, "slot", lambda key, value: (key, value)
    )
    return entries.walks.add(iterator)


@pytest.mark.parametrize("over", [long, short])
def test_it_sees_values_of_now_and_skips_what_is_gone(over):
    entries = Entries({1: "a", 2: "b", 3: "c", 4: None})
    iterator = over(entries)
    assert next(iterator) == (1, "a")
    del entries[2]
    entries[3] = "later"
    entries[5] = "new"
    assert list(iterator) == [(3, "later"), (4, None)]


@pytest.mark.parametrize("over", [long, short])
def test_a_loop_may_change_what_is_left_and_what_it_passed(over):
    entries = Entries(dict.fromkeys(range(10), 0))
    seen = []
    iterator = over(entries)
    for key, value in iterator:
        seen.append((key, value))
        if key == 2:
            iterator.remove()
            with pytest.raises(StateError, match="remove"):
                iterator.remove()
        if key == 3:
            del entries[0]
            del entries[5]
            entries[7] = 7
            entries[99] = 1
        if key == 6:
            iterator.remove()
            with pytest.raises(StateError, match="remove"):
                iterator.remove()
    assert seen == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (6, 0), (7, 7), (8, 0), (9, 0)]
    iterator.remove()
    assert list(entries) == [1, 3, 4, 7, 8, 99]
    assert list(iterator) == []


@pytest.mark.parametrize("over", [long, short])
def test_two_loops_over_one_map_see_what_the_other_one_removes(over):
    entries = Entries(dict.fromkeys(range(4), 0))
    outer, seen = over(entries), []
    for key, _ in outer:
        inner = over(entries)
        seen.append((key, [other for other, _ in inner]))
        if key == 1:
            inner.remove()
    assert seen == [(0, [0, 1, 2, 3]), (1, [0, 1, 2, 3]), (2, [0, 1, 2])]
    outer.remove()
    assert list(entries) == [0, 1]


def test_a_loop_that_was_left_is_forgotten():
    entries = Entries(dict.fromkeys(range(4), 0))
    for _ in short(entries):
        break
    other = short(entries)
    gc.collect()
    assert next(other) == (0, 0)
    entries[3] = 3
    assert len(entries.walks.under_way) == 1
    entries.walks.outdate("other slot")
    assert list(other) == [(1, 0), (2, 0), (3, 3)]


@pytest.mark.parametrize("over", [long, short])
def test_remove_takes_the_last_one_once(over):
    entries = Entries({1: "a", 2: "b"})
    iterator = over(entries)
    with pytest.raises(StateError, match="remove"):
        iterator.remove()
    next(iterator)
    iterator.remove()
    with pytest.raises(StateError, match="remove"):
        iterator.remove()
    assert entries == {2: "b"}
