"""What the registry knows of an option beside its type: status, meaning, versions."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millpond.common.config_options import ConfigOption

__all__ = ("OptionStatus", "RegisteredOption", "without_meaning", "works")


class OptionStatus(enum.StrEnum):
    """Whether an option has an effect in Millpond."""

    WORKS = "works"
    WITHOUT_MEANING = "without meaning"


@dataclass(frozen=True, slots=True)
class RegisteredOption:
    """An option with its place in Millpond.

    `note` says what the option does and where (works) or why it does nothing here.
    `since` and `until` are the first and last Flink version that has it; the default of Flink
    1.12 stands in `default_in_1_12` where it differs.
    """

    option: ConfigOption[Any]
    status: OptionStatus
    note: str
    since: str = "1.12"
    until: str | None = None
    default_in_1_12: str | None = None


def works(
    option: ConfigOption[Any],
    effect: str,
    *,
    since: str = "1.12",
    until: str | None = None,
    default_in_1_12: str | None = None,
) -> RegisteredOption:
    """Register an option that has an effect."""
    return RegisteredOption(option, OptionStatus.WORKS, effect, since, until, default_in_1_12)


def without_meaning(
    option: ConfigOption[Any],
    reason: str,
    *,
    since: str = "1.12",
    until: str | None = None,
    default_in_1_12: str | None = None,
) -> RegisteredOption:
    """Register an option of Flink that is accepted and does nothing here, with the reason."""
    return RegisteredOption(
        option, OptionStatus.WITHOUT_MEANING, reason, since, until, default_in_1_12
    )
