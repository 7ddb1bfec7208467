"""`millpond savepoint seal`: checksums beside a snapshot of Flink."""

from __future__ import annotations

import click

__all__ = ("seal_command",)


@click.command("seal")
@click.argument("path")
@click.option(
    "--no-examine",
    is_flag=True,
    help="Do not read the state first. Needed for state of Java's own serializers.",
)
def seal_command(path: str, *, no_examine: bool) -> None:
    """Write checksums beside the snapshot of Flink in PATH, so that damage is noticed from then on.

    Flink records none, and reads the snapshot as before. Do it on the machine that took the
    savepoint, before it is copied or kept. Running it again verifies.
    """
    from millpond.checkpoint.sealing import seal_snapshot

    seal = seal_snapshot(path, examine=not no_examine)
    done = "sealed" if seal.is_new else "was sealed before, and is whole:"
    click.echo(f"{done} {seal.path}  {seal.files} files, {seal.size_bytes} bytes")
