"""The example of a third party's state backend passes the conformance suite and the model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from millpond.testing.state_backend_suite import StateBackendSuite
from millpond.testing.state_machine import StateStoreMachine, check_store

_PATH = Path(__file__).parents[2] / "examples" / "dict_backend.py"
_SPEC = importlib.util.spec_from_file_location("dict_backend", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
dict_backend = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(dict_backend)


class TestDictBackend(StateBackendSuite):
    def create_store(self):
        return dict_backend.DictStore()


class DictMachine(StateStoreMachine):
    def make_store(self):
        return dict_backend.DictStore()


def test_dict_backend_against_a_model():
    check_store(DictMachine, steps=500)
