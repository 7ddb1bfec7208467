"""`millpond cancel`: ends a running job, with a savepoint if asked for."""

from __future__ import annotations

import click

from millpond.cli.savepoint_options import FORMAT, print_taken

__all__ = ("command",)


@click.command("cancel")
@click.argument("job")
@click.option("-s", "--with-savepoint", is_flag=True, help="Take a savepoint before.")
@click.option(
    "-p", "--savepoint-path", "directory", metavar="DIR", help="Where the savepoint goes."
)
@FORMAT
def command(
    job: str, *, with_savepoint: bool, directory: str | None, savepoint_format: str
) -> None:
    """Cancel JOB at once. Results after the last checkpoint are not committed.

    With a savepoint no checkpoint completes after it, so that a job that starts from it goes on
    without a gap and repeats nothing. If the savepoint fails the job goes on. `millpond stop`
    commits the results up to the savepoint as well.
    """
    from millpond.engines.control_client import ask_job

    if with_savepoint or directory is not None:
        request = {
            "command": "cancel",
            "savepoint": True,
            "directory": directory,
            "format": savepoint_format.lower(),
        }
        print_taken(ask_job(job, request))
        return
    ask_job(job, {"command": "cancel"})
