from __future__ import annotations

import pytest

from millpond.state.heap import table, ttl_sweep
from millpond.state.heap.store import HeapStateStore
from millpond.testing.state_machine import StateStoreMachine, check_store


class HeapMachine(StateStoreMachine):
    def make_store(self):
        return HeapStateStore()


class SynchronousHeapMachine(StateStoreMachine):
    def make_store(self):
        return HeapStateStore(asynchronous=False)


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(table, "_MERGE_SLICE", 2)
    monkeypatch.setattr(table, "_MAX_FROZEN_LAYERS", 2)
    monkeypatch.setattr(ttl_sweep, "_VISITS_PER_CLEANUP_SIZE", 1)


def test_heap_against_a_model():
    check_store(HeapMachine, steps=500)


def test_synchronous_heap_against_a_model():
    check_store(SynchronousHeapMachine, steps=500)


@pytest.mark.nightly
def test_heap_against_a_model_for_long():
    check_store(HeapMachine, steps=10_000, steps_per_run=100)
