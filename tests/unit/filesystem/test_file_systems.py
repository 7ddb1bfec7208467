"""What every file system must do, run over each of them."""

from __future__ import annotations

import fsspec
import pytest

from millpond.filesystem import IN_PROGRESS_SUFFIX, LocalFileSystem, MemoryFileSystem
from millpond.filesystem.path import join
from millpond.filesystem.remote import FsspecFileSystem


@pytest.fixture(params=["local", "memory", "fsspec"])
def place(request, tmp_path):
    if request.param == "local":
        return LocalFileSystem(), str(tmp_path)
    if request.param == "memory":
        return MemoryFileSystem(), "/"
    driver = fsspec.filesystem("memory", global_store=False, skip_instance_cache=True)
    return FsspecFileSystem(driver, "memory://", whole_objects=False), "/root"


def test_a_file_appears_only_when_published(place):
    file_system, root = place
    file_system.make_directories(join(root, "a"))
    path = join(root, "a", "data")
    output = file_system.create(path)
    output.write(b"one")
    output.write(b"two")
    assert not file_system.exists(path)
    output.publish()
    assert file_system.read_bytes(path) == b"onetwo"
    assert file_system.size(path) == 6
    assert [entry.name for entry in file_system.list(join(root, "a"))] == ["data"]


def test_discard_leaves_nothing(place):
    file_system, root = place
    file_system.make_directories(join(root, "a"))
    output = file_system.create(join(root, "a", "data"))
    output.write(b"x" * 100_000)
    output.discard()
    assert file_system.list(join(root, "a")) == ()


def test_publish_replaces_and_open_readers_keep_the_old_content(place):
    file_system, root = place
    path = join(root, "data")
    file_system.make_directories(root)
    file_system.write_bytes(path, b"old")
    with file_system.open_read(path) as reader:
        file_system.write_bytes(path, b"newer")
        if not isinstance(file_system, FsspecFileSystem):
            assert reader.read() == b"old"
    assert file_system.read_bytes(path) == b"newer"


def test_entries_and_listing(place):
    file_system, root = place
    file_system.make_directories(join(root, "a", "b", "c"))
    file_system.make_directories(join(root, "a", "b", "c"))
    file_system.write_bytes(join(root, "a", "z"), b"12345")
    entries = file_system.list(join(root, "a"))
    assert [(one.name, one.is_directory, one.size) for one in entries] == [
        ("b", True, entries[0].size),
        ("z", False, 5),
    ]
    assert entries[1].path == join(root, "a", "z")
    assert entries[1].modified_ms > 0
    assert file_system.entry(join(root, "nothing")) is None
    assert file_system.entry(join(root, "a", "z", "below")) is None
    with pytest.raises(FileNotFoundError):
        file_system.list(join(root, "nothing"))
    with pytest.raises(NotADirectoryError):
        file_system.list(join(root, "a", "z"))
    with pytest.raises(FileNotFoundError):
        file_system.size(join(root, "a"))


def test_delete_rename_and_remove(place):
    file_system, root = place
    file_system.make_directories(join(root, "a"))
    file_system.write_bytes(join(root, "a", "x"), b"x")
    file_system.write_bytes(join(root, "a", "y"), b"y")
    file_system.rename(join(root, "a", "x"), join(root, "a", "y"))
    assert file_system.read_bytes(join(root, "a", "y")) == b"x"
    with pytest.raises(OSError, match=r"(?i)not empty"):
        file_system.remove_directory(join(root, "a"))
    file_system.delete(join(root, "a", "y"))
    file_system.delete(join(root, "a", "y"))
    file_system.remove_directory(join(root, "a"))
    file_system.remove_directory(join(root, "a"))
    assert not file_system.exists(join(root, "a"))
    with pytest.raises(FileNotFoundError):
        file_system.rename(join(root, "a", "x"), join(root, "a", "y"))
    with pytest.raises(FileNotFoundError):
        file_system.open_read(join(root, "a", "x"))


def test_readers_can_seek(place):
    file_system, root = place
    file_system.make_directories(root)
    file_system.write_bytes(join(root, "data"), bytes(range(200)))
    with file_system.open_read(join(root, "data")) as reader:
        reader.seek(150)
        assert reader.read(3) == bytes([150, 151, 152])
        reader.seek(0)
        assert reader.read(1) == b"\0"


def test_local_temporary_names_of_a_dead_process_are_skipped(tmp_path):
    first, second = LocalFileSystem(), LocalFileSystem()
    one = first.create(str(tmp_path / "data"))
    other = second.create(str(tmp_path / "data"))
    one.write(b"one")
    other.write(b"other")
    one.publish()
    other.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert (tmp_path / "data").read_bytes() == b"other"


def test_local_temporary_files_are_recognizable(tmp_path):
    output = LocalFileSystem().create(str(tmp_path / "data"))
    (name,) = [path.name for path in tmp_path.iterdir()]
    assert name.startswith(".data.")
    assert name.endswith(IN_PROGRESS_SUFFIX)
    output.discard()


def test_whole_objects_are_written_under_their_own_name():
    driver = fsspec.filesystem("memory", global_store=False, skip_instance_cache=True)
    file_system = FsspecFileSystem(driver, "s3://", whole_objects=True)
    assert file_system.list("/bucket/nothing") == ()
    file_system.make_directories("/bucket/a")
    file_system.write_bytes("/bucket/a/data", b"abc")
    assert driver.store.keys() == {"/bucket/a/data"}
    assert file_system.url("bucket/a/data") == "s3://bucket/a/data"
    file_system.remove_directory("/bucket/a")
    assert file_system.read_bytes("/bucket/a/data") == b"abc"


def test_a_whole_object_that_is_discarded_is_not_uploaded():
    events = []

    class Upload:
        closed = False

        def write(self, data):
            events.append(("write", data))

        def close(self):
            events.append(("close",))

        def discard(self):
            events.append(("discard",))

    class Driver:
        def open(self, path, mode):
            events.append(("open", path, mode))
            return Upload()

    output = FsspecFileSystem(Driver(), "s3://", whole_objects=True).create("bucket/data")
    output.write(b"abc")
    output.discard()
    assert events == [("open", "bucket/data", "wb"), ("write", b"abc"), ("discard",)]


def test_errors_of_drivers_become_os_errors():
    class Driver:
        def open(self, path, mode):
            raise ValueError("AccessDenied")

    file_system = FsspecFileSystem(Driver(), "s3://", whole_objects=True)
    with pytest.raises(OSError, match="ValueError: AccessDenied"):
        file_system.open_read("bucket/data")


def test_hdfs_replaces_in_one_step():
    calls = []

    class Driver:
        protocol = "hdfs"

        def mv(self, source, target, *, overwrite):
            calls.append((source, target, overwrite))

    FsspecFileSystem(Driver(), "hdfs://host:1", whole_objects=False).rename("/a", "/b")
    assert calls == [("/a", "/b", True)]
