"""`millpond run`: runs a user's program with a supervised worker process."""

from __future__ import annotations

import runpy
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from millpond.errors import ConfigurationError, MillpondError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("command",)


@click.command("run", context_settings={"ignore_unknown_options": True})
@click.argument("job", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "-D", "definitions", multiple=True, metavar="KEY=VALUE", help="Set an option; may be repeated."
)
@click.option("--config-dir", metavar="DIR", help="Directory of the configuration file.")
@click.option(
    "-s",
    "--from-savepoint",
    metavar="PATH",
    help="Start from a savepoint or a retained checkpoint.",
)
@click.option(
    "-n",
    "--allow-non-restored-state",
    is_flag=True,
    help="Drop state of the savepoint that no operator of the job claims.",
)
@click.option(
    "--claim-mode",
    type=click.Choice(["NO_CLAIM", "CLAIM", "LEGACY"], case_sensitive=False),
    help="Who owns the savepoint from now on.",
)
@click.option("-p", "--parallelism", type=int, help="Parallelism of operators that set none.")
@click.option(
    "--job-id",
    metavar="HEX",
    help="Id of the job, 32 hex digits; the job goes on from its last retained checkpoint.",
)
@click.option(
    "--in-process", is_flag=True, help="Run the tasks in this process, as `python job.py` does."
)
def command(
    *,
    job: Path,
    arguments: tuple[str, ...],
    definitions: tuple[str, ...],
    config_dir: str | None,
    from_savepoint: str | None,
    allow_non_restored_state: bool,
    claim_mode: str | None,
    parallelism: int | None,
    job_id: str | None,
    in_process: bool,
) -> None:
    """Run the program JOB; ARGUMENTS are its own.

    The tasks run in a worker process; when it dies it is replaced and goes on from the last
    checkpoint, as the restart strategy says. Jobs that the program started with execute_async and
    left are waited for.
    """
    from millpond.cli.restore_output import RestoreOutput
    from millpond.datastream.engine import Launch, LaunchWith
    from millpond.engines.embedded import EmbeddedEngine
    from millpond.engines.program_jobs import ProgramJobs
    from millpond.engines.supervised import SupervisedEngine

    if not job.is_file():
        raise ConfigurationError("There is no such program.", path=job)
    options = list(definitions)
    if from_savepoint is not None:
        options.append(f"execution.state-recovery.path={from_savepoint}")
    if allow_non_restored_state:
        options.append("execution.state-recovery.ignore-unclaimed-state=true")
    if claim_mode is not None:
        options.append(f"execution.state-recovery.claim-mode={claim_mode.upper()}")
    if parallelism is not None:
        options.append(f"parallelism.default={parallelism}")
    resume = job_id is not None
    engine = (
        EmbeddedEngine(job_id=job_id, resume=resume, controlled=True)
        if in_process
        else SupervisedEngine(
            job_id=job_id, resume=resume, controlled=True, listener=RestoreOutput()
        )
    )
    sys.argv = [str(job), *arguments]
    sys.path.insert(0, str(job.resolve().parent))
    jobs = ProgramJobs(engine)
    with LaunchWith(Launch(jobs, tuple(options), config_dir)):
        try:
            runpy.run_path(str(job), run_name="__main__")
            jobs.wait()
        except MillpondError:
            raise
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
        except Exception as error:  # noqa: BLE001 - the user's own, shown as Python shows it
            traceback.print_exception(error.with_traceback(_program_frames(error, job)))
            sys.exit(1)


def _program_frames(error: Exception, job: Path) -> TracebackType | None:
    """Drop the frames of this command in front of the program's first one."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename != str(job):
        frame = frame.tb_next
    return frame or error.__traceback__
