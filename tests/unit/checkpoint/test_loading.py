"""Opening snapshots: moved ones, damaged ones, Flink's."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from millpond.checkpoint.checksum import checksum_of
from millpond.checkpoint.listing import find_latest, list_checkpoints
from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.metadata_file import decode_metadata_file
from millpond.checkpoint.reader import SnapshotSource
from millpond.checkpoint.sidecar import read_sidecar, write_sidecar
from millpond.checkpoint.stream_walk import replace_streams, streams_of
from millpond.errors import CheckpointNotFoundError, SnapshotCorruptedError
from millpond.formats.handles import FileHandle, InlineHandle, RelativeFileHandle
from millpond.formats.metadata import write_metadata


@pytest.fixture
def completed(job):
    for number in (1, 2, 3):
        last = job.checkpoint(number)
    return last


def directory_of(checkpoint):
    return Path(checkpoint.external_path.removeprefix("file://"))


def read_everything(read_all, checkpoint):
    loaded = load_checkpoint(checkpoint.external_path)
    return read_all(loaded.reader, loaded.metadata)


def test_a_checkpoint_is_read_back(completed, read_all, expected_contents):
    for path in (completed.external_path, directory_of(completed) / "_metadata"):
        loaded = load_checkpoint(str(path))
        assert loaded.metadata == completed.metadata
        assert loaded.external_path == completed.external_path
        assert loaded.moved == ()
        assert not loaded.is_from_flink
        assert read_all(loaded.reader, loaded.metadata) == expected_contents(3, 1)


def test_a_moved_tree_is_found(completed, job, tmp_path, read_all, expected_contents):
    shutil.move(job.root, tmp_path / "elsewhere")
    loaded = load_checkpoint(find_latest(str(tmp_path / "elsewhere")).path)
    assert len(loaded.moved) == 3
    paths = [one.path for one in streams_of(loaded.metadata) if isinstance(one, FileHandle)]
    assert all(path.startswith(f"file://{tmp_path}/elsewhere/") for path in paths)
    assert read_all(loaded.reader, loaded.metadata) == expected_contents(3, 1)


def test_files_that_were_collected_in_one_directory_are_found(completed, job, tmp_path, read_all):
    (tmp_path / "flat").mkdir()
    for path in Path(job.root).rglob("*"):
        if path.is_file():
            shutil.copy(path, tmp_path / "flat")
    shutil.rmtree(job.root)
    loaded = load_checkpoint(str(tmp_path / "flat"))
    assert len(read_all(loaded.reader, loaded.metadata)) == 6


def test_missing_metadata_names_the_neighbours(completed):
    directory = directory_of(completed)
    with pytest.raises(CheckpointNotFoundError) as caught:
        load_checkpoint(str(directory.parent / "chk-99"))
    assert completed.external_path in str(caught.value)
    with pytest.raises(CheckpointNotFoundError, match="nearby"):
        load_checkpoint(str(directory.parent))
    with pytest.raises(CheckpointNotFoundError, match="chk-<n>"):
        load_checkpoint("/nothing/here/at/all")
    with pytest.raises(CheckpointNotFoundError, match="empty"):
        load_checkpoint("")


@pytest.mark.parametrize("url", ["/no-such-snapshot", "file:///no-such-snapshot"])
def test_a_missing_directory_under_the_root_is_missing(url):
    with pytest.raises(CheckpointNotFoundError, match="no complete checkpoint") as caught:
        load_checkpoint(url)
    assert caught.value.context["path"] == "file:///no-such-snapshot"


def test_a_snapshot_of_ours_without_the_checksum_file_is_damaged(completed):
    (directory_of(completed) / "_checksums").unlink()
    with pytest.raises(SnapshotCorruptedError, match="_checksums"):
        load_checkpoint(completed.external_path)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 20, 100, -17, -16, -8, -1])
def test_truncated_metadata(completed, size):
    path = directory_of(completed) / "_metadata"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(SnapshotCorruptedError, match="_metadata"):
        load_checkpoint(completed.external_path)


def test_metadata_of_another_checkpoint_are_refused(completed, make_job, tmp_path):
    other = make_job(tmp_path / "other")
    other.checkpoint(1)
    stranger = directory_of(other.checkpoint(2))
    for name in ("_metadata", "_checksums"):
        kept = (directory_of(completed) / name).read_bytes()
        shutil.copy(stranger / name, directory_of(completed) / name)
        with pytest.raises(SnapshotCorruptedError):
            load_checkpoint(completed.external_path)
        (directory_of(completed) / name).write_bytes(kept)


def test_swapped_data_files_are_refused(completed, read_all):
    files = [one for one in streams_of(completed.metadata) if isinstance(one, FileHandle)]
    first, second = (Path(one.path.removeprefix("file://")) for one in files[:2])
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    loaded = load_checkpoint(completed.external_path)
    with pytest.raises(SnapshotCorruptedError, match="wrong checksum") as caught:
        read_all(loaded.reader, loaded.metadata)
    assert str(first) in str(caught.value)


def test_every_flipped_byte_is_detected_with_its_file(completed, job, read_all, expected_contents):
    files = [path for path in Path(job.root).rglob("*") if path.is_file()]
    assert len(files) == 7
    for path in files:
        original = path.read_bytes()
        # Every byte of the small files, a sample of the others.
        for index in range(0, len(original), 1 if path.name == "_metadata" else 3):
            damaged = bytearray(original)
            damaged[index] ^= 1 << (index % 8)
            path.write_bytes(damaged)
            with pytest.raises(SnapshotCorruptedError) as caught:
                read_everything(read_all, completed)
            assert str(path) in str(caught.value), f"{path} {index}"
        path.write_bytes(original)
    assert read_everything(read_all, completed) == expected_contents(3, 1)


def test_every_missing_truncated_or_longer_file_is_detected(completed, job, read_all):
    for path in [path for path in Path(job.root).rglob("*") if path.is_file()]:
        original = path.read_bytes()
        for damaged in (None, b"", original[:-1], original + b"\0"):
            path.unlink() if damaged is None else path.write_bytes(damaged)
            if path.name == "_metadata" and damaged is None:
                expected = CheckpointNotFoundError
            else:
                expected = SnapshotCorruptedError
            with pytest.raises(expected) as caught:
                load_checkpoint(completed.external_path)
            assert path.name in str(caught.value)
            path.write_bytes(original)


def test_damage_between_loading_and_reading_is_detected(completed, tmp_path):
    loaded = load_checkpoint(completed.external_path)
    handle = next(one for one in streams_of(loaded.metadata) if isinstance(one, FileHandle))
    path = Path(handle.path.removeprefix("file://"))
    original = path.read_bytes()
    path.write_bytes(original[:-1])
    with pytest.raises(SnapshotCorruptedError, match="truncated"):
        loaded.reader.open(handle)
    path.write_bytes(original + b"x")
    with pytest.raises(SnapshotCorruptedError, match="longer"):
        loaded.reader.download(handle, tmp_path / "local")
    path.unlink()
    with pytest.raises(SnapshotCorruptedError, match="missing"):
        loaded.reader.verify(handle)
    assert not (tmp_path / "local").exists()


@pytest.mark.parametrize("name", ["../secret", "a/b", "..", "/etc/passwd", "", "a\\b", "file:x"])
def test_names_that_lead_out_of_the_directory_are_refused(completed, name, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    attack = replace_streams(completed.metadata, lambda one: RelativeFileHandle(name, one.size))
    (tmp_path / "savepoint-a").mkdir()
    (tmp_path / "savepoint-a" / "_metadata").write_bytes(write_metadata(attack))
    with pytest.raises(SnapshotCorruptedError, match=r"out of the snapshot|outside of its dir"):
        load_checkpoint(str(tmp_path / "savepoint-a"))
    reader = SnapshotSource(str(tmp_path / "savepoint-a"), None).reader()
    for read in (reader.open, reader.verify):
        with pytest.raises(SnapshotCorruptedError, match="outside of its directory"):
            read(RelativeFileHandle(name, 6))


def test_absolute_paths_with_dots_are_refused(completed, tmp_path):
    attack = replace_streams(
        completed.metadata, lambda one: FileHandle("file:///a/../etc/x", one.size)
    )
    (tmp_path / "_metadata").write_bytes(write_metadata(attack))
    with pytest.raises(SnapshotCorruptedError, match="outside of its directory"):
        load_checkpoint(str(tmp_path))


def test_a_snapshot_of_flink_needs_no_checksums(completed, tmp_path, read_all):
    directory = tmp_path / "flink"
    shutil.copytree(directory_of(completed), directory)
    (directory / "_checksums").unlink()
    (directory / "_metadata").write_bytes(write_metadata(completed.metadata))
    loaded = load_checkpoint(str(directory))
    assert loaded.is_from_flink
    assert len(read_all(loaded.reader, loaded.metadata)) == 6
    next(path for path in directory.iterdir() if path.name != "_metadata").unlink()
    with pytest.raises(SnapshotCorruptedError, match="missing"):
        load_checkpoint(str(directory))


def test_flink_stops_reading_before_the_seal(completed):
    data = (directory_of(completed) / "_metadata").read_bytes()
    assert data.startswith(write_metadata(completed.metadata))
    assert decode_metadata_file(data, "x").sealed
    assert not decode_metadata_file(write_metadata(completed.metadata), "x").sealed


def test_the_checksum_file_is_readable_by_anybody(completed):
    text = (directory_of(completed) / "_checksums").read_text()
    document = json.loads(text.splitlines()[0])
    assert document["format"] == "millpond-checksums"
    assert len(document["files"]) == 6
    metadata = (directory_of(completed) / "_metadata").read_bytes()
    assert document["files"]["_metadata"] == list(checksum_of(metadata))


def test_a_checksum_file_of_another_version_is_refused():
    line = b'{"format":"millpond-checksums","version":2,"files":{}}'
    data = line + f"\n{checksum_of(line).crc32c:08x}\n".encode()
    with pytest.raises(SnapshotCorruptedError, match="version 2"):
        read_sidecar(data, "path")


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"format":"millpond-checksums"}', b"\xff"])
def test_a_checksum_file_with_other_content_is_refused(line):
    data = line + f"\n{checksum_of(line).crc32c:08x}\n".encode()
    with pytest.raises(SnapshotCorruptedError, match="damaged"):
        read_sidecar(data, "path")


def test_checksums_survive_the_file():
    files = {"a": checksum_of(b"abc"), "file:///b": checksum_of(b"")}
    assert read_sidecar(write_sidecar(files), "path") == files


def test_listing(make_job, tmp_path):
    job = make_job(retained=2)
    for number in (9, 10):
        job.checkpoint(number)
    other = make_job(job_id="f" * 32, root=job.root)
    other.checkpoint(1)
    location = job.storage.savepoint_location(11, job.root)
    job.store.complete(location, *job.write(location, []))
    (Path(job.root) / ("f" * 32) / "chk-2").mkdir()
    listed = list_checkpoints(job.root)
    assert {(one.job_id, one.checkpoint_id) for one in listed} == {
        (job.job_id, 9),
        (job.job_id, 10),
        ("f" * 32, 1),
        (None, None),
    }
    assert find_latest(job.root, job.job_id).checkpoint_id == 10
    assert [one.checkpoint_id for one in list_checkpoints(job.root, "f" * 32)] == [1]
    assert list_checkpoints(str(tmp_path / "nothing")) == ()
    assert find_latest(str(tmp_path / "nothing")) is None
    (only,) = list_checkpoints(find_latest(job.root, job.job_id).path)
    assert only.checkpoint_id == 10
    assert [one.checkpoint_id for one in list_checkpoints(f"{job.root}/{job.job_id}")] == [10, 9]


def test_within_a_job_the_number_decides_and_between_jobs_the_time(make_job):
    job = make_job(retained=3)
    for number in (8, 9, 10):
        job.checkpoint(number)
    other = make_job(job_id="f" * 32)
    other.checkpoint(3)
    times = {8: 9000, 9: 3000, 10: 1000}
    for number, seconds in times.items():
        os.utime(Path(job.root, job.job_id, f"chk-{number}", "_metadata"), (seconds, seconds))
    path = Path(other.root, other.job_id, "chk-3", "_metadata")
    os.utime(path, (2000, 2000))
    assert [one.checkpoint_id for one in list_checkpoints(job.root)] == [3, 10, 9, 8]
    assert find_latest(job.root).checkpoint_id == 3
    os.utime(path, (500, 500))
    assert find_latest(job.root).checkpoint_id == 10


def test_inline_streams_need_no_file(tmp_path):
    handle = InlineHandle(b"abc")
    reader = SnapshotSource(None, {}).reader()
    reader.download(handle, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"abc"
    assert reader.verify(handle) == 3
    with pytest.raises(SnapshotCorruptedError):
        reader.open(RelativeFileHandle("a", 3))
