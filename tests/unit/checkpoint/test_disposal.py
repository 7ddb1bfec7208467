"""A savepoint is deleted as a whole; nothing else is."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from millpond.checkpoint.disposal import dispose_savepoint
from millpond.checkpoint.loading import load_checkpoint
from millpond.errors import (
    CheckpointNotFoundError,
    CheckpointStorageError,
    SnapshotCorruptedError,
    UnsupportedOperationError,
)
from millpond.filesystem import get_file_system
from millpond.testing.faulty_filesystem import Fault, FaultyFileSystem, SimulatedCrash


def local(url):
    return Path(url.removeprefix("file://"))


def listing(root):
    return sorted(str(path) for path in Path(root).rglob("*"))


@pytest.fixture
def savepoint(job, tmp_path):
    job.checkpoint(1)
    location = job.storage.savepoint_location(2, (tmp_path / "savepoints").as_uri())
    return local(job.storage.complete(location, *job.write(location, ())).external_path)


@pytest.mark.parametrize("named", ["directory", "metadata"])
def test_a_savepoint_is_deleted_and_nothing_else(savepoint, tmp_path, named):
    assert len(list(savepoint.iterdir())) >= 3
    before = [path for path in listing(tmp_path) if not path.startswith(str(savepoint))]
    dispose_savepoint(str(savepoint if named == "directory" else savepoint / "_metadata"))
    assert listing(tmp_path) == before


def test_files_of_others_in_its_directory_stay(savepoint):
    (savepoint / "notes.txt").write_text("keep this")
    dispose_savepoint(savepoint.as_uri())
    assert [path.name for path in savepoint.iterdir()] == ["notes.txt"]
    with pytest.raises(CheckpointNotFoundError):
        dispose_savepoint(savepoint.as_uri())


def test_one_of_flink_is_deleted(flink_snapshots, tmp_path):
    path = Path(flink_snapshots["2.3.0-hashmap-canonical"][0])
    shutil.copytree(path, tmp_path / path.name)
    dispose_savepoint(str(tmp_path / path.name))
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_are_refused(job, flink_snapshots, tmp_path):
    checkpoint = job.checkpoint(1)
    before = listing(tmp_path)
    with pytest.raises(UnsupportedOperationError, match="belongs to its job") as caught:
        dispose_savepoint(checkpoint.external_path)
    assert "--claim-mode CLAIM" in caught.value.hint
    # A name tells nothing, and others need its files.
    renamed = local(checkpoint.external_path).with_name("savepoint-1")
    local(checkpoint.external_path).rename(renamed)
    with pytest.raises(UnsupportedOperationError, match="outside its directory") as caught:
        dispose_savepoint(str(renamed))
    assert "/shared/" in caught.value.context["file"]
    renamed.rename(local(checkpoint.external_path))
    assert listing(tmp_path) == before


def test_what_is_no_savepoint_is_refused(savepoint, tmp_path):
    for path in (tmp_path / "nothing", tmp_path, savepoint / "_checksums"):
        with pytest.raises(CheckpointNotFoundError):
            dispose_savepoint(str(path))
    metadata = savepoint / "_metadata"
    metadata.write_bytes(metadata.read_bytes()[:-9])
    before = listing(tmp_path)
    with pytest.raises(SnapshotCorruptedError):
        dispose_savepoint(str(savepoint))
    assert listing(tmp_path) == before


def test_none_is_there_in_part(savepoint):
    """Wherever the process dies, the savepoint is whole or is none."""
    names = {path.name: path.read_bytes() for path in savepoint.iterdir()}
    inner, _ = get_file_system(str(savepoint))
    for number in range(40):
        for name, data in names.items():
            savepoint.mkdir(exist_ok=True)
            (savepoint / name).write_bytes(data)
        files = FaultyFileSystem(inner)
        files.crash_at(number)
        try:
            dispose_savepoint(str(savepoint), resolve=files.resolve)
        except SimulatedCrash:
            if (savepoint / "_metadata").exists():
                assert load_checkpoint(str(savepoint))
                assert {path.name for path in savepoint.iterdir()} == set(names)
        else:
            break
    assert 5 < number < 39
    assert not savepoint.exists()


def test_a_file_that_cannot_be_deleted_is_told(savepoint):
    files = FaultyFileSystem(get_file_system(str(savepoint))[0])
    files.inject(Fault("delete", error=errno.EACCES))
    with pytest.raises(CheckpointStorageError, match="Cannot delete the savepoint"):
        dispose_savepoint(str(savepoint), resolve=files.resolve)
    assert load_checkpoint(str(savepoint))
