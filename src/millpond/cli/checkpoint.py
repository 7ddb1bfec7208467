"""`millpond checkpoint`: take, list, verify and clean up checkpoints and savepoints."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from millpond.checkpoint.verification import VerificationReport

__all__ = ("command",)

_UNITS_MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


@click.group("checkpoint")
def command() -> None:
    """Take, list, verify and clean up checkpoints and savepoints."""


@command.command("trigger")
@click.argument("job")
def trigger_command(job: str) -> None:
    """Take a checkpoint of the running JOB now and print its path.

    JOB is an id, the beginning of one, or a name, of a job that `millpond list` shows. It need not
    take checkpoints by itself.
    """
    from millpond.engines.control_client import ask_job

    click.echo(ask_job(job, {"command": "checkpoint"})["path"])


@command.command("ls")
@click.argument("path")
@click.option("--job", "job_id", help="Only checkpoints of this job.")
def list_command(path: str, job_id: str | None) -> None:
    """List the complete checkpoints and savepoints below PATH, newest first."""
    from millpond.checkpoint.listing import list_checkpoints

    listed = list_checkpoints(path, job_id)
    if not listed:
        click.echo("No complete checkpoint or savepoint.", err=True)
    for one in listed:
        kind = "savepoint" if one.is_savepoint else f"checkpoint {one.checkpoint_id}"
        when = "-"
        if one.completed_ms:
            moment = datetime.fromtimestamp(one.completed_ms / 1000, tz=UTC)
            when = moment.strftime("%Y-%m-%d %H:%M:%SZ")
        click.echo(f"{when:20}  {kind:16}  {one.path}")


@command.command("verify")
@click.argument("path")
@click.option("--threads", default=4, show_default=True, help="Files read at a time.")
def verify_command(path: str, threads: int) -> None:
    """Read every file of the snapshots at or below PATH and compare lengths and checksums.

    The exit code is 1 if anything is wrong.
    """
    from millpond.checkpoint.listing import list_checkpoints
    from millpond.checkpoint.verification import verify_checkpoint

    listed = [one.path for one in list_checkpoints(path)]
    good = True
    for one in listed or [path]:
        report = verify_checkpoint(one, threads=threads)
        good = good and not report.errors
        _print_report(report)
    if not good:
        raise click.exceptions.Exit(1)


@command.command("gc")
@click.argument("path")
@click.option("--delete", is_flag=True, help="Delete the files instead of only listing them.")
@click.option(
    "--older-than",
    default="1h",
    show_default=True,
    help="Spare younger files, as those of a running checkpoint: a number with ms, s, min, h, d.",
)
def collect_command(path: str, *, delete: bool, older_than: str) -> None:
    """Find files that no checkpoint below the checkpoints directory PATH refers to."""
    from millpond.checkpoint.garbage import delete_garbage, find_garbage
    from millpond.clock import SystemClock

    garbage = find_garbage(path, SystemClock(), older_than_ms=_duration_ms(older_than))
    for error in garbage.damaged:
        click.echo(f"Shared files are spared, since a checkpoint is damaged: {error}", err=True)
    for file in garbage.files:
        click.echo(f"{file.size:12}  {file.reason:32}  {file.path}")
    failed = delete_garbage(garbage) if delete else ()
    count = len(garbage.files)
    what = "deleted" if delete else "can be deleted with --delete"
    click.echo(f"{count - len(failed)} files, {garbage.size_bytes} bytes: {what}.")
    if failed:
        click.echo(f"{len(failed)} files could not be deleted.", err=True)
        raise click.exceptions.Exit(1)


def _print_report(report: VerificationReport) -> None:
    if report.errors:
        click.echo(f"damaged  {report.path}")
        for error in report.errors:
            click.echo(f"         {error}")
        return
    note = (
        ""
        if report.has_checksums
        else ", lengths only: Flink records no checksums (millpond savepoint seal)"
    )
    click.echo(f"good     {report.path}  {report.files} files, {report.size_bytes} bytes{note}")


def _duration_ms(text: str) -> int:
    match = re.fullmatch(r"\s*(\d+)\s*(ms|s|min|h|d)\s*", text)
    if match is None:
        raise click.BadParameter(
            f"{text!r} is no duration; write a number with ms, s, min, h or d.",
            param_hint="--older-than",
        )
    return int(match[1]) * _UNITS_MS[match[2]]
