"""Finds and reads the configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from millpond.configuration.entry import FoundEntries, Notice, Origin, OriginKind, Severity
from millpond.configuration.line_format import parse_lines
from millpond.configuration.yaml_format import parse_yaml
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = (
    "DIRECTORY_VARIABLES",
    "LINE_FILE",
    "YAML_FILE",
    "find_configuration_file",
    "is_line_format",
    "read_configuration_file",
    "read_text",
)

LINE_FILE = "flink-conf.yaml"
YAML_FILE = "config.yaml"
DIRECTORY_VARIABLES = ("MILLPOND_CONF_DIR", "FLINK_CONF_DIR")


def find_configuration_file(
    directory: str | None, environment: Mapping[str, str]
) -> tuple[Path | None, tuple[Notice, ...]]:
    """Find the file: in the given directory, else in MILLPOND_CONF_DIR, else in FLINK_CONF_DIR.

    `config.yaml` wins over `flink-conf.yaml` in the same directory.

    Returns:
        The file, or None where no directory is named at all; and what to say about it.

    Raises:
        ConfigurationError: the named directory does not exist or holds neither file.
    """
    named_by = "--config-dir"
    for variable in DIRECTORY_VARIABLES:
        if directory is None and environment.get(variable):
            directory, named_by = environment[variable], variable
    if directory is None:
        return None, ()
    folder = Path(directory)
    if not folder.is_dir():
        raise ConfigurationError(
            f"The configuration directory '{directory}' is no directory.", named_by=named_by
        )
    found = [folder / name for name in (YAML_FILE, LINE_FILE) if (folder / name).is_file()]
    if not found:
        raise ConfigurationError(
            f"The configuration directory '{directory}' holds neither {YAML_FILE} nor {LINE_FILE}.",
            named_by=named_by,
        )
    ignored = (
        Notice(
            Severity.WARNING,
            f"this file is ignored because {YAML_FILE} stands beside it.",
            Origin(OriginKind.FILE, str(path)),
        )
        for path in found[1:]
    )
    return found[0], tuple(ignored)


def is_line_format(path: Path) -> bool:
    """Tell whether a file is in Flink's line format, by its name."""
    return path.name.startswith("flink-conf")


def read_configuration_file(path: Path, *, line_format: bool | None = None) -> FoundEntries:
    """Read a file in the format that its name says, or in the given one.

    Raises:
        ConfigurationError: it cannot be read or parsed; names file and line.
    """
    text = read_text(path)
    as_lines = is_line_format(path) if line_format is None else line_format
    return parse_lines(text, str(path)) if as_lines else parse_yaml(text, str(path))


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ConfigurationError: there is no such file, it cannot be read, or it is no UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"The configuration file is no UTF-8 text: byte {error.start} does not decode.",
            path=str(path),
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(
            f"The configuration file cannot be read: {reason}.", path=str(path)
        ) from None
    except ValueError:
        raise ConfigurationError(
            "The name of the configuration file is not valid.", path=repr(str(path))
        ) from None
