"""The third-party backend of the examples passes what the stores of Millpond pass."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from millpond.testing.state_backend_suite import StateBackendSuite
from millpond.testing.state_machine import StateStoreMachine, check_store

_file = Path(__file__).parents[2] / "examples" / "backends" / "tiny_state_store.py"
_spec = importlib.util.spec_from_file_location("tiny_state_store", _file)
tiny_state_store = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny_state_store)


class TestTinyStateBackend(StateBackendSuite):
    def create_store(self):
        return tiny_state_store.TinyStateStore()


class TinyMachine(StateStoreMachine):
    def make_store(self):
        return tiny_state_store.TinyStateStore()


def test_tiny_store_against_a_model():
    check_store(TinyMachine, steps=500)
