from __future__ import annotations

from typing import TYPE_CHECKING

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
