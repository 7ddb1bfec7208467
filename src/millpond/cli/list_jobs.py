"""`millpond list`: the running jobs of this user."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

__all__ = ("command",)


@click.command("list")
@click.option("--json", "as_lines", is_flag=True, help="Print lines of JSON.")
def command(*, as_lines: bool) -> None:
    """List the jobs that `millpond run` runs for this user on this machine.

    What `python job.py` runs listens to no requests, and is not listed.
    """
    from millpond.engines.control_client import running_jobs

    jobs = running_jobs()
    if not any(jobs) and not as_lines:
        click.echo("No job of `millpond run` is running.")
    for job_id, problem in jobs.silent.items():
        if as_lines:
            click.echo(json.dumps({"job_id": job_id, "status": "UNKNOWN", "problem": problem}))
        else:
            click.echo(f"{'unknown':23}  {job_id}  {problem}; ask again, or look at its log")
    for job in jobs.answering:
        if as_lines:
            click.echo(json.dumps(job))
            continue
        started = datetime.fromtimestamp(job["started_ms"] / 1000, UTC)
        latest = job["latest_checkpoint"]
        click.echo(
            f"{started:%Y-%m-%d %H:%M:%S} UTC  {job['job_id']}  {job['name']}  {job['status']}  "
            f"checkpoint {'none' if latest is None else latest}"
        )
