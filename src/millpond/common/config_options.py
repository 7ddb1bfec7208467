"""Typed configuration options and the builder that PyFlink users know."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from millpond.common import option_type
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.common.option_type import OptionType

__all__ = ("ConfigOption", "ConfigOptions", "Constraint", "FallbackKey")

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)


@dataclass(frozen=True, slots=True)
class FallbackKey:
    """Another key under which an option is found; a deprecated one is an older spelling."""

    key: str
    is_deprecated: bool


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a value must fulfil beyond its type; `text` reads on after "must be"."""

    text: str
    accepts: Callable[[Any], bool] = field(compare=False)


@final
@dataclass(frozen=True, slots=True)
class ConfigOption(Generic[T]):
    """One configuration option.

    Values of durations are integers in milliseconds, values of memory sizes integers in bytes
    (`type.unit`). An option without a default has None. Lookup order, as in Flink: the own key,
    then the fallback keys as declared, then the default.
    """

    key: str
    type: OptionType[Any]
    default: T = field(hash=False)
    fallback_keys: tuple[FallbackKey, ...] = ()
    description: str = ""
    constraint: Constraint | None = None

    def with_fallback_keys(self, *keys: str) -> ConfigOption[T]:
        """Add keys that are read, in this order, when the own key is not set."""
        return self._with_keys(keys, is_deprecated=False)

    def with_deprecated_keys(self, *keys: str) -> ConfigOption[T]:
        """Add older spellings: they work, and using one is reported with the new name."""
        return self._with_keys(keys, is_deprecated=True)

    def with_description(self, description: str) -> ConfigOption[T]:
        """Set the description."""
        return replace(self, description=description)

    def with_constraint(self, text: str, accepts: Callable[[T], bool]) -> ConfigOption[T]:
        """Restrict the values; `text` reads on after "must be"."""
        return replace(self, constraint=Constraint(text, accepts))

    def _with_keys(self, keys: tuple[str, ...], *, is_deprecated: bool) -> ConfigOption[T]:
        added = tuple(FallbackKey(key, is_deprecated) for key in keys)
        return replace(self, fallback_keys=(*self.fallback_keys, *added))

    @property
    def spellings(self) -> tuple[str, ...]:
        """All keys under which the option is found, in lookup order."""
        return (self.key, *(fallback.key for fallback in self.fallback_keys))

    @property
    def has_default(self) -> bool:
        """Whether the option has a value when it is not set."""
        return self.default is not None

    def parse(self, text: str, *, key: str | None = None, origin: object = None) -> T:
        """Read the value from text.

        Args:
            text: the text of the value.
            key: the spelling that was used, for the error.
            origin: where the text stands, for the error.

        Raises:
            ConfigurationError: the text is no value of this type or out of range.
        """
        try:
            value: T = self.type.read(text)
        except ValueError as error:
            raise self._refused(text, str(error), key, origin) from None
        return self._constrained(value, text, key, origin)

    def format(self, value: object, *, origin: object = None) -> str:
        """Write a value as text, after checking it.

        Raises:
            ConfigurationError: the value has not this option's type or is out of range.
        """
        try:
            text = self.type.write(value)
            read: T = self.type.read(text)
        except (ValueError, TypeError) as error:
            raise self._refused(value, str(error), None, origin) from None
        self._constrained(read, value, None, origin)
        return text

    def _constrained(self, value: T, shown: object, key: str | None, origin: object) -> T:
        if self.constraint is not None and not self.constraint.accepts(value):
            raise self._refused(shown, f"it must be {self.constraint.text}", key, origin)
        return value

    def _refused(
        self, value: object, reason: str, key: str | None, origin: object
    ) -> ConfigurationError:
        name = key or self.key
        return ConfigurationError(
            f"The value '{value}' of option '{name}' ({self.type.name}) is not valid: "
            f"{reason.rstrip('.')}.",
            origin=None if origin is None else str(origin),
        )


@final
class ConfigOptions:
    """Start of the fluent declaration of an option.

    Example:
        >>> retries = ConfigOptions.key("job.retries").int_type().default_value(3)
        >>> retries.parse("5")
        5
    """

    @staticmethod
    def key(key: str) -> OptionBuilder:
        """Start the declaration of the option with this key."""
        return OptionBuilder(key)


@final
class OptionBuilder:
    """An option of which only the key is known; the next step is its type."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key

    def _typed(self, type_: OptionType[T]) -> TypedOptionBuilder[T]:
        return TypedOptionBuilder(self._key, type_)

    def boolean_type(self) -> TypedOptionBuilder[bool]:
        """Take ``true`` or ``false``."""
        return self._typed(option_type.BOOLEAN)

    def int_type(self) -> TypedOptionBuilder[int]:
        """Take a whole number of 32 bits."""
        return self._typed(option_type.INTEGER)

    def long_type(self) -> TypedOptionBuilder[int]:
        """Take a whole number of 64 bits."""
        return self._typed(option_type.LONG)

    def float_type(self) -> TypedOptionBuilder[float]:
        """Take a finite number."""
        return self._typed(option_type.FLOAT)

    def double_type(self) -> TypedOptionBuilder[float]:
        """Take a finite number."""
        return self._typed(option_type.DOUBLE)

    def string_type(self) -> TypedOptionBuilder[str]:
        """Take any text."""
        return self._typed(option_type.STRING)

    def duration_type(self) -> TypedOptionBuilder[int]:
        """Take a duration such as ``10 s``; values are milliseconds."""
        return self._typed(option_type.DURATION)

    def memory_type(self) -> TypedOptionBuilder[int]:
        """Take a size such as ``64 mb``; values are bytes."""
        return self._typed(option_type.MEMORY_SIZE)

    def enum_type(self, enum_class: type[E], *, exact: bool = False) -> TypedOptionBuilder[E]:
        """Take the name of a member, in any letter case unless `exact`."""
        return self._typed(option_type.enum_of(enum_class, exact=exact))

    def map_type(self) -> TypedOptionBuilder[dict[str, str]]:
        """Take pairs such as ``a:1,b:2``, or one entry a key as ``<key>.a: 1``."""
        return self._typed(option_type.MAP)


@final
class TypedOptionBuilder(Generic[T]):
    """An option of which key and type are known; the next step is its default."""

    __slots__ = ("_key", "_type")

    def __init__(self, key: str, type_: OptionType[T]) -> None:
        self._key = key
        self._type = type_

    def as_list(self) -> TypedOptionBuilder[list[T]]:
        """Take several values, separated by ``;``."""
        return TypedOptionBuilder(self._key, option_type.list_of(self._type))

    def default_value(self, value: T) -> ConfigOption[T]:
        """Finish with a default.

        A duration's default is in milliseconds, a memory size's in bytes; text such as ``10 s``
        is read as in a file.
        """
        reads_text = self._type.unit and isinstance(value, str)
        return ConfigOption(
            self._key, self._type, self._type.read(str(value)) if reads_text else value
        )

    def no_default_value(self) -> ConfigOption[T | None]:
        """Finish without a default: an option that is not set has the value None."""
        return ConfigOption(self._key, self._type, None)
