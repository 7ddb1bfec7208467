"""The `millpond` command: finds sub-commands when they are called, and prints errors as text."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import textwrap
import traceback
from typing import Any, final

import click

from millpond.errors import MillpondError, UserCodeError

__all__ = ("main",)

# Name of a sub-command to its module, which exports it as `command`, and its help in one line.
_COMMANDS = {
    "run": ("millpond.cli.run", "Run a job."),
    "list": ("millpond.cli.list_jobs", "List running jobs."),
    "stop": ("millpond.cli.stop", "Stop a running job with a savepoint."),
    "cancel": ("millpond.cli.cancel", "Cancel a running job."),
    "dashboard": ("millpond.cli.dashboard", "Show running jobs in a browser, and over HTTP."),
    "demo": ("millpond.cli.demo", "Run the demonstration: real flights, a crash, a recovery."),
    "config": ("millpond.cli.config", "Show, check and migrate configuration."),
    "rocksdb": ("millpond.cli.rocksdb", "Print the effective options of RocksDB databases."),
    "savepoint": (
        "millpond.cli.savepoint",
        "Trigger, check, show and compare savepoints.",
    ),
    "checkpoint": ("millpond.cli.checkpoint", "List and inspect checkpoints and savepoints."),
}


@final
class _LazyGroup(click.Group):
    """A group that imports a sub-command's module only when that one is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{_COMMANDS[cmd_name][0]}.command is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, help_text) for name, (_, help_text) in _COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().main(*args, **extra)
        except OSError as error:
            if not _is_of_printing(error):
                raise
            _drop_output()
            click.echo(f"Error: Cannot write the output: {error.strerror or error}.", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MillpondError as error:
            if ctx.params["debug"]:
                raise
            print_error(error)
            ctx.exit(1)


@click.group(
    cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, name="millpond"
)
@click.option("--debug", is_flag=True, help="Show the whole traceback of an error.")
@click.version_option(package_name="millpond", message="%(prog)s %(version)s")
def main(*, debug: bool) -> None:
    """Flink's stateful stream processing in one Python process, without a JVM."""


def _is_of_printing(error: OSError) -> bool:
    """Tell whether it was raised where a command prints, and not by a job or its files."""
    traceback_ = error.__traceback__
    while traceback_ is not None and traceback_.tb_next is not None:
        traceback_ = traceback_.tb_next
    place = traceback_ and traceback_.tb_frame.f_globals.get("__name__", "")
    return error.filename is None and str(place).startswith(("click.", "millpond.cli"))


def _drop_output() -> None:
    """Make the interpreter's own flush at its end succeed."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def print_error(error: MillpondError) -> None:
    """Print an error as one paragraph on stderr.

    What the user's own code raised comes first, with its own traceback.
    """
    user_code = _user_code_error(error)
    if user_code is not None:
        if user_code.__cause__ is not None:
            click.echo("".join(traceback.format_exception(user_code.__cause__)).rstrip(), err=True)
        if user_code is not error:
            _print_paragraph(user_code)
    _print_paragraph(error)


def _print_paragraph(error: MillpondError) -> None:
    width = 100 if sys.stderr.isatty() else 10_000
    text = " ".join(f"Error: {error}".split())
    click.echo("\n".join(textwrap.wrap(text, width, break_long_words=False)), err=True)


def _user_code_error(error: BaseException | None) -> UserCodeError | None:
    while error is not None:
        if isinstance(error, UserCodeError):
            return error
        error = error.__cause__
    return None
