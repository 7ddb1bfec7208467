from __future__ import annotations

import pytest

from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.heap import table, ttl_sweep
from millpond.state.heap.capture import Capture
from millpond.state.heap.incremental_snapshot import IncrementBook
from millpond.state.heap.store import HeapStateStore
from millpond.testing.state_machine import StateStoreMachine, check_store


class HeapMachine(StateStoreMachine):
    def make_store(self):
        return HeapStateStore()


class SynchronousHeapMachine(StateStoreMachine):
    def make_store(self):
        return HeapStateStore(asynchronous=False)


class IncrementalHeapMachine(StateStoreMachine):
    def make_store(self):
        return HeapStateStore(incremental=True)

    def snapshot_options(self):
        return SnapshotOptions(incremental=True)


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(table, "_MERGE_SLICE", 2)
    monkeypatch.setattr(table, "_MAX_FROZEN_LAYERS", 2)
    monkeypatch.setattr(ttl_sweep, "_VISITS_PER_CLEANUP_SIZE", 1)


def test_heap_against_a_model():
    check_store(HeapMachine, steps=500)


def test_synchronous_heap_against_a_model():
    check_store(SynchronousHeapMachine, steps=500)


def test_heap_with_incremental_checkpoints_against_a_model(monkeypatch):
    # Few keys, so that half of them change at once: increments are wanted all the same.
    monkeypatch.setattr(Capture, "is_mostly_changed", lambda *_: False)
    monkeypatch.setattr(
        IncrementBook, "base", lambda book: book.confirmed if book.confirmed_id % 5 else None
    )
    check_store(IncrementalHeapMachine, steps=1_000)


@pytest.mark.nightly
def test_heap_against_a_model_for_long():
    check_store(HeapMachine, steps=10_000, steps_per_run=100)


@pytest.mark.nightly
def test_heap_with_incremental_checkpoints_against_a_model_for_long(monkeypatch):
    monkeypatch.setattr(Capture, "is_mostly_changed", lambda *_: False)
    monkeypatch.setattr(
        IncrementBook, "base", lambda book: book.confirmed if book.confirmed_id % 5 else None
    )
    check_store(IncrementalHeapMachine, steps=10_000, steps_per_run=100)
