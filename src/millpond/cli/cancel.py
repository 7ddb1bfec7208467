"""`millpond cancel`: ends a running job, with a savepoint if asked for."""

from __future__ import annotations

import click

from millpond.cli.savepoint_options import FORMAT, SAVEPOINT_PATH, chosen_directory

__all__ = ("command",)


@click.command("cancel")
@click.argument("job")
@click.argument("directory", required=False)
@click.option("-s", "--with-savepoint", is_flag=True, help="Take a savepoint before.")
@SAVEPOINT_PATH
@FORMAT
def command(
    job: str,
    *,
    directory: str | None,
    savepoint_path: str | None,
    with_savepoint: bool,
    savepoint_format: str,
) -> None:
    """Cancel JOB at once. Results after the last checkpoint are not committed.

    With a savepoint no checkpoint completes after it, so that a job that starts from it goes on
    without a gap and repeats nothing. If the savepoint fails the job goes on. `millpond stop`
    commits the results up to the savepoint as well. DIRECTORY is where the savepoint goes,
    instead of the configured place.
    """
    from millpond.engines.control_client import ask_job

    target = chosen_directory(directory, savepoint_path)
    if with_savepoint or target is not None:
        request = {
            "command": "cancel",
            "savepoint": True,
            "directory": target,
            "format": savepoint_format.lower(),
        }
        click.echo(ask_job(job, request)["path"])
        return
    ask_job(job, {"command": "cancel"})
