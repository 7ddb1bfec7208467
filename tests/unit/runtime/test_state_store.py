"""Stores of third parties, named by import path."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from millpond.common.configuration import Configuration
from millpond.configuration.backend_choice import choose_backend
from millpond.errors import ConfigurationError
from millpond.runtime.state_store import open_state_store
from millpond.state.contract.keyed_backend import StateStore


class Plain(StateStore):
    def create_keyed_backend(self, parameters):
        raise AssertionError("No backend is made here.")


class Configured(Plain):
    @classmethod
    def from_configuration(cls, configuration):
        store = cls()
        store.size = int(configuration["acme.size"])
        return store


def make():
    return Plain()


@pytest.fixture
def opened(monkeypatch):
    module = ModuleType("acme_store")
    module.Plain, module.Configured, module.make = Plain, Configured, make
    module.NoStore = dict
    monkeypatch.setitem(sys.modules, "acme_store", module)

    def open_named(path, **settings):
        configuration = Configuration.from_dict({"state.backend.type": path, **settings})
        return open_state_store(choose_backend(configuration, None), configuration.to_dict())

    return open_named


@pytest.mark.parametrize("path", ["acme_store.Plain", "acme_store:Plain", "acme_store.make"])
def test_a_class_or_a_function_makes_the_store(opened, path):
    assert type(opened(path)) is Plain


def test_a_store_may_read_settings_of_its_own(opened):
    assert opened("acme_store.Configured", **{"acme.size": "7"}).size == 7


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("acme_shop.Plain", r"cannot be loaded: No module named 'acme_shop'.*installed"),
        ("acme_store.Plane", r"cannot be loaded: .*no attribute 'Plane'"),
        ("acme_store.Configured", r"raised KeyError: 'acme.size'"),
        ("acme_store.NoStore", r"is no StateStore.*a function that returns one"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_option(opened, path, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        opened(path)
    assert caught.value.context["option"] == "state.backend.type"
