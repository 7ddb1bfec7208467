"""Checks of a whole configuration: names, directories, and options that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.configuration.backend_choice import check_backend
from millpond.configuration.options import checkpointing, restart_strategy
from millpond.configuration.options.checkpointing import CheckpointingMode
from millpond.configuration.rocksdb_memory import check_ratios
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from millpond.common.configuration import Configuration

__all__ = ("check_configuration",)

_RESTART_STRATEGIES = (
    "none",
    "off",
    "disable",
    "fixed-delay",
    "fixeddelay",
    "failure-rate",
    "failurerate",
    "exponential-delay",
    "exponentialdelay",
)


def check_configuration(configuration: Configuration) -> None:
    """Refuse unknown names, unusable directories and options that do not go together.

    Raises:
        ConfigurationError: names the options and what to do.
    """
    _check_unaligned(configuration)
    _check_restart_strategy(configuration)
    check_ratios(configuration)
    check_backend(configuration)


def _check_unaligned(configuration: Configuration) -> None:
    if not configuration.get(checkpointing.UNALIGNED):
        return
    if configuration.get(checkpointing.CHECKPOINTING_MODE) is not CheckpointingMode.EXACTLY_ONCE:
        raise ConfigurationError(
            "Unaligned checkpoints need the mode EXACTLY_ONCE.",
            hint=f"Set '{checkpointing.CHECKPOINTING_MODE.key}' to EXACTLY_ONCE or turn "
            f"'{checkpointing.UNALIGNED.key}' off.",
            option=checkpointing.UNALIGNED.key,
        )


def _check_restart_strategy(configuration: Configuration) -> None:
    name = configuration.get(restart_strategy.RESTART_STRATEGY)
    if name is not None and name.strip().lower() not in _RESTART_STRATEGIES:
        import difflib

        close = difflib.get_close_matches(name.lower(), _RESTART_STRATEGIES, n=1)
        raise ConfigurationError(
            f"'{name}' in '{restart_strategy.RESTART_STRATEGY.key}' is no restart strategy."
            + (f" Did you mean '{close[0]}'?" if close else ""),
            hint="Use none, fixed-delay, failure-rate or exponential-delay.",
            option=restart_strategy.RESTART_STRATEGY.key,
        )
    initial = configuration.get(restart_strategy.EXPONENTIAL_INITIAL_BACKOFF)
    longest = configuration.get(restart_strategy.EXPONENTIAL_MAX_BACKOFF)
    if initial > longest:
        raise ConfigurationError(
            f"'{restart_strategy.EXPONENTIAL_INITIAL_BACKOFF.key}' ({initial} ms) is more than "
            f"'{restart_strategy.EXPONENTIAL_MAX_BACKOFF.key}' ({longest} ms).",
            option=restart_strategy.EXPONENTIAL_INITIAL_BACKOFF.key,
        )
