"""Snapshots of Flink get checksums beside them, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.sealing import seal_snapshot
from millpond.checkpoint.verification import verify_checkpoint
from millpond.errors import CheckpointStorageError, FormatError, SnapshotCorruptedError

CANONICAL = "2.3.0-hashmap-canonical"
INCREMENTAL = "2.3.0-rocksdb-incremental"


@pytest.fixture
def snapshot(flink_snapshots, tmp_path):
    """Return a private copy of a golden snapshot."""
    import shutil

    def copy(folder):
        path = Path(flink_snapshots[folder][0])
        shutil.copytree(path.parent, tmp_path / folder)
        return tmp_path / folder / path.name

    return copy


@pytest.mark.parametrize("folder", [CANONICAL, INCREMENTAL])
def test_a_snapshot_is_sealed_once_and_verified_from_then_on(snapshot, folder):
    path = snapshot(folder)
    assert not verify_checkpoint(str(path)).has_checksums
    before = sorted(each.name for each in path.iterdir())
    seal = seal_snapshot(str(path))
    assert seal.is_new
    assert seal.files > 0
    assert sorted(each.name for each in path.iterdir()) == sorted([*before, "_checksums"])
    loaded = load_checkpoint(str(path))
    assert loaded.is_from_flink
    assert loaded.reader.has_checksums
    report = verify_checkpoint(str(path))
    assert report.has_checksums
    assert not report.errors
    again = seal_snapshot(str(path / "_metadata"))
    assert not again.is_new
    assert (again.files, again.size_bytes) == (seal.files, seal.size_bytes)


def test_what_was_damaged_since_is_not_sealed_again(snapshot):
    path = snapshot(INCREMENTAL)
    seal_snapshot(str(path))
    sealed = (path / "_checksums").read_bytes()
    damaged = next(path.parent.glob("shared/*"))
    damaged.write_bytes(bytes(reversed(damaged.read_bytes())))
    with pytest.raises(SnapshotCorruptedError, match="does not agree with the checksums"):
        seal_snapshot(str(path))
    assert (path / "_checksums").read_bytes() == sealed


def test_damage_that_can_be_seen_is_not_sealed(snapshot):
    path = snapshot(CANONICAL)
    metadata = path / "_metadata"
    data = bytearray(metadata.read_bytes())
    # A key's text, far inside of the inline state: then it hashes to another key group.
    data[data.index(b"\0\6key-1") + 2] ^= 1
    metadata.write_bytes(bytes(data))
    with pytest.raises((FormatError, SnapshotCorruptedError)) as raised:
        seal_snapshot(str(path))
    assert "not sealed" in str(raised.value)
    assert not (path / "_checksums").exists()
    assert seal_snapshot(str(path), examine=False).is_new


def test_our_own_snapshots_have_their_checksums(job):
    completed = job.checkpoint(1)
    seal = seal_snapshot(completed.external_path)
    assert not seal.is_new


def test_a_seal_that_cannot_be_written_changes_nothing(snapshot):
    path = snapshot(CANONICAL)
    (path / "_checksums").mkdir()
    with pytest.raises(CheckpointStorageError):
        seal_snapshot(str(path))
    (path / "_checksums").rmdir()
    assert not verify_checkpoint(str(path)).has_checksums
