"""`millpond rocksdb`: look into the local databases of the RocksDB store."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ("command",)


@click.group("rocksdb")
def command() -> None:
    """Look into the local databases of the RocksDB store."""


@command.command("options")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--family", help="Only this column family, or DBOptions.")
@click.option("--name", "needle", help="Only options whose name contains this text.")
def options_command(path: Path, family: str | None, needle: str | None) -> None:
    """Print the options in effect of the databases at or below PATH, as RocksDB recorded them.

    PATH is a database, an instance directory or the directory that holds several of these.
    """
    from millpond.errors import StateStoreError
    from millpond.state.rocksdb.options_file import read_options_file

    databases = sorted(file.parent for file in path.rglob("CURRENT")) if path.is_dir() else []
    if not databases:
        raise StateStoreError(
            "There is no RocksDB database here.",
            hint="Give a database, or a directory of state.backend.rocksdb.localdir.",
            path=path,
        )
    for database in databases:
        click.echo(f"# {database}")
        for section, options in sorted(read_options_file(database).items()):
            if section in {"Version", ""} or (family is not None and section != family):
                continue
            shown = {
                name: value
                for name, value in sorted(options.items())
                if needle is None or needle in name
            }
            if shown:
                click.echo(f"[{section}]")
            for name, value in shown.items():
                click.echo(f"{name} = {value}")
