"""`millpond savepoint check`: runs a program up to its first `execute` and prints what it found."""

from __future__ import annotations

import json
import runpy
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from millpond.errors import ConfigurationError, InvalidProgramError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from millpond.engines.savepoint_check import StateVerdict

__all__ = ("check_program", "print_verdicts")


def check_program(
    job: Path,
    path: str,
    arguments: Sequence[str],
    definitions: Sequence[str],
    *,
    allow_non_restored_state: bool,
) -> list[StateVerdict]:
    """Execute the program and return what becomes of the states.

    Raises:
        ConfigurationError: there is no such program.
        InvalidProgramError: it ends without executing a job.
    """
    from millpond.datastream.engine import Launch, LaunchWith
    from millpond.engines.savepoint_check import CheckedProgram, CheckingEngine

    if not job.is_file():
        raise ConfigurationError("There is no such program.", path=job)
    engine = CheckingEngine(path, allow_non_restored_state=allow_non_restored_state)
    sys.argv = [str(job), *arguments]
    sys.path.insert(0, str(job.resolve().parent))
    with LaunchWith(Launch(engine, tuple(definitions))):
        try:
            runpy.run_path(str(job), run_name="__main__")
        except CheckedProgram as checked:
            return checked.verdicts
    raise InvalidProgramError("The program ended without executing a job.", path=job)


def print_verdicts(verdicts: Sequence[StateVerdict], *, as_lines: bool) -> bool:
    """Print a line for each state; return whether the program could start from the snapshot."""
    refused = [each for each in verdicts if each.verdict == "refused"]
    for each in verdicts:
        if as_lines:
            click.echo(json.dumps(asdict(each)))
        else:
            name = f"{each.operator} / {each.state}" if each.state else each.operator
            click.echo(f"{each.verdict:14} {name}{f': {each.detail}' if each.detail else ''}")
    if not as_lines:
        click.echo("It cannot be restored." if refused else "It can be restored.")
    return not refused
