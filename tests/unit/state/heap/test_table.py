from __future__ import annotations

import random

import pytest

from millpond.state.heap import table as module
from millpond.state.heap.overlay import Overlay
from millpond.state.heap.table import HeapTable


def settle(table: HeapTable, limit: int = 10_000) -> None:
    for _ in range(limit):
        if table.is_idle:
            return
        table.merge()
    pytest.fail("the table never became idle")


def test_an_idle_table_is_a_plain_dictionary():
    table = HeapTable(None)
    assert type(table.active) is dict
    view = table.freeze()
    assert type(table.active) is Overlay
    table.release(view)
    settle(table)
    assert type(table.active) is dict


def test_frozen_entries_do_not_change():
    table = HeapTable(None)
    table.active.update({1: "a", 2: "b", 3: "c"})
    view = table.freeze()
    table.active[1] = "changed"
    assert table.active.pop(2, None) == "b"
    table.active[4] = "new"
    assert dict(view.items()) == {1: "a", 2: "b", 3: "c"}
    assert dict(table.items()) == {1: "changed", 3: "c", 4: "new"}
    assert table.active.get(2) is None
    assert table.active.get(3) == "c"
    assert sorted(table.keys()) == [1, 3, 4]
    assert len(table) == 3


def test_mutable_values_are_copied_before_they_leave_a_frozen_layer():
    table = HeapTable(list.copy)
    table.active[1] = [1]
    view = table.freeze()
    table.active.get(1).append(2)
    assert dict(view.items()) == {1: [1]}
    assert table.active.get(1) == [1, 2]


def test_values_are_not_copied_once_nobody_reads_the_layers():
    table = HeapTable(list.copy)
    value = [1]
    table.active[1] = value
    view = table.freeze()
    table.active[2] = [2]
    table.release(view)
    assert table.active.get(1) is value


def test_a_deletion_and_a_new_value_over_a_frozen_one():
    table = HeapTable(None)
    table.active[1] = "a"
    view = table.freeze()
    table.active.pop(1, None)
    assert table.active.pop(1, None) is None
    table.active[1] = "b"
    assert table.active.pop(1, None) == "b"
    assert list(table.items()) == []
    table.release(view)
    settle(table)
    assert table.active == {}


def test_many_overlapping_snapshots_keep_the_number_of_layers_bounded():
    table = HeapTable(None)
    views = []
    expected = {}
    for number in range(60):
        table.active[number % 7] = number
        expected[number % 7] = number
        views.append((table.freeze(), dict(expected)))
        if len(views) > 3:
            view, content = views.pop(0)
            assert dict(view.items()) == content
            table.release(view)
        for _ in range(6):
            table.merge()
        assert len(table._frozen) <= 8
        assert dict(table.items()) == expected
    for view, content in views:
        assert dict(view.items()) == content
        table.release(view)
    settle(table)
    assert table.active == expected


@pytest.mark.parametrize("seed", range(30))
def test_against_a_dictionary(seed, monkeypatch):
    monkeypatch.setattr(module, "_MERGE_SLICE", 2)
    monkeypatch.setattr(module, "_MAX_FROZEN_LAYERS", 2)
    rng = random.Random(seed)
    table, model = HeapTable(list.copy), {}
    views = []
    for _ in range(600):
        key = rng.randrange(12)
        action = rng.random()
        if action < 0.35:
            table.active[key] = [rng.random()]
            model[key] = list(table.active[key])
        elif action < 0.55:
            value = table.active.get(key)
            assert value == model.get(key)
            if value is not None:
                value.append(1)
                model[key] = [*model[key], 1]
        elif action < 0.7:
            assert table.active.pop(key, None) == model.pop(key, None)
        elif action < 0.78 and len(views) < 5:
            views.append((table.freeze(), dict(model)))
        elif action < 0.86 and views:
            view, content = views.pop(rng.randrange(len(views)))
            assert dict(view.items()) == content
            table.release(view)
        else:
            table.merge()
        assert dict(table.items()) == model
        assert table.peek(key) == model.get(key)
    for view, content in views:
        assert dict(view.items()) == content
        table.release(view)
    settle(table)
    assert table.active == model
