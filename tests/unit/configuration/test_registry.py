"""The registry of all options."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.configuration.options.foreign import reason_for
from millpond.configuration.process_entries import variable_name
from millpond.configuration.registered_option import OptionStatus, RegisteredOption
from millpond.configuration.registry import option_registry

KEYS_OF_FLINK = Path(__file__).with_name("flink_keys.txt").read_text().split()
ALL = list(option_registry())


@pytest.mark.parametrize("key", KEYS_OF_FLINK)
def test_every_key_of_flink_that_concerns_state_is_known(key: str) -> None:
    assert option_registry().find(key) is not None


def test_keys_are_unique_and_lead_to_their_option() -> None:
    keys = [registered.option.key for registered in ALL]
    assert len(set(keys)) == len(keys)
    assert all(option_registry().find(registered.option.key) is registered for registered in ALL)


def test_environment_variables_of_two_options_do_not_collide() -> None:
    owners: dict[str, str] = {}
    for registered in ALL:
        for key in registered.option.spellings:
            owner = option_registry().find(key)
            assert owner is not None
            assert owners.setdefault(variable_name(key), owner.option.key) == owner.option.key


@pytest.mark.parametrize("registered", ALL, ids=lambda registered: registered.option.key)
def test_an_option_is_complete(registered: RegisteredOption) -> None:
    option = registered.option
    assert registered.note
    if registered.status is not OptionStatus.WITHOUT_MEANING:
        assert option.description
    if option.default is not None:
        assert option.parse(option.format(option.default)) == option.default


def test_entries_of_a_map_belong_to_its_option() -> None:
    found = option_registry().find("taskmanager.memory.managed.consumer-weights.PYTHON")
    assert found is not None
    assert found.option.key == "taskmanager.memory.managed.consumer-weights"


def test_older_names_are_deprecated() -> None:
    registry = option_registry()
    assert registry.is_deprecated("state.backend")
    assert registry.is_deprecated("state.checkpoints.dir")
    assert not registry.is_deprecated("state.backend.type")
    assert not registry.is_deprecated("execution.state-recovery.from-local")
    assert not registry.is_deprecated("nothing")


def test_the_nearest_key() -> None:
    assert option_registry().nearest("state.checkpoint.dir") == "state.checkpoints.dir"
    assert option_registry().nearest("my.own.key") is None


def test_keys_for_what_millpond_does_not_have() -> None:
    assert reason_for("jobmanager.rpc.address") == "Millpond has no cluster"
    assert reason_for("my.own.key") is None
