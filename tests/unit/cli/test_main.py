"""The `millpond` command: sub-commands and errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from millpond.cli import main, print_error
from millpond.errors import ConfigurationError, JobExecutionError, UserCodeError

COMMANDS = main.list_commands(click.Context(main))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_sub_command_can_be_called(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_the_help_lists_all_sub_commands_with_a_line_each() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in COMMANDS:
        assert any(line.split()[:1] == [name] for line in result.stdout.splitlines())


def test_an_unknown_sub_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["confg"])
    assert result.exit_code == 2
    assert "confg" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["list"], ["config", "show", "-D", "parallelism.default=2"]],
)
def test_a_full_disk_for_the_output_is_an_error_without_traceback(arguments, tmp_path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", "from millpond.cli import main; main()", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | {"MILLPOND_JOBS_DIR": str(tmp_path)},
        )
    assert ended.stderr == "Error: Cannot write the output: No space left on device.\n"
    assert ended.returncode == 1


def test_other_failures_of_the_system_keep_their_traceback(monkeypatch) -> None:
    def fail(*_args: object) -> None:
        (Path("/dev/null") / "x").read_bytes()

    monkeypatch.setattr("millpond.engines.control_client.running_jobs", fail)
    assert isinstance(CliRunner().invoke(main, ["list"]).exception, NotADirectoryError)


def test_debug_shows_the_traceback() -> None:
    arguments = ["config", "show", "-D", "parallelism.default=x"]
    quiet = CliRunner().invoke(main, arguments)
    loud = CliRunner().invoke(main, ["--debug", *arguments])
    assert isinstance(quiet.exception, SystemExit)
    assert isinstance(loud.exception, ConfigurationError)


def test_an_error_is_one_line_with_context_and_hint(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(ConfigurationError("It is\nwrong.", hint="Do this.", path="f"))
    assert capsys.readouterr().err == "Error: It is wrong. [path: f] Do this.\n"


def test_an_error_of_user_code_comes_with_its_own_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def user_function() -> None:
        raise KeyError("missing field")

    try:
        user_function()
    except KeyError as cause:
        user_code = UserCodeError("The function failed.", operator="count")
        user_code.__cause__ = cause
    job = JobExecutionError("The job failed.")
    job.__cause__ = user_code
    print_error(job)
    text = capsys.readouterr().err
    assert "in user_function" in text
    assert "KeyError: 'missing field'" in text
    assert text.endswith("Error: The function failed. [operator: count]\nError: The job failed.\n")
