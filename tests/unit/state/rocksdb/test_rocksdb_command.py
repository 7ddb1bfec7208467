from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from millpond.cli.rocksdb import command
from millpond.common.typeinfo import Types
from millpond.datastream.state import ValueStateDescriptor
from millpond.errors import StateStoreError
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, state_of

if TYPE_CHECKING:
    from pathlib import Path


def test_the_options_of_a_living_database_are_printed(tmp_path: Path) -> None:
    harness = BackendHarness(RocksDBStateStore(), tmp_path)
    state_of(harness.create(), ValueStateDescriptor("count", Types.LONG()))
    result = CliRunner().invoke(command, ["options", str(tmp_path), "--name", "background_jobs"])
    assert "[DBOptions]\nmax_background_jobs = 2\n" in result.output
    arguments = ["options", str(tmp_path), "--family", "python-state-count", "--name", "block_size"]
    result = CliRunner().invoke(command, arguments)
    assert "[python-state-count]\narena_block_size" in result.output
    assert "[DBOptions]" not in result.output
    harness.close()


def test_a_directory_without_a_database_is_an_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["options", str(tmp_path)])
    assert isinstance(result.exception, StateStoreError)
    with pytest.raises(StateStoreError, match="no RocksDB database"):
        raise result.exception


def test_a_job_is_found_by_its_id_where_the_configuration_puts_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "conf"))
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").write_text(
        f"state.backend.rocksdb.localdir: {tmp_path / 'local'}\n"
    )
    (tmp_path / "local").mkdir()
    harness = BackendHarness(RocksDBStateStore(), tmp_path / "local")
    backend: Any = harness.create()
    arguments = ["options", "0" * 32, "--config-dir", str(tmp_path / "conf")]
    result = CliRunner().invoke(command, arguments)
    assert result.output.startswith(f"# {backend.directory / 'db'}\n[")
    backend.close()
    result = CliRunner().invoke(command, arguments)
    assert "no RocksDB database" in str(result.exception)
    harness.close()


def test_a_worker_s_own_directory_is_searched_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "millpond-x1").mkdir()
    harness = BackendHarness(RocksDBStateStore(), tmp_path / "millpond-x1")
    backend: Any = harness.create()
    result = CliRunner().invoke(command, ["options", "0" * 32, "--family", "DBOptions"])
    assert f"# {backend.directory / 'db'}" in result.output
    harness.close()
