"""Checkpoint storages as a program describes them."""

from __future__ import annotations

import pytest

from millpond.configuration.backend_description import StorageKind
from millpond.datastream.checkpoint_storage import (
    CustomCheckpointStorage,
    FileSystemCheckpointStorage,
    JobManagerCheckpointStorage,
)
from millpond.errors import ConfigurationError


def test_job_manager_storage() -> None:
    storage = JobManagerCheckpointStorage()
    assert storage.get_max_state_size() == 5 * 1024 * 1024
    assert storage.get_checkpoint_path() is None
    assert storage.get_savepoint_path() is None
    told = JobManagerCheckpointStorage("file:///c", 100)
    assert told.get_max_state_size() == 100
    assert told.describe().checkpoint_directory == "file:///c"
    assert told.describe().kind is StorageKind.JOB_MANAGER


def test_file_system_storage() -> None:
    storage = FileSystemCheckpointStorage("file:///c")
    assert storage.get_checkpoint_path() == "file:///c"
    assert storage.get_savepoint_path() is None
    assert storage.get_min_file_size_threshold() == 20_480
    assert storage.get_write_buffer_size() == 4096
    told = FileSystemCheckpointStorage("file:///c", 0, 512).describe()
    assert (told.inline_threshold_bytes, told.write_buffer_size_bytes) == (0, 512)


@pytest.mark.parametrize("path", [None, "", "/", "file:///"])
def test_a_file_system_storage_needs_a_directory(path: str | None) -> None:
    with pytest.raises(ConfigurationError):
        FileSystemCheckpointStorage(path)


def test_sizes_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="greater than 0"):
        JobManagerCheckpointStorage(max_state_size=0)
    with pytest.raises(ConfigurationError, match="from 0 to"):
        FileSystemCheckpointStorage("file:///c", 2**21)


def test_custom_storage() -> None:
    marker = object()
    described = CustomCheckpointStorage(marker).describe()
    assert (described.kind, described.custom) == (StorageKind.CUSTOM, marker)
