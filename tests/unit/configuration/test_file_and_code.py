"""A job's backend by file alone, by code alone, and by both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from millpond.configuration.backend_choice import BackendChoice, choose_backend
from millpond.configuration.backend_description import StorageKind, Store
from millpond.configuration.effective_configuration import load_configuration
from millpond.datastream.state_backend import FsStateBackend, RocksDBStateBackend, StateBackend

if TYPE_CHECKING:
    from pathlib import Path

LINES = """
state.backend: rocksdb
state.backend.incremental: true
state.checkpoints.dir: hdfs://namenode:40010/flink/checkpoints
state.checkpoints.num-retained: 3
"""
NESTED = """
state.backend.type: rocksdb
execution.checkpointing:
  incremental: true
  dir: hdfs://namenode:40010/flink/checkpoints
  num-retained: 3
"""


def _choose(directory: Path | None, backend: StateBackend | None) -> BackendChoice:
    loaded = load_configuration(None if directory is None else str(directory), environment={})
    return choose_backend(
        loaded.to_configuration(), None if backend is None else backend.describe()
    )


@pytest.mark.parametrize(("name", "text"), [("flink-conf.yaml", LINES), ("config.yaml", NESTED)])
def test_by_file_alone(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    choice = _choose(tmp_path, None)
    assert (choice.store, choice.storage) == (Store.ROCKSDB, StorageKind.FILE_SYSTEM)
    assert choice.checkpoint_directory == "hdfs://namenode:40010/flink/checkpoints"
    assert choice.is_incremental
    assert choice.num_retained == 3


def test_by_code_alone() -> None:
    choice = _choose(None, RocksDBStateBackend("file:///checkpoints", True))
    assert (choice.store, choice.storage) == (Store.ROCKSDB, StorageKind.FILE_SYSTEM)
    assert choice.checkpoint_directory == "file:///checkpoints"
    assert choice.is_incremental
    assert choice.num_retained == 1


def test_by_both_code_wins_and_the_file_fills_in(tmp_path: Path) -> None:
    (tmp_path / "flink-conf.yaml").write_text(LINES)
    choice = _choose(tmp_path, FsStateBackend("file:///checkpoints"))
    assert (choice.store, choice.storage) == (Store.HEAP, StorageKind.FILE_SYSTEM)
    assert choice.checkpoint_directory == "file:///checkpoints"
    assert choice.is_incremental
    assert choice.num_retained == 3
