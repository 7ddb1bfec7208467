"""Options of the changelog backend and of sampling latency and size of state."""

from __future__ import annotations

from typing import TypeVar

from millpond.common.config_options import ConfigOption, ConfigOptions
from millpond.configuration.registered_option import RegisteredOption, without_meaning

__all__ = ("OPTIONS",)

T = TypeVar("T")

_NO_CHANGELOG = (
    "there is no changelog backend: incremental RocksDB checkpoints and short heap snapshots are "
    "the ways to frequent checkpoints"
)
_NOT_SAMPLED = "state access is a dictionary operation; sampling it would cost more than it does"


def _renamed_in_1_20(option: ConfigOption[T]) -> ConfigOption[T]:
    return option.with_deprecated_keys(option.key.replace("state.", "state.backend.", 1))


def _sampling(kind: str) -> tuple[ConfigOption[bool] | ConfigOption[int], ...]:
    prefix = f"state.{kind}-track."
    return (
        _key(prefix + "keyed-state-enabled").boolean_type().default_value(False),
        _key(prefix + "sample-interval").int_type().default_value(100),
        _key(prefix + "history-size").int_type().default_value(128),
        _key(prefix + "state-name-as-variable").boolean_type().default_value(True),
    )


_key = ConfigOptions.key
_CHANGELOG = "state.changelog."

OPTIONS: tuple[RegisteredOption, ...] = (
    without_meaning(
        _renamed_in_1_20(_key(_CHANGELOG + "enabled").boolean_type().default_value(False)),
        _NO_CHANGELOG,
        since="1.13",
    ),
    without_meaning(
        _renamed_in_1_20(_key(_CHANGELOG + "storage").string_type().default_value("memory")),
        _NO_CHANGELOG,
        since="1.15",
    ),
    without_meaning(
        _renamed_in_1_20(
            _key(_CHANGELOG + "periodic-materialize.enabled").boolean_type().default_value(True)
        ),
        _NO_CHANGELOG,
        since="1.15",
    ),
    without_meaning(
        _renamed_in_1_20(
            _key(_CHANGELOG + "periodic-materialize.interval")
            .duration_type()
            .default_value(600_000)
        ),
        _NO_CHANGELOG,
        since="1.15",
    ),
    without_meaning(
        _renamed_in_1_20(_key(_CHANGELOG + "max-failures-allowed").int_type().default_value(3)),
        _NO_CHANGELOG,
        since="1.15",
    ),
    *(
        without_meaning(_renamed_in_1_20(option), _NOT_SAMPLED, since="1.13")
        for option in _sampling("latency")
    ),
    *(without_meaning(option, _NOT_SAMPLED, since="2.0") for option in _sampling("size")),
)
