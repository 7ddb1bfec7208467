"""Flink's rules for shared files, case by case."""

from __future__ import annotations

import pytest

from millpond.checkpoint.checksum import FileChecksum
from millpond.checkpoint.shared_registry import RestoreMode, SharedStateRegistry
from millpond.errors import CheckpointError
from millpond.formats.handles import (
    CheckpointMetadata,
    FileHandle,
    IncrementalHandle,
    InlineHandle,
    OperatorState,
    RelativeFileHandle,
    SubtaskState,
)


def checkpoint(number, *paths, size=1):
    shared = tuple((path, FileHandle(path, size)) for path in paths)
    private = (("CURRENT", RelativeFileHandle("current", 1)), ("OPTIONS", InlineHandle(b"o")))
    handle = IncrementalHandle(number, "id", 0, 128, InlineHandle(b"m"), shared, private, 0)
    operator = OperatorState(bytes(16), 1, 128, {0: SubtaskState(keyed_managed=(handle,))})
    return CheckpointMetadata(number, (operator,))


def test_files_are_released_when_no_retained_checkpoint_uses_them():
    registry = SharedStateRegistry()
    registry.register(checkpoint(1, "a", "b"), {})
    registry.register(checkpoint(2, "b", "c"), {})
    assert len(registry) == 3
    assert registry.release_unused(1) == ()
    assert registry.release_unused(2) == ("a",)
    assert registry.release_unused(2) == ()
    assert set(registry.release_unused(3)) == {"b", "c"}
    assert len(registry) == 0


def test_a_file_that_is_used_again_after_a_pause_lives():
    registry = SharedStateRegistry()
    registry.register(checkpoint(1, "a"), {})
    registry.register(checkpoint(2, "b"), {})
    registry.register(checkpoint(3, "a"), {})
    assert registry.release_unused(3) == ("b",)
    assert "a" in registry


def test_who_created_and_who_used_last():
    registry = SharedStateRegistry()
    registry.register(checkpoint(1, "a"), {"a": FileChecksum(1, 7)})
    registry.register(checkpoint(4, "a"), None)
    (file,) = registry
    assert (file.created_by, file.last_used_by, file.checksum) == (1, 4, FileChecksum(1, 7))
    assert registry.checksums(["a", "x"]) == {"a": FileChecksum(1, 7)}


@pytest.mark.parametrize(
    ("mode", "deleted"),
    [(RestoreMode.CLAIM, {"a", "b"}), (RestoreMode.NO_CLAIM, {"b"})],
)
def test_files_of_a_restored_snapshot_are_deleted_only_when_claimed(mode, deleted):
    registry = SharedStateRegistry()
    registry.register_restored(checkpoint(5, "a"), {}, mode)
    registry.register(checkpoint(6, "a", "b"), {})
    assert set(registry.release_unused(7)) == deleted
    assert len(registry) == 0


def test_two_different_files_under_one_path_are_refused():
    registry = SharedStateRegistry()
    registry.register(checkpoint(1, "a"), {})
    with pytest.raises(CheckpointError, match="same path"):
        registry.register(checkpoint(2, "b", "a", size=2), {})
    assert "b" not in registry
    (file,) = registry
    assert file.last_used_by == 1
