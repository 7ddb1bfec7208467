"""`millpond config`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from millpond.cli import main
from millpond.configuration.yaml_format import parse_yaml

if TYPE_CHECKING:
    from pathlib import Path


def _run(*arguments: str, **environment: str) -> Result:
    cleared = {"MILLPOND_CONF_DIR": None, "FLINK_CONF_DIR": None}
    return CliRunner().invoke(main, ["config", *arguments], env={**cleared, **environment})


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "flink-conf.yaml").write_text(
        "state.backend: filesystem\nstate.checkpoints.dir: hdfs://namenode:40010/flink\n"
    )
    return tmp_path


def test_show_prints_what_counts_under_current_names(directory: Path) -> None:
    result = _run("show", "--config-dir", str(directory), "-D", "parallelism.default=4")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "execution.checkpointing.dir: hdfs://namenode:40010/flink",
        "parallelism.default: 4",
        "state.backend.type: filesystem",
    ]
    assert "'state.backend' is an older name; use 'state.backend.type'" in result.stderr


def test_show_tells_origins(directory: Path) -> None:
    result = _run(
        "show",
        "--origin",
        "-D",
        "parallelism.default=4",
        FLINK_CONF_DIR=str(directory),
        MILLPOND_STATE_SAVEPOINTS_DIR="file:///s",
    )
    file = directory / "flink-conf.yaml"
    assert result.stdout.splitlines() == [
        f"execution.checkpointing.dir: hdfs://namenode:40010/flink  # {file}:2",
        (
            "execution.checkpointing.savepoint-dir: file:///s"
            "  # environment variable MILLPOND_STATE_SAVEPOINTS_DIR"
        ),
        "parallelism.default: 4  # command line -D parallelism.default",
        f"state.backend.type: filesystem  # {file}:1",
    ]


def test_show_all_lists_defaults_and_is_a_configuration_file(directory: Path) -> None:
    result = _run("show", "--all", "--origin", "--config-dir", str(directory))
    assert "execution.checkpointing.timeout: 10 min  # default" in result.stdout.splitlines()
    shown = _run("show", "--all", "--config-dir", str(directory)).stdout
    assert len(parse_yaml(shown, "f").entries) > 150


def test_an_error_is_one_paragraph_without_traceback() -> None:
    result = _run("show", "-D", "parallelism.default=many")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "Error: The value 'many' of option 'parallelism.default' (Integer) is not valid: it is no "
        "whole number. [origin: command line -D parallelism.default]\n"
    )


def test_check_accepts_a_good_file(directory: Path) -> None:
    result = _run("check", str(directory / "flink-conf.yaml"))
    assert result.exit_code == 0
    assert "2 entries, no problem." in result.stdout


def test_check_names_every_error_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("parallelism.default: x\nstate:\n  backend.typ: rocksdb\n  backend.async: 1\n")
    result = _run("check", str(file))
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert any(line.startswith(f"{file}:1: error: ") for line in lines)
    assert any(line.startswith(f"{file}:4: error: ") for line in lines)
    assert f"{file}:3: problem: 'state.backend.typ' is no known option." in result.stderr
    assert lines[-1] == f"Error: {file} has 2 malformed and 1 doubtful entries."


@pytest.mark.parametrize("line", ["state.backend: rocksbd", "state.checkpoints.dir: /"])
def test_check_looks_at_names_and_directories(tmp_path: Path, line: str) -> None:
    file = tmp_path / "flink-conf.yaml"
    file.write_text(line + "\n")
    result = _run("check", str(file))
    assert result.exit_code == 1
    assert f"{file}:1" in result.stderr


def test_check_takes_the_format_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "any.conf"
    file.write_text("my.key: a: b\n")
    assert _run("check", "--format", "lines", str(file)).exit_code == 0
    assert _run("check", str(file)).exit_code == 1


@pytest.mark.parametrize("command", ["check", "migrate"])
def test_a_missing_file_is_an_error(command: str, tmp_path: Path) -> None:
    result = _run(command, str(tmp_path / "missing.yaml"))
    assert result.exit_code == 1
    assert "cannot be read: No such file or directory" in result.stderr


def test_migrate_prints_current_names(directory: Path) -> None:
    result = _run("migrate", str(directory / "flink-conf.yaml"))
    assert result.stdout == (
        "state.backend.type: hashmap\n"
        "execution.checkpointing.storage: filesystem\n"
        "execution.checkpointing.dir: hdfs://namenode:40010/flink\n"
    )


def test_migrate_writes_a_new_file_and_never_over_an_old_one(directory: Path) -> None:
    output = directory / "config.yaml"
    arguments = ("migrate", str(directory / "flink-conf.yaml"), "--output", str(output))
    assert _run(*arguments).exit_code == 0
    assert output.read_text().startswith("state.backend.type: hashmap")
    again = _run(*arguments)
    assert again.exit_code == 1
    assert "exists already" in again.stderr
