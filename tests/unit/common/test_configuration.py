"""The configuration object and typed options."""

from __future__ import annotations

import copy
import enum

import pytest

from millpond.common.config_options import ConfigOptions
from millpond.common.configuration import Configuration
from millpond.errors import ConfigurationError


class Mode(enum.Enum):
    FAST = 0
    SAFE = 1


INTERVAL = (
    ConfigOptions.key("job.interval")
    .duration_type()
    .default_value("10 s")
    .with_fallback_keys("job.period")
    .with_deprecated_keys("interval")
    .with_constraint("at least 10 ms", lambda value: value >= 10)
)
WEIGHTS = ConfigOptions.key("job.weights").map_type().default_value({"a": "1"})


def test_setters_and_getters_of_pyflink() -> None:
    configuration = Configuration()
    configuration.set_string("a", "x").set_integer("b", 3).set_boolean("c", True)
    configuration.set_float("d", 0.5).set_bytearray("e", bytearray(b"\x00\xff"))
    assert configuration.get_string("a", "") == "x"
    assert configuration.get_integer("b", 0) == 3
    assert configuration.get_boolean("c", False) is True
    assert configuration.get_float("d", 0.0) == 0.5
    assert configuration.get_bytearray("e", bytearray()) == bytearray(b"\x00\xff")
    assert configuration.key_set() == {"a", "b", "c", "d", "e"}
    assert configuration.contains_key("a")
    assert configuration.remove_config("a")
    assert not configuration.remove_config("a")
    assert configuration.get_string("a", "none") == "none"
    assert configuration.to_dict()["c"] == "true"


def test_copies_are_independent_and_equal() -> None:
    configuration = Configuration.from_dict({"a": "1"})
    other = copy.deepcopy(configuration)
    assert other == configuration
    assert hash(other) == hash(configuration)
    other.set_string("a", "2")
    assert configuration.get_string("a", "") == "1"
    assert Configuration(configuration) == configuration


def test_add_all_with_a_prefix() -> None:
    configuration = Configuration().add_all(Configuration.from_dict({"a": "1"}), "p.")
    target: dict[str, str] = {}
    configuration.add_all_to_dict(target)
    assert target == {"p.a": "1"}


@pytest.mark.parametrize("value", [3, None, b"x"])
def test_a_value_that_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="must be a text"):
        Configuration.from_dict({"a": value})  # type: ignore[dict-item]


def test_a_malformed_number_names_key_and_value() -> None:
    configuration = Configuration.from_dict({"job.size": "many"})
    with pytest.raises(ConfigurationError, match=r"'many' of option 'job.size'"):
        configuration.get_integer("job.size", 1)


def test_own_key_wins_then_fallback_keys_in_order_then_the_default() -> None:
    configuration = Configuration.from_dict({"interval": "1 s"})
    assert configuration.get(INTERVAL) == 1000
    configuration.set_string("job.period", "2 s")
    assert configuration.get(INTERVAL) == 2000
    configuration.set_string("job.interval", "3 s")
    assert configuration.get(INTERVAL) == 3000
    assert Configuration().get(INTERVAL) == 10_000


def test_setting_an_option_drops_its_other_spellings() -> None:
    configuration = Configuration.from_dict({"interval": "1 s", "job.period": "2 s"})
    configuration.set(INTERVAL, 5000)
    assert configuration.to_dict() == {"job.interval": "5 s"}


def test_the_constraint_holds_for_reading_and_setting() -> None:
    with pytest.raises(ConfigurationError, match="must be at least 10 ms"):
        Configuration().set(INTERVAL, 9)
    with pytest.raises(ConfigurationError, match="must be at least 10 ms"):
        Configuration.from_dict({"interval": "9"}).get(INTERVAL)


def test_a_value_of_the_wrong_type_is_refused() -> None:
    option = ConfigOptions.key("job.mode").enum_type(Mode).no_default_value()
    assert Configuration().get(option) is None
    assert Configuration().set(option, Mode.SAFE).get(option) is Mode.SAFE
    with pytest.raises(ConfigurationError, match="none of FAST, SAFE"):
        Configuration().set(option, 1)  # type: ignore[arg-type]


def test_a_map_may_stand_in_one_value_or_in_one_key_an_entry() -> None:
    assert Configuration.from_dict({"job.weights": "a:2"}).get(WEIGHTS) == {"a": "2"}
    parts = Configuration.from_dict({"job.weights.a": "2", "job.weights.b": "3"})
    assert parts.get(WEIGHTS) == {"a": "2", "b": "3"}
    assert parts.contains(WEIGHTS)
    assert Configuration().get(WEIGHTS) == {"a": "1"}


def test_options_of_every_type() -> None:
    key = ConfigOptions.key
    assert key("a").string_type().default_value("x").default == "x"
    assert key("a").long_type().default_value(2**40).parse("-5") == -5
    assert key("a").float_type().default_value(0.4).parse("1e-3") == 0.001
    assert key("a").memory_type().default_value("1 kb").default == 1024
    assert key("a").int_type().as_list().no_default_value().parse("1;2") == [1, 2]
    assert key("a").boolean_type().no_default_value().has_default is False


def test_list_values_are_parsed() -> None:
    assert Configuration.parse_list_value("a;'b;c'") == ["a", "b;c"]
    assert Configuration.parse_list_value("") == []
    with pytest.raises(ConfigurationError, match="not closed"):
        Configuration.parse_list_value("'a")
