"""`millpond rocksdb`: look into the local databases of the RocksDB store."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Final

import click

__all__ = ("command",)

_JOB_ID: Final = re.compile(r"[0-9a-f]{32}")


@click.group("rocksdb")
def command() -> None:
    """Look into the local databases of the RocksDB store."""


@command.command("options")
@click.argument("path", metavar="JOB_ID|PATH")
@click.option("--config-dir", metavar="DIR", help="Directory of the job's configuration file.")
@click.option("--family", help="Only this column family, or DBOptions.")
@click.option("--name", "needle", help="Only options whose name contains this text.")
def options_command(
    path: str, config_dir: str | None, family: str | None, needle: str | None
) -> None:
    """Print the options in effect of databases, as RocksDB recorded them.

    JOB_ID names a job that runs on this machine, by its 32 hex digits. PATH is a database, an
    instance directory or the directory that holds several of these.
    """
    from millpond.errors import StateStoreError
    from millpond.state.rocksdb.options_file import read_options_file

    if _JOB_ID.fullmatch(path) and not Path(path).exists():
        databases = _of_job(path, config_dir)
    else:
        databases = _below(Path(path))
    if not databases:
        raise StateStoreError(
            "There is no RocksDB database here.",
            hint="Give the id of a job that runs on this machine, a database, or a directory of "
            "state.backend.rocksdb.localdir.",
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


def _below(path: Path) -> list[Path]:
    return sorted(file.parent for file in path.rglob("CURRENT")) if path.is_dir() else []


def _of_job(job_id: str, config_directory: str | None) -> list[Path]:
    """Return the databases of a job in all directories where it may have put them."""
    from millpond.configuration.directory import split_local_directories
    from millpond.configuration.effective_configuration import load_configuration
    from millpond.configuration.options.execution import TEMPORARY_DIRECTORIES
    from millpond.configuration.options.rocksdb import LOCAL_DIRECTORIES

    configuration = load_configuration(config_directory).to_configuration()
    parents = {Path(tempfile.gettempdir())}
    for option in (LOCAL_DIRECTORIES, TEMPORARY_DIRECTORIES):
        text = configuration.get(option) or ""
        parents.update(map(Path, split_local_directories(text, option.key)))
    # Without localdir a worker has a directory of its own in a temporary one.
    patterns = (f"job_{job_id}_*", f"millpond-*/job_{job_id}_*")
    found = {path for parent in parents for pattern in patterns for path in parent.glob(pattern)}
    return sorted(database for path in found for database in _below(path))
