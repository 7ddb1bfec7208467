"""`millpond stop`: takes a savepoint of a running job and ends it."""

from __future__ import annotations

import click

from millpond.cli.savepoint_options import FORMAT, SAVEPOINT_PATH, chosen_directory

__all__ = ("command",)


@click.command("stop")
@click.argument("job")
@click.argument("directory", required=False)
@SAVEPOINT_PATH
@click.option(
    "-d", "--drain", is_flag=True, help="Let event time reach its end first: all timers fire."
)
@FORMAT
def command(
    job: str,
    *,
    directory: str | None,
    savepoint_path: str | None,
    drain: bool,
    savepoint_format: str,
) -> None:
    """Stop JOB with a savepoint and print its path.

    JOB is an id, the beginning of one, or a name, of a job that `millpond list` shows. DIRECTORY
    is where the savepoint goes, instead of the configured place.
    """
    from millpond.engines.control_client import ask_job

    request = {
        "command": "stop",
        "directory": chosen_directory(directory, savepoint_path),
        "drain": drain,
        "format": savepoint_format.lower(),
    }
    click.echo(ask_job(job, request)["path"])
