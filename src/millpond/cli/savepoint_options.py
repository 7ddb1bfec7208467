"""What commands that take savepoints share: their options, and what they print."""

from __future__ import annotations

from typing import Any

import click

__all__ = ("FORMAT", "SAVEPOINT_PATH", "chosen_directory", "print_taken")

FORMAT = click.option(
    "--type",
    "savepoint_format",
    type=click.Choice(["canonical", "native"], case_sensitive=False),
    default="canonical",
    show_default=True,
    help="Canonical ones are read by every store and by Flink, native ones are faster.",
)

SAVEPOINT_PATH = click.option(
    "-p",
    "--savepoint-path",
    "savepoint_path",
    metavar="DIR",
    help="The same as DIRECTORY, as Flink's command has it.",
)


def chosen_directory(directory: str | None, savepoint_path: str | None) -> str | None:
    """Return where the savepoint goes, by argument or by option.

    Raises:
        UsageError: both are given.
    """
    if directory is not None and savepoint_path is not None:
        raise click.UsageError("Give the savepoint's directory once: DIRECTORY or -p.")
    return savepoint_path if directory is None else directory


def print_taken(answer: dict[str, Any]) -> None:
    """Print the path of a savepoint; beside it, for a person, what Flink cannot use of it."""
    click.echo(answer["path"])
    for limit in answer.get("limits", ()):
        click.echo(f"Apache Flink cannot use: {limit}", err=True)
