"""Options that commands about savepoints share."""

from __future__ import annotations

import click

__all__ = ("FORMAT",)

FORMAT = click.option(
    "--type",
    "savepoint_format",
    type=click.Choice(["canonical", "native"], case_sensitive=False),
    default="canonical",
    show_default=True,
    help="Canonical ones are read by every store and by Flink, native ones are faster.",
)
