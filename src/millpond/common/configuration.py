"""The configuration object: keys and their values as text, with typed access."""

from __future__ import annotations

import base64
import binascii
import builtins
from typing import TYPE_CHECKING, TypeVar, final

from millpond.common import option_type
from millpond.common.config_options import ConfigOption
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Configuration",)

T = TypeVar("T")


@final
class Configuration:
    """A set of configuration entries, with PyFlink's methods.

    Values are kept as text, as they would stand in a file; bytes are kept as Base64. Not safe for
    use by several threads while it is changed.

    Example:
        >>> configuration = Configuration().set_string("state.backend", "rocksdb")
        >>> configuration.get_string("state.backend", "hashmap")
        'rocksdb'
    """

    __slots__ = ("_values",)

    def __init__(self, other: Configuration | None = None) -> None:
        self._values: dict[str, str] = {} if other is None else other.to_dict()

    @classmethod
    def from_dict(cls, map: Mapping[str, str]) -> Configuration:
        """Make a configuration from keys and values as text.

        Raises:
            ConfigurationError: a key or value is no text.
        """
        configuration = cls()
        for key, value in map.items():
            configuration.set_string(key, value)
        return configuration

    def get(self, option: ConfigOption[T]) -> T:
        """Return the value of an option: own key, else fallback keys in order, else the default.

        Durations are milliseconds and memory sizes bytes.

        Raises:
            ConfigurationError: the text under the key is no value of the option.
        """
        for key in option.spellings:
            if (text := self._values.get(key)) is not None:
                return option.parse(text, key=key)
            if option.type.is_map and (text := self._joined_entries(key)):
                return option.parse(text, key=key)
        return option.default

    def set(self, option: ConfigOption[T], value: T) -> Configuration:
        """Set the value of an option under its own key; older spellings of it are dropped.

        Raises:
            ConfigurationError: the value has not the option's type or is out of range.
        """
        text = option.format(value)
        self.remove(option)
        self._values[option.key] = text
        return self

    def contains(self, option: ConfigOption[T]) -> bool:
        """Tell whether the option is set under any of its keys."""
        return any(
            key in self._values or (option.type.is_map and bool(self._joined_entries(key)))
            for key in option.spellings
        )

    def remove(self, option: ConfigOption[T]) -> bool:
        """Remove an option under all of its keys; tell whether it was set."""
        found = [self.remove_config(key) for key in option.spellings]
        return any(found)

    def _joined_entries(self, key: str) -> str:
        prefix = key + "."
        entries = {k[len(prefix) :]: v for k, v in self._values.items() if k.startswith(prefix)}
        return option_type.MAP.write(entries) if entries else ""

    def get_string(self, key: str, default_value: str) -> str:
        """Return the text under a key, or the default."""
        return self._values.get(key, default_value)

    def set_string(self, key: str, value: str) -> Configuration:
        """Set the text under a key.

        Raises:
            ConfigurationError: key or value is no text, or the key is empty.
        """
        if not isinstance(key, str) or not key:
            raise ConfigurationError(f"A configuration key must be a text, not {key!r}.")
        if not isinstance(value, str):
            raise ConfigurationError(
                f"The value of '{key}' must be a text, not {value!r}.",
                hint="Use the setter of its type, or str().",
            )
        self._values[key] = value
        return self

    def _read(self, key: str, type_: option_type.OptionType[T], default_value: T) -> T:
        text = self._values.get(key)
        if text is None:
            return default_value
        return ConfigOption(key, type_, default_value).parse(text)

    def _write(self, key: str, type_: option_type.OptionType[T], value: T) -> Configuration:
        return self.set_string(key, ConfigOption(key, type_, value).format(value))

    def get_integer(self, key: str, default_value: int) -> int:
        """Return the whole number under a key, or the default.

        Raises:
            ConfigurationError: the text is no whole number of 64 bits.
        """
        return self._read(key, option_type.LONG, default_value)

    def set_integer(self, key: str, value: int) -> Configuration:
        """Set a whole number of 64 bits."""
        return self._write(key, option_type.LONG, value)

    def get_boolean(self, key: str, default_value: bool) -> bool:
        """Return the truth value under a key, or the default.

        Raises:
            ConfigurationError: the text is neither ``true`` nor ``false``.
        """
        return self._read(key, option_type.BOOLEAN, default_value)

    def set_boolean(self, key: str, value: bool) -> Configuration:
        """Set a truth value."""
        return self._write(key, option_type.BOOLEAN, value)

    def get_float(self, key: str, default_value: float) -> float:
        """Return the number under a key, or the default.

        Raises:
            ConfigurationError: the text is no finite number.
        """
        return self._read(key, option_type.DOUBLE, default_value)

    def set_float(self, key: str, value: float) -> Configuration:
        """Set a number."""
        return self._write(key, option_type.DOUBLE, value)

    def get_bytearray(self, key: str, default_value: bytearray) -> bytearray:
        """Return the bytes under a key, or the default.

        Raises:
            ConfigurationError: the value was not set by `set_bytearray`.
        """
        text = self._values.get(key)
        if text is None:
            return default_value
        try:
            return bytearray(base64.b64decode(text.encode("ascii"), validate=True))
        except (binascii.Error, UnicodeEncodeError):
            raise ConfigurationError(f"The value of '{key}' is no bytes in Base64.") from None

    def set_bytearray(self, key: str, value: bytearray | bytes) -> Configuration:
        """Set bytes."""
        return self.set_string(key, base64.b64encode(value).decode("ascii"))

    @staticmethod
    def parse_list_value(value: str) -> list[str]:
        """Split a list value, written ``a;b`` or ``[a, b]``; empty text is the empty list.

        Raises:
            ConfigurationError: a quote is not closed.
        """
        try:
            return option_type.list_of(option_type.STRING).read(value or "")
        except ValueError as error:
            raise ConfigurationError(f"The list '{value}' cannot be read: {error}.") from None

    def key_set(self) -> builtins.set[str]:
        """Return all keys."""
        return builtins.set(self._values)

    def add_all_to_dict(self, target_dict: dict[str, str]) -> None:
        """Copy all entries into a dictionary."""
        target_dict.update(self._values)

    def add_all(self, other: Configuration, prefix: str | None = None) -> Configuration:
        """Take over all entries of another configuration, their keys prefixed if so wanted."""
        for key, value in other._values.items():
            self._values[(prefix or "") + key] = value
        return self

    def contains_key(self, key: str) -> bool:
        """Tell whether a key is set."""
        return key in self._values

    def to_dict(self) -> dict[str, str]:
        """Return a copy of all entries."""
        return dict(self._values)

    def remove_config(self, key: str) -> bool:
        """Remove a key; tell whether it was set."""
        return self._values.pop(key, None) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Configuration) and self._values == other._values

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __copy__(self) -> Configuration:
        return Configuration(self)

    def __deepcopy__(self, memo: object) -> Configuration:
        return Configuration(self)

    def __repr__(self) -> str:
        return f"Configuration({self._values!r})"

    def __str__(self) -> str:
        return str(self._values)
