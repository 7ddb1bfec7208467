"""`millpond config`: shows, checks and migrates configuration."""

from __future__ import annotations

from pathlib import Path

import click

from millpond.configuration.configuration_file import is_line_format, read_text
from millpond.configuration.effective_configuration import (
    EffectiveConfiguration,
    load_configuration,
)
from millpond.configuration.entry import Notice, Severity
from millpond.configuration.line_format import parse_lines
from millpond.configuration.registry import option_registry
from millpond.configuration.yaml_format import parse_yaml
from millpond.errors import ConfigurationError

__all__ = ("command",)

_FORMATS = click.Choice(["auto", "lines", "yaml"])
_format_option = click.option(
    "--format",
    "format_name",
    type=_FORMATS,
    default="auto",
    show_default=True,
    help="Flink's line format or YAML; auto: lines if the file's name starts with flink-conf.",
)


@click.group(name="config")
def command() -> None:
    """Show, check and migrate configuration."""


@command.command()
@click.option("--config-dir", help="Directory with config.yaml or flink-conf.yaml.")
@click.option("-D", "definitions", multiple=True, metavar="KEY=VALUE", help="Set an option.")
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@click.option("--all", "all_options", is_flag=True, help="List options that are not set, too.")
def show(
    config_dir: str | None, definitions: tuple[str, ...], *, origin: bool, all_options: bool
) -> None:
    """Print the effective configuration: files, environment variables and -D."""
    configuration = load_configuration(config_dir, definitions)
    configuration.to_configuration()
    _print_notices(configuration.notices, Severity.WARNING)
    for line in _shown(configuration, with_origin=origin, all_options=all_options):
        click.echo(line)


def _shown(
    configuration: EffectiveConfiguration, *, with_origin: bool, all_options: bool
) -> list[str]:
    values = {key: (entry.value, str(entry.origin)) for key, entry in configuration.entries.items()}
    if all_options:
        for registered in option_registry():
            option = registered.option
            is_set = any(key.startswith(option.key + ".") for key in values)
            if option.default is not None and not (option.type.is_map and is_set):
                values.setdefault(option.key, (option.format(option.default), "default"))
    return [
        f"{key}: {value}" + (f"  # {origin}" if with_origin else "")
        for key, (value, origin) in sorted(values.items())
    ]


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@_format_option
def check(file: Path, format_name: str) -> None:
    """Check a configuration file without running anything.

    Exit code 1 if an entry is malformed, stands twice, or names an option that does not exist and
    is like one that does.
    """
    text = read_text(file)
    as_lines = _is_lines(file, format_name)
    found = parse_lines(text, str(file)) if as_lines else parse_yaml(text, str(file))
    errors: list[ConfigurationError] = []
    configuration = EffectiveConfiguration([found], on_error=errors.append)
    if not errors:
        configuration.to_configuration()
    _print_notices(configuration.notices, Severity.INFORMATION)
    for error in errors:
        click.echo(f"{error.context.get('origin', file)}: error: {error.message}", err=True)
    problems = sum(notice.severity is Severity.PROBLEM for notice in configuration.notices)
    if errors or problems:
        raise ConfigurationError(
            f"{file} has {len(errors)} malformed and {problems} doubtful entries."
        )
    click.echo(f"{file}: {len(configuration.entries)} entries, no problem.")


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@_format_option
@click.option("--output", type=click.Path(path_type=Path), help="Write here instead of stdout.")
def migrate(file: Path, format_name: str, output: Path | None) -> None:
    """Rewrite a file of Flink 1.12 and later as config.yaml with current names.

    Entries that a later version dropped become comments. Comments of a YAML file are not kept.
    """
    from millpond.configuration.migration import migrated

    text = migrated(read_text(file), str(file), line_format=_is_lines(file, format_name))
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists():
        raise ConfigurationError(
            "The output file exists already.", path=str(output), hint="Name another one."
        )
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"The output file cannot be written: {error.strerror}.", path=str(output)
        ) from None


def _is_lines(file: Path, format_name: str) -> bool:
    return is_line_format(file) if format_name == "auto" else format_name == "lines"


def _print_notices(notices: tuple[Notice, ...], least: Severity) -> None:
    for notice in notices:
        if least is Severity.INFORMATION or notice.severity is not Severity.INFORMATION:
            click.echo(f"{notice.origin}: {notice.severity}: {notice.message}", err=True)
