"""Entries that come with the process: environment variables and ``-D key=value``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.configuration.entry import Entry, FoundEntries, Origin, OriginKind
from millpond.configuration.registry import option_registry
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from millpond.common.configuration import Configuration

__all__ = (
    "entries_of_command_line",
    "entries_of_configuration",
    "entries_of_environment",
    "variable_name",
)


_PREFIX = "MILLPOND_"


def variable_name(key: str) -> str:
    """Return the environment variable of a key: MILLPOND_ and the key, dots and dashes as _."""
    return _PREFIX + key.replace(".", "_").replace("-", "_").upper()


def entries_of_environment(environment: Mapping[str, str]) -> FoundEntries:
    """Take the options that environment variables set; an empty variable counts as unset."""
    if not any(name.startswith(_PREFIX) for name in environment):
        return FoundEntries()
    registry = option_registry()
    entries = []
    for registered in registry:
        for key in registered.option.spellings:
            name = variable_name(key)
            value = environment.get(name, "").strip()
            if value and registry.find(key) is registered:
                entries.append(Entry(key, value, Origin(OriginKind.ENVIRONMENT, name)))
    return FoundEntries(tuple(entries))


def entries_of_command_line(definitions: Iterable[str]) -> FoundEntries:
    """Take the options of ``-D key=value``; the last one of a key counts.

    Raises:
        ConfigurationError: a definition has no ``=``, no key or no value.
    """
    entries: dict[str, Entry] = {}
    for definition in definitions:
        key, separator, value = definition.partition("=")
        key, value = key.strip(), value.strip()
        if not separator or not key or not value:
            raise ConfigurationError(
                f"'-D {definition}' is no definition.", hint="Write it as -D key=value."
            )
        entries[key] = Entry(key, value, Origin(OriginKind.COMMAND_LINE, f"-D {key}"))
    return FoundEntries(tuple(entries.values()))


def entries_of_configuration(configuration: Configuration, kind: OriginKind) -> FoundEntries:
    """Take the entries of a configuration object."""
    origin = Origin(kind)
    return FoundEntries(
        tuple(Entry(key, value, origin) for key, value in configuration.to_dict().items())
    )
