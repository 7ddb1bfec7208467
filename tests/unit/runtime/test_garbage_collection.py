"""Jobs set Python's garbage collector up and give it back."""

import gc

import pytest

from millpond.runtime import garbage_collection
from millpond.runtime.garbage_collection import CalmCollection


@pytest.fixture(autouse=True)
def collector(monkeypatch):
    # A job that another test left open must not matter here.
    monkeypatch.setattr(garbage_collection, "_open_count", 0)
    monkeypatch.setattr(garbage_collection, "_frozen_here", False)
    thresholds, enabled = gc.get_threshold(), gc.isenabled()
    gc.enable()
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    (gc.enable if enabled else gc.disable)()


def test_it_is_given_back_when_the_last_job_ends():
    gc.set_threshold(700, 10, 10)
    first, second = CalmCollection(), CalmCollection()
    first.close()
    first.close()
    assert gc.get_threshold() == (10_000, 10, 10)
    assert gc.get_freeze_count() > 0
    second.close()
    assert gc.get_threshold() == (700, 10, 10)
    assert gc.get_freeze_count() == 0


def test_a_program_that_switched_it_off_keeps_it_off():
    gc.set_threshold(700, 10, 10)
    gc.disable()
    collection = CalmCollection()
    assert gc.get_threshold() == (700, 10, 10)
    assert gc.get_freeze_count() == 0
    collection.close()
    assert not gc.isenabled()


def test_thresholds_are_never_lowered():
    gc.set_threshold(50_000, 5, 5)
    collection = CalmCollection()
    assert gc.get_threshold() == (50_000, 5, 5)
    collection.close()
    assert gc.get_threshold() == (50_000, 5, 5)


def test_what_the_program_froze_stays_frozen():
    gc.freeze()
    frozen = gc.get_freeze_count()
    collection = CalmCollection()
    assert gc.get_freeze_count() <= frozen
    collection.close()
    assert gc.get_freeze_count() > 0
