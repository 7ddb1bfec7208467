"""What commands that take savepoints share: their option, and what they print."""

from __future__ import annotations

from typing import Any

import click

__all__ = ("FORMAT", "print_taken")

FORMAT = click.option(
    "--type",
    "savepoint_format",
    type=click.Choice(["canonical", "native"], case_sensitive=False),
    default="canonical",
    show_default=True,
    help="Canonical ones are read by every store and by Flink, native ones are faster.",
)


def print_taken(answer: dict[str, Any]) -> None:
    """Print the path of a savepoint; beside it, for a person, what Flink cannot use of it."""
    click.echo(answer["path"])
    for limit in answer.get("limits", ()):
        click.echo(f"Apache Flink cannot use: {limit}", err=True)
