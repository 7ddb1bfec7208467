"""What a job runs with: all sources of configuration in order, and where each value stands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, final

from millpond.common.configuration import Configuration
from millpond.configuration.configuration_file import (
    find_configuration_file,
    read_configuration_file,
)
from millpond.configuration.entry import (
    Entry,
    FoundEntries,
    Notice,
    Origin,
    OriginKind,
    Severity,
)
from millpond.configuration.options.foreign import reason_for
from millpond.configuration.process_entries import (
    entries_of_command_line,
    entries_of_configuration,
    entries_of_environment,
)
from millpond.configuration.registered_option import OptionStatus, RegisteredOption
from millpond.configuration.registry import OptionRegistry, option_registry
from millpond.configuration.validation import check_configuration
from millpond.errors import ConfigurationError, MillpondError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from millpond.common.config_options import ConfigOption

__all__ = ("EffectiveConfiguration", "load_configuration", "log_notices")

_LOGGED: set[str] = set()
_DEFAULT = Origin(OriginKind.DEFAULT)


@final
class EffectiveConfiguration:
    """The entries that count, under the current name of their option, with their origins.

    Of sources that set the same option under any of its names the one that ranks higher counts:
    code, command line, job configuration, environment, file. Immutable.

    Raises:
        ConfigurationError: a value is malformed or out of range, or a ``-D`` names an option that
            does not exist and is like one that does.
    """

    __slots__ = ("_sources", "entries", "notices")

    def __init__(
        self,
        sources: Iterable[FoundEntries],
        on_error: Callable[[ConfigurationError], None] | None = None,
    ) -> None:
        """Resolve sources.

        Args:
            sources: from the lowest rank to the highest.
            on_error: takes the error of each entry that is not valid; None: the first is raised.
        """
        self._sources: Sequence[FoundEntries] = tuple(sources)
        notices: list[Notice] = []
        counting: dict[str, list[Entry]] = {}
        for source in self._sources:
            notices += source.notices
            if source.entries:  # a job without configuration never loads the registry
                counting |= _resolved(source.entries, notices, on_error or _raised)
        self.entries = {entry.key: entry for group in counting.values() for entry in group}
        self.notices = tuple(notices)

    def with_code(self, configuration: Configuration) -> EffectiveConfiguration:
        """Return this configuration with the options that the program set on top."""
        code = entries_of_configuration(configuration, OriginKind.CODE)
        return EffectiveConfiguration((*self._sources, code))

    def to_configuration(self) -> Configuration:
        """Return the entries as a configuration object, checked as a whole.

        Raises:
            ConfigurationError: a name or directory is not valid, or options contradict each
                other.
        """
        configuration = Configuration.from_dict(
            {key: entry.value for key, entry in self.entries.items()}
        )
        try:
            check_configuration(configuration)
        except ConfigurationError as error:
            raise self.located(error) from None
        return configuration

    def located(self, error: MillpondError) -> MillpondError:
        """Return an error about an option with the place where the option is set."""
        entry = self.entries.get(str(error.context.get("option")))
        if entry is None or "origin" in error.context:
            return error
        context = error.context | {"origin": str(entry.origin)}
        return type(error)(error.message, hint=error.hint, **context)

    def origin_of(self, option: ConfigOption[Any]) -> Origin:
        """Return where the value of an option comes from; a default where it is not set."""
        for key in option.spellings:
            for entry in self.entries.values():
                is_part = option.type.is_map and entry.key.startswith(key + ".")
                if entry.key == key or is_part:
                    return entry.origin
        return _DEFAULT


def _raised(error: ConfigurationError) -> None:
    raise error


def _resolved(
    entries: Sequence[Entry],
    notices: list[Notice],
    on_error: Callable[[ConfigurationError], None],
) -> dict[str, list[Entry]]:
    """Group the entries of one source by option: one entry each, several for maps."""
    registry = option_registry()
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        registered = registry.find(entry.key)
        if registered is None:
            notices.append(_unknown(entry, registry))
            groups[entry.key] = [entry]
            continue
        notices += _notices_on(entry, registered, registry)
        groups.setdefault(registered.option.key, []).append(entry)
    counting = {}
    for key, group in groups.items():
        try:
            counting[key] = _counting(key, group, registry, notices)
        except ConfigurationError as error:
            on_error(error)
    return counting


def _counting(
    key: str, group: list[Entry], registry: OptionRegistry, notices: list[Notice]
) -> list[Entry]:
    registered = registry.find(key)
    if registered is None:
        return group
    option = registered.option
    parts = [entry for entry in group if entry.key not in option.spellings]
    whole = sorted(
        (entry for entry in group if entry.key in option.spellings),
        key=lambda entry: option.spellings.index(entry.key),
    )
    if not whole:
        pairs = {entry.key[len(option.key) + 1 :]: entry.value for entry in parts}
        option.parse(option.type.write(pairs), origin=parts[0].origin)
        return parts
    first = whole[0]
    option.parse(first.value, key=first.key, origin=first.origin)
    notices += [
        Notice(
            Severity.PROBLEM,
            f"'{other.key}' is ignored: '{first.key}' sets the same option ({first.origin}).",
            other.origin,
        )
        for other in (*whole[1:], *parts)
    ]
    return [Entry(option.key, first.value, first.origin)]


def _notices_on(
    entry: Entry, registered: RegisteredOption, registry: OptionRegistry
) -> Iterable[Notice]:
    option = registered.option
    if registry.is_deprecated(entry.key):
        message = f"'{entry.key}' is an older name; use '{option.key}'."
        yield Notice(Severity.WARNING, message, entry.origin)
    if registered.status is OptionStatus.WITHOUT_MEANING:
        message = f"'{entry.key}' has no effect in Millpond: {registered.note}."
        yield Notice(Severity.INFORMATION, message, entry.origin)


def _unknown(entry: Entry, registry: OptionRegistry) -> Notice:
    reason = reason_for(entry.key)
    if reason is not None:
        return Notice(
            Severity.INFORMATION,
            f"'{entry.key}' has no effect in Millpond: {reason}.",
            entry.origin,
        )
    nearest = registry.nearest(entry.key)
    if nearest is None:
        return Notice(Severity.WARNING, f"'{entry.key}' is no known option.", entry.origin)
    meant = f"Did you mean '{nearest}'?"
    if entry.origin.kind is OriginKind.COMMAND_LINE:
        raise ConfigurationError(
            f"'{entry.key}' is no known option.", hint=meant, origin=str(entry.origin)
        )
    return Notice(Severity.PROBLEM, f"'{entry.key}' is no known option. {meant}", entry.origin)


def load_configuration(
    config_directory: str | None = None,
    definitions: Iterable[str] = (),
    job: Configuration | None = None,
    environment: Mapping[str, str] | None = None,
) -> EffectiveConfiguration:
    """Load everything that stands outside the code of a job.

    Args:
        config_directory: directory of the configuration file; None: the environment names it.
        definitions: texts ``key=value`` of the command line.
        job: the configuration object that the job passes to its environment.
        environment: environment variables; None: those of the process.

    Raises:
        ConfigurationError: a file is missing or cannot be read, or an entry is not valid.
    """
    variables = os.environ if environment is None else environment
    path, notices = find_configuration_file(config_directory, variables)
    in_file = FoundEntries() if path is None else read_configuration_file(path)
    return EffectiveConfiguration(
        (
            FoundEntries(in_file.entries, (*notices, *in_file.notices)),
            entries_of_environment(variables),
            entries_of_configuration(job or Configuration(), OriginKind.JOB),
            entries_of_command_line(definitions),
        )
    )


def log_notices(configuration: EffectiveConfiguration) -> None:
    """Log what is worth saying about the entries, each once in the life of the process."""
    import logging

    log = logging.getLogger("millpond.configuration")
    for notice in configuration.notices:
        text = str(notice)
        if text in _LOGGED:
            continue
        _LOGGED.add(text)
        level = logging.INFO if notice.severity is Severity.INFORMATION else logging.WARNING
        log.log(level, "%s", text)
