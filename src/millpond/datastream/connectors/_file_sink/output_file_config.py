"""`OutputFileConfig`: how part files are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from millpond.errors import ConfigurationError

__all__ = ("OutputFileConfig", "OutputFileConfigBuilder")


@final
@dataclass(frozen=True, slots=True)
class OutputFileConfig:
    """What stands before and after the unique part of a file's name.

    Raises:
        ConfigurationError: prefix or suffix holds a `/`, or the prefix would hide the file.
    """

    part_prefix: str = "part"
    part_suffix: str = ""

    def __post_init__(self) -> None:
        if "/" in self.part_prefix + self.part_suffix:
            raise ConfigurationError(
                "The prefix and suffix of part files must not hold '/'.",
                part_prefix=self.part_prefix,
                part_suffix=self.part_suffix,
            )
        if not self.part_prefix or self.part_prefix[0] in "._":
            raise ConfigurationError(
                "The prefix of part files must not be empty or begin with '.' or '_': "
                "readers take such files as hidden.",
                part_prefix=self.part_prefix,
            )

    def get_part_prefix(self) -> str:
        """Return what names begin with."""
        return self.part_prefix

    def get_part_suffix(self) -> str:
        """Return what names end with."""
        return self.part_suffix

    @staticmethod
    def builder() -> OutputFileConfigBuilder:
        """Return a builder that starts with Flink's defaults, `part` and nothing."""
        return OutputFileConfigBuilder()


@final
class OutputFileConfigBuilder:
    """Builds an `OutputFileConfig`."""

    def __init__(self) -> None:
        self._prefix = "part"
        self._suffix = ""

    def with_part_prefix(self, prefix: str) -> OutputFileConfigBuilder:
        """Set what names begin with."""
        self._prefix = prefix
        return self

    def with_part_suffix(self, suffix: str) -> OutputFileConfigBuilder:
        """Set what names end with, for example `.jsonl`."""
        self._suffix = suffix
        return self

    def build(self) -> OutputFileConfig:
        """Return the configuration. Raises ConfigurationError."""
        return OutputFileConfig(self._prefix, self._suffix)
