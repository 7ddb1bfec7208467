"""Layout, streams and limits of both checkpoint storages."""

from __future__ import annotations

import errno
import os
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from millpond.checkpoint.checksum import checksum_of
from millpond.checkpoint.completed import NOT_ADDRESSABLE
from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.location import CheckpointLocation
from millpond.checkpoint.reader import SnapshotSource
from millpond.checkpoint.storage import FileSystemCheckpointStorage, JobManagerCheckpointStorage
from millpond.checkpoint.storage_failure import Retry
from millpond.clock import ManualClock
from millpond.errors import (
    CheckpointError,
    CheckpointStorageError,
    ConfigurationError,
    SnapshotCorruptedError,
    StateSizeExceededError,
)
from millpond.filesystem import MemoryFileSystem
from millpond.formats.handles import (
    CheckpointMetadata,
    FileHandle,
    InlineHandle,
    KeyGroupsHandle,
    OperatorState,
    RelativeFileHandle,
    SubtaskState,
)
from millpond.state.contract.snapshot import SnapshotScope
from millpond.testing.faulty_filesystem import Fault, FaultyFileSystem

JOB_ID = "0123456789abcdef0123456789abcdef"


def storage_at(root, **options):
    storage = FileSystemCheckpointStorage(str(root), JOB_ID, **options)
    storage.initialize()
    return storage


def metadata_of(checkpoint_id, *streams):
    subtasks = {
        index: SubtaskState(keyed_managed=(KeyGroupsHandle(index, (0,), stream),))
        for index, stream in enumerate(streams)
    }
    count = max(1, len(streams))
    operator = OperatorState(bytes(16), count, count, subtasks)
    return CheckpointMetadata(checkpoint_id, (operator,))


def test_directories_of_a_job(tmp_path):
    storage = storage_at(tmp_path / "a" / "b")
    job = tmp_path / "a" / "b" / JOB_ID
    assert sorted(path.name for path in job.iterdir()) == ["shared", "taskowned"]
    location = storage.location(3)
    assert location.directory == f"file://{job}/chk-3"
    assert location.shared_directory == f"file://{job}/shared"
    assert (job / "chk-3").is_dir()


def test_without_the_job_id_in_the_path(tmp_path):
    storage = storage_at(tmp_path, create_subdirectory=False)
    assert storage.location(1).directory == f"file://{tmp_path}/chk-1"


def test_savepoint_names(tmp_path):
    storage = storage_at(tmp_path / "c", random=Random(1), savepoint_directory=str(tmp_path / "s"))
    location = storage.savepoint_location(4)
    assert re.fullmatch(rf"file://{tmp_path}/s/savepoint-012345-[0-9a-f]{{12}}", location.directory)
    assert location.is_savepoint
    assert location.shared_directory is None
    other = storage.savepoint_location(5, str(tmp_path / "t"))
    assert other.directory.startswith(f"file://{tmp_path}/t/savepoint-012345-")


def test_a_savepoint_needs_a_directory(tmp_path):
    with pytest.raises(CheckpointError, match=r"execution\.checkpointing\.savepoint-dir"):
        storage_at(tmp_path).savepoint_location(1)


def test_a_savepoint_gives_up_after_ten_taken_names(tmp_path):
    class Same(Random):
        tries = 0

        def getrandbits(self, bits):
            Same.tries += 1
            return 7

    storage = storage_at(tmp_path / "c", random=Same())
    storage.savepoint_location(1, str(tmp_path / "s"))
    with pytest.raises(CheckpointStorageError, match="10 tries"):
        storage.savepoint_location(2, str(tmp_path / "s"))
    assert Same.tries == 11


def test_a_name_behind_memory_is_a_directory_as_fsspec_has_it():
    storage = storage_at("memory://checkpoints")
    assert storage.location(1).streams().directory_url == f"memory:///checkpoints/{JOB_ID}/chk-1"


@pytest.mark.parametrize(
    "root", ["", " ", "/", "//", "file:///", "memory://", "s3://bucket/", "hdfs://host:1"]
)
def test_roots_that_are_refused(root):
    with pytest.raises(ConfigurationError):
        FileSystemCheckpointStorage(root, JOB_ID)


@pytest.mark.parametrize(
    "options",
    [
        {"inline_threshold_bytes": -1},
        {"inline_threshold_bytes": 1024 * 1024 + 1},
        {"write_buffer_bytes": -1},
    ],
)
def test_limits_that_are_refused(tmp_path, options):
    with pytest.raises(ConfigurationError):
        FileSystemCheckpointStorage(str(tmp_path), JOB_ID, **options)


def test_a_job_id_cannot_lead_out_of_the_root(tmp_path):
    with pytest.raises(ConfigurationError, match="32 hexadecimal"):
        FileSystemCheckpointStorage(str(tmp_path), "../" * 10 + "aa")


def test_a_root_below_a_file_is_a_named_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointStorageError, match="part of the path is a file"):
        storage_at(tmp_path / "file" / "checkpoints")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_root_without_permission_is_a_named_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointStorageError, match=r"Permission denied.*permission"):
        storage_at(tmp_path / "checkpoints")


def test_small_streams_stay_inline_and_long_ones_become_files(tmp_path):
    location = storage_at(tmp_path, inline_threshold_bytes=10, write_buffer_bytes=0).location(1)
    streams = pickle.loads(pickle.dumps(location)).streams()
    small, large, empty = (streams.open(SnapshotScope.EXCLUSIVE) for _ in range(3))
    small.write(b"12345")
    small.write(b"67890")
    large.write(b"12345678901")
    assert (small.position, large.position, empty.position) == (10, 11, 0)
    inline, relative, nothing = small.finish(), large.finish(), empty.finish()
    assert inline == InlineHandle(b"1234567890", inline.name)
    assert relative == RelativeFileHandle(relative.name, 11)
    assert nothing is None
    directory = tmp_path / JOB_ID / "chk-1"
    assert [path.name for path in directory.iterdir()] == [relative.name]
    assert (directory / relative.name).read_bytes() == b"12345678901"
    assert streams.checksums == {relative.name: checksum_of(b"12345678901")}


def test_shared_streams_are_files_however_small(tmp_path):
    streams = storage_at(tmp_path).location(1).streams()
    output = streams.open(SnapshotScope.SHARED)
    output.write(b"x")
    handle = output.finish()
    local = tmp_path / "local"
    local.write_bytes(b"")
    uploaded = streams.upload(local, SnapshotScope.SHARED)
    exclusive = streams.upload(local, SnapshotScope.EXCLUSIVE)
    shared = tmp_path / JOB_ID / "shared"
    assert handle.path.startswith(f"file://{shared}/")
    assert handle == FileHandle(handle.path, 1)
    assert uploaded == FileHandle(uploaded.path, 0)
    assert exclusive == RelativeFileHandle(exclusive.name, 0)
    assert len(list(shared.iterdir())) == 2
    assert streams.checksums.keys() == {handle.path, uploaded.path, exclusive.name}


def test_a_savepoint_holds_its_shared_streams_itself(tmp_path):
    streams = storage_at(tmp_path / "c").savepoint_location(1, str(tmp_path / "s")).streams()
    local = tmp_path / "local"
    local.write_bytes(b"sst")
    assert isinstance(streams.upload(local, SnapshotScope.SHARED), RelativeFileHandle)


def test_abort_and_discard_delete_files(tmp_path):
    streams = storage_at(tmp_path, inline_threshold_bytes=0).location(1).streams()
    output = streams.open(SnapshotScope.EXCLUSIVE)
    output.write(b"x" * 10_000)
    output.abort()
    for scope in SnapshotScope:
        output = streams.open(scope)
        output.write(b"x" * 10_000)
        output.finish()
    streams.discard()
    assert streams.checksums == {}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_uploading_a_file_that_is_gone(tmp_path):
    streams = storage_at(tmp_path).location(1).streams()
    with pytest.raises(CheckpointStorageError, match="No such file"):
        streams.upload(tmp_path / "gone", SnapshotScope.SHARED)
    assert list((tmp_path / JOB_ID / "shared").iterdir()) == []


def test_memory_keeps_streams_up_to_the_limit():
    location = JobManagerCheckpointStorage(JOB_ID, max_state_size_bytes=10).location(1)
    assert location.directory is None
    output = location.streams().open(SnapshotScope.SHARED)
    output.write(b"x" * 10)
    assert output.finish().data == b"x" * 10
    output = location.streams().open(SnapshotScope.EXCLUSIVE)
    output.write(b"x" * 10)
    with pytest.raises(StateSizeExceededError) as caught:
        output.write(b"x")
    assert caught.value.context == {"size_bytes": 11, "max_size_bytes": 10}
    assert "FsStateBackend" in str(caught.value)


def test_memory_takes_files_up_to_the_limit(tmp_path):
    streams = JobManagerCheckpointStorage(JOB_ID, max_state_size_bytes=3).location(1).streams()
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"abcd")
    assert streams.upload(tmp_path / "a", SnapshotScope.SHARED).data == b"abc"
    with pytest.raises(StateSizeExceededError):
        streams.upload(tmp_path / "b", SnapshotScope.SHARED)


def test_memory_needs_a_positive_limit():
    with pytest.raises(ConfigurationError):
        JobManagerCheckpointStorage(JOB_ID, max_state_size_bytes=0)


def test_checkpoints_in_memory_have_no_path():
    storage = JobManagerCheckpointStorage(JOB_ID)
    storage.initialize()
    checkpoint = storage.complete(storage.location(1), metadata_of(1, InlineHandle(b"abc")), {})
    assert checkpoint.external_path == NOT_ADDRESSABLE
    with checkpoint.source.reader().open(InlineHandle(b"abc")) as stream:
        assert stream.read() == b"abc"
    assert storage.discard(checkpoint.location)


def test_memory_with_a_directory_writes_only_metadata(tmp_path):
    storage = JobManagerCheckpointStorage(JOB_ID, checkpoint_root_url=str(tmp_path))
    storage.initialize()
    location = storage.location(2)
    output = location.streams().open(SnapshotScope.EXCLUSIVE)
    output.write(b"x" * 100_000)
    metadata = metadata_of(2, output.finish())
    checkpoint = storage.complete(location, metadata, {})
    directory = tmp_path / JOB_ID / "chk-2"
    assert [path.name for path in directory.iterdir()] == ["_metadata"]
    loaded = load_checkpoint(checkpoint.external_path)
    assert loaded.metadata == metadata
    assert not loaded.is_from_flink


def test_memory_savepoints_are_one_file(tmp_path):
    storage = JobManagerCheckpointStorage(JOB_ID)
    location = storage.savepoint_location(1, str(tmp_path))
    checkpoint = storage.complete(location, metadata_of(1, InlineHandle(b"abc", "name")), {})
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["_metadata"]
    assert load_checkpoint(checkpoint.external_path).metadata.checkpoint_id == 1


def test_a_checkpoint_with_a_file_nobody_summed_is_refused(tmp_path):
    storage = storage_at(tmp_path)
    with pytest.raises(CheckpointError, match="without its checksum"):
        storage.complete(storage.location(1), metadata_of(1, RelativeFileHandle("a", 3)), {})


def test_leftovers_of_a_crashed_attempt_are_cleared_and_complete_ones_are_not(tmp_path):
    storage = storage_at(tmp_path)
    location = storage.location(1)
    leftover = tmp_path / JOB_ID / "chk-1" / "leftover"
    leftover.write_bytes(b"x")
    storage.location(1)
    assert not leftover.exists()
    storage.complete(location, metadata_of(1, InlineHandle(b"x", "n")), {})
    with pytest.raises(CheckpointStorageError, match="already holds a complete one"):
        storage.location(1)


def test_a_checkpoint_is_read_back_over_a_file_system_that_is_not_local(tmp_path):
    memory = MemoryFileSystem()

    def resolve(url):
        return memory, url.removeprefix("memory://")

    storage = storage_at("memory:///c", inline_threshold_bytes=0, resolve=resolve)
    location = storage.location(1)
    streams = location.streams(resolve=resolve)
    output = streams.open(SnapshotScope.EXCLUSIVE)
    output.write(b"state")
    handle = output.finish()
    checkpoint = storage.complete(location, metadata_of(1, handle), streams.checksums)
    seen = []
    reader = checkpoint.source.reader(resolve=resolve, progress=seen.append)
    with reader.open(handle) as stream:
        stream.seek(2)
        assert stream.read() == b"ate"
    assert seen == [5]
    reader.download(handle, tmp_path / "local")
    assert (tmp_path / "local").read_bytes() == b"state"
    memory.write_bytes(f"/c/{JOB_ID}/chk-1/{handle.name}", b"stats")
    with pytest.raises(SnapshotCorruptedError, match="wrong checksum"):
        reader.open(handle)
    with pytest.raises(SnapshotCorruptedError, match="wrong checksum"):
        reader.download(handle, tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["local"]


def test_a_location_is_plain_data():
    location = CheckpointLocation(1, "file:///a/chk-1", "file:///a/shared")
    assert pickle.loads(pickle.dumps(location)) == location


def test_an_upload_is_tried_again_and_leaves_one_file(tmp_path):
    memory = MemoryFileSystem()
    files = FaultyFileSystem(memory)
    storage = storage_at("memory:///c", resolve=files.resolve)
    clock = ManualClock()
    streams = storage.location(1).streams(
        resolve=files.resolve, retry=Retry(attempts=3, initial_delay_ms=50, clock=clock)
    )
    local = tmp_path / "000012.sst"
    local.write_bytes(b"sst" * 1000)
    files.inject(Fault("write", keep_bytes=10, error=errno.ECONNRESET))
    files.inject(Fault("publish", error=errno.ETIMEDOUT))
    handle = streams.upload(local, SnapshotScope.SHARED)
    assert clock.now_ms() == 150
    (entry,) = memory.list(f"/c/{JOB_ID}/shared")
    assert handle == FileHandle(f"memory://{entry.path}", 3000)
    assert streams.checksums == {handle.path: checksum_of(b"sst" * 1000)}
    files.inject(Fault("write", error=errno.ENOSPC, times=None))
    # The full disk is the checkpoint's, not that of the file which is copied.
    where = rf"No space left.*\[path: memory:///c/{JOB_ID}/shared, local file: .*000012\.sst\]"
    with pytest.raises(CheckpointStorageError, match=where):
        streams.upload(local, SnapshotScope.SHARED)
    assert clock.now_ms() == 150


def test_many_threads_write_one_checkpoint(tmp_path):
    streams = storage_at(tmp_path / "c").location(1).streams()

    def upload(number):
        path = tmp_path / f"{number}.sst"
        path.write_bytes(bytes([number]) * 1000)
        return streams.upload(path, SnapshotScope.SHARED)

    with ThreadPoolExecutor(8) as pool:
        handles = list(pool.map(upload, range(40)))
    assert len({handle.path for handle in handles}) == 40
    reader = SnapshotSource(None, streams.checksums).reader()

    def first_byte(handle):
        with reader.open(handle) as stream:
            return stream.read(1)

    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(first_byte, handles))
    assert contents == [bytes([number]) for number in range(40)]
