"""Finding and reading the configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.configuration.configuration_file import (
    find_configuration_file,
    read_configuration_file,
    read_text,
)
from millpond.errors import ConfigurationError


def _directory(root: Path, name: str, *files: str) -> str:
    folder = root / name
    folder.mkdir()
    for file in files:
        (folder / file).write_text("parallelism.default: 2\n")
    return str(folder)


def test_the_named_directory_wins_then_ours_then_flinks(tmp_path: Path) -> None:
    named = _directory(tmp_path, "named", "config.yaml")
    ours = _directory(tmp_path, "ours", "flink-conf.yaml")
    flinks = _directory(tmp_path, "flinks", "config.yaml")
    environment = {"MILLPOND_CONF_DIR": ours, "FLINK_CONF_DIR": flinks}
    assert find_configuration_file(named, environment)[0] == Path(named, "config.yaml")
    assert find_configuration_file(None, environment)[0] == Path(ours, "flink-conf.yaml")
    del environment["MILLPOND_CONF_DIR"]
    assert find_configuration_file(None, environment)[0] == Path(flinks, "config.yaml")
    assert find_configuration_file(None, {"FLINK_CONF_DIR": ""}) == (None, ())


def test_the_newer_file_wins_and_the_older_is_named(tmp_path: Path) -> None:
    both = _directory(tmp_path, "both", "config.yaml", "flink-conf.yaml")
    path, notices = find_configuration_file(both, {})
    assert path == Path(both, "config.yaml")
    assert str(notices[0]).endswith(
        "flink-conf.yaml: this file is ignored because config.yaml stands beside it."
    )


def test_a_directory_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no directory") as error:
        find_configuration_file(None, {"FLINK_CONF_DIR": str(tmp_path / "missing")})
    assert error.value.context["named_by"] == "FLINK_CONF_DIR"
    with pytest.raises(ConfigurationError, match="holds neither"):
        find_configuration_file(_directory(tmp_path, "empty"), {})


def test_the_name_says_the_format(tmp_path: Path) -> None:
    lines = tmp_path / "flink-conf.yaml"
    lines.write_bytes(b"\xef\xbb\xbfa: b: c\r\n")
    assert read_configuration_file(lines).entries[0].value == "b: c"
    with pytest.raises(ConfigurationError, match="no valid YAML"):
        read_configuration_file(lines, line_format=False)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(ConfigurationError, match="byte 3 does not decode"):
        read_text(tmp_path / "config.yaml")
    for path in (tmp_path, tmp_path / "missing", Path("a\0b")):
        with pytest.raises(ConfigurationError):
            read_text(path)
