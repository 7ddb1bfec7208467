"""`millpond list`: the running jobs of this user."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

__all__ = ("command",)


@click.command("list")
@click.option("--json", "as_lines", is_flag=True, help="Print lines of JSON.")
def command(*, as_lines: bool) -> None:
    """List the jobs that `millpond run` runs for this user on this machine."""
    from millpond.engines.control_client import running_jobs

    jobs = running_jobs()
    if not jobs and not as_lines:
        click.echo("No job is running.")
    for job in jobs:
        if as_lines:
            click.echo(json.dumps(job))
            continue
        started = datetime.fromtimestamp(job["started_ms"] / 1000, UTC)
        latest = job["latest_checkpoint"]
        click.echo(
            f"{started:%Y-%m-%d %H:%M:%S} UTC  {job['job_id']}  {job['name']}  {job['status']}  "
            f"checkpoint {'none' if latest is None else latest}"
        )
