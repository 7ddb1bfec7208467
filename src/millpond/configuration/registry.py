"""All options that Millpond knows, by concern and by every spelling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.common.configuration import Configuration
    from millpond.configuration.registered_option import RegisteredOption

__all__ = ("Concern", "OptionRegistry", "option_registry")


@dataclass(frozen=True, slots=True)
class Concern:
    """A group of options under one heading."""

    title: str
    options: tuple[RegisteredOption, ...]


@final
class OptionRegistry:
    """Finds options by any of their keys."""

    __slots__ = ("_by_key", "_maps", "concerns")

    def __init__(self, concerns: tuple[Concern, ...]) -> None:
        self.concerns = concerns
        self._by_key: dict[str, RegisteredOption] = {}
        for concern in concerns:
            for registered in concern.options:
                # A fallback key may belong to another option itself, which then owns it.
                self._by_key[registered.option.key] = registered
        for concern in concerns:
            for registered in concern.options:
                for key in registered.option.spellings:
                    self._by_key.setdefault(key, registered)
        self._maps = tuple(o for o in self._by_key.values() if o.option.type.is_map)

    def __iter__(self) -> Iterator[RegisteredOption]:
        """Iterate over all options."""
        return (option for concern in self.concerns for option in concern.options)

    def find(self, key: str) -> RegisteredOption | None:
        """Return the option with this key or older key, or that of a map with this entry."""
        found = self._by_key.get(key)
        if found is None:
            return next((o for o in self._maps if key.startswith(o.option.key + ".")), None)
        return found

    def assign(self, configuration: Configuration, key: str, value: str) -> None:
        """Set a value under any name of its option, dropping what stands under its other names."""
        found = self._by_key.get(key)
        if found is not None:
            configuration.remove(found.option)
        configuration.set_string(key, value)

    def is_deprecated(self, key: str) -> bool:
        """Tell whether the key is an older spelling of an option."""
        found = self._by_key.get(key)
        return found is not None and any(
            fallback.key == key and fallback.is_deprecated
            for fallback in found.option.fallback_keys
        )

    def nearest(self, key: str) -> str | None:
        """Return the known key that is most like an unknown one, if one is like it."""
        import difflib

        close = difflib.get_close_matches(key, self._by_key, n=1, cutoff=0.8)
        return close[0] if close else None


@cache
def option_registry() -> OptionRegistry:
    """Return the registry of all options, made at the first call."""
    from millpond.configuration.options import (
        checkpointing,
        execution,
        high_availability,
        memory,
        metrics,
        millpond,
        python,
        rest,
        restart_strategy,
        rocksdb,
        rocksdb_column_family,
        rocksdb_metrics,
        state_backend,
        state_tracking,
    )

    return OptionRegistry(
        (
            Concern("State backend and storage", state_backend.OPTIONS),
            Concern("Checkpoints", checkpointing.OPTIONS),
            Concern("Execution and recovery", execution.OPTIONS),
            Concern("Restart strategies", restart_strategy.OPTIONS),
            Concern("High availability", high_availability.OPTIONS),
            Concern("RocksDB", rocksdb.OPTIONS),
            Concern("RocksDB databases and column families", rocksdb_column_family.OPTIONS),
            Concern("RocksDB metrics", rocksdb_metrics.OPTIONS),
            Concern("Memory, slots and tasks", memory.OPTIONS),
            Concern("Metric reporters", metrics.OPTIONS),
            Concern("HTTP API and dashboard", rest.OPTIONS),
            Concern("Changelog and sampling", state_tracking.OPTIONS),
            Concern("Millpond itself", millpond.OPTIONS),
            Concern("PyFlink's Python workers", python.OPTIONS),
        )
    )
