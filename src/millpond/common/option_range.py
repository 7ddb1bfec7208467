"""Constraints that several options share: lower bounds and open intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from millpond.common.config_options import ConfigOption

__all__ = ("at_least", "between", "positive", "within_zero_and_one")

T = TypeVar("T")


def at_least(option: ConfigOption[T], minimum: float, unit: str = "") -> ConfigOption[T]:
    """Restrict an option's numbers to `minimum` and more."""
    text = f"at least {minimum:g}{' ' + unit if unit else ''}"
    return option.with_constraint(text, lambda value: _number(value) >= minimum)


def positive(option: ConfigOption[T]) -> ConfigOption[T]:
    """Restrict an option's numbers to those above 0."""
    return option.with_constraint("greater than 0", lambda value: _number(value) > 0)


def between(
    option: ConfigOption[T], minimum: float, maximum: float, text: str = ""
) -> ConfigOption[T]:
    """Restrict an option's numbers to those from `minimum` to `maximum`, both included."""
    return option.with_constraint(
        text or f"from {minimum:g} to {maximum:g}",
        lambda value: minimum <= _number(value) <= maximum,
    )


def within_zero_and_one(option: ConfigOption[T]) -> ConfigOption[T]:
    """Restrict an option's numbers to those between 0 and 1, both excluded."""
    return option.with_constraint(
        "greater than 0 and less than 1", lambda value: 0 < _number(value) < 1
    )


def _number(value: object) -> float:
    if isinstance(value, int | float):
        return value
    raise TypeError(f"a number was expected, not {value!r}")
