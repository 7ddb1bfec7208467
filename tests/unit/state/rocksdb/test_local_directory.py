from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from millpond.errors import StateStoreError
from millpond.filesystem.owner import disown
from millpond.state.rocksdb.local_directory import InstanceDirectories
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness

if TYPE_CHECKING:
    from pathlib import Path


def test_directories_take_turns_from_the_first_one(tmp_path: Path) -> None:
    parents = [tmp_path / name for name in "abc"]
    directories = InstanceDirectories(1)
    made = [directories.create(parents, "job", "op") for _ in range(4)]
    assert [path.parent.name for path in made] == ["b", "c", "a", "b"]
    assert made[0].name.startswith("job_job_op_op_uuid_")


def test_names_are_clean(tmp_path: Path) -> None:
    path = InstanceDirectories().create([tmp_path], "a b", "Map: ä")
    assert path.name.startswith("job_a_b_op_Map____uuid_")


def test_broken_directories_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    directories = InstanceDirectories()
    parents = [tmp_path / name for name in ("file", "good", "better")]
    made = [directories.create(parents, "job", "op") for _ in range(4)]
    # The working ones have equal shares: the broken one's turns do not all go to its neighbour.
    assert [path.parent.name for path in made] == ["good", "better", "good", "better"]


def test_no_usable_directory_is_an_error_that_names_each(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    harness = BackendHarness(RocksDBStateStore(local_directories=[tmp_path / "file"]), tmp_path)
    with pytest.raises(StateStoreError, match=r"No local storage directory is usable: .*/file: "):
        harness.create()
    harness.close()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    directories = InstanceDirectories()
    left, alive, other = (
        directories.create([tmp_path], "job", operator) for operator in ("a", "a", "b")
    )
    disown(left)
    disown(other)
    directories.create([tmp_path], "job", "a")
    assert not left.exists()
    assert alive.exists()
    assert other.exists()


def test_the_directory_of_a_backend_is_gone_after_close(tmp_path: Path) -> None:
    harness = BackendHarness(RocksDBStateStore(), tmp_path)
    backend = harness.create()
    directory = backend.directory
    assert (directory / "db" / "CURRENT").exists()
    backend.close()
    backend.close()
    assert not directory.exists()
    harness.close()
