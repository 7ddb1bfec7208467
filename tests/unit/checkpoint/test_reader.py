"""Bounds and retries of reading."""

from __future__ import annotations

import errno

import pytest

from millpond.checkpoint.checksum import checksum_of
from millpond.checkpoint.reader import SnapshotSource
from millpond.checkpoint.storage_failure import Retry
from millpond.clock import ManualClock
from millpond.errors import CheckpointStorageError, SnapshotCorruptedError
from millpond.filesystem import MemoryFileSystem
from millpond.formats.handles import FileHandle
from millpond.testing.faulty_filesystem import Fault, FaultyFileSystem

STATE = bytes(range(256)) * 10


@pytest.fixture
def files():
    memory = MemoryFileSystem()
    memory.write_bytes("/state", STATE)
    return FaultyFileSystem(memory)


def reader_over(files, clock, **options):
    source = SnapshotSource("memory:///", {"memory:///state": checksum_of(STATE)})
    retry = Retry(attempts=3, initial_delay_ms=100, clock=clock)
    return source.reader(resolve=files.resolve, retry=retry, **options)


HANDLE = FileHandle("memory:///state", len(STATE))


def test_a_passing_failure_is_tried_again_with_growing_delays(files, tmp_path):
    clock = ManualClock()
    files.inject(Fault("open_read", error=errno.ECONNRESET, times=2))
    with reader_over(files, clock).open(HANDLE) as stream:
        assert stream.read() == STATE
    assert clock.now_ms() == 300
    files.inject(Fault("open_read", error=errno.ETIMEDOUT, times=2))
    reader_over(files, clock).download(HANDLE, tmp_path / "local")
    assert (tmp_path / "local").read_bytes() == STATE


def test_a_lasting_failure_is_reported(files):
    clock = ManualClock()
    files.inject(Fault("open_read", error=errno.EIO, times=None))
    with pytest.raises(CheckpointStorageError, match=r"Input/output error.*memory:///state"):
        reader_over(files, clock).open(HANDLE)
    assert clock.now_ms() == 300


@pytest.mark.parametrize("error", [errno.EACCES, errno.ENOSPC])
def test_a_failure_that_will_not_pass_is_reported_at_once(files, error):
    clock = ManualClock()
    files.inject(Fault("open_read", error=error))
    with pytest.raises(CheckpointStorageError):
        reader_over(files, clock).open(HANDLE)
    assert clock.now_ms() == 0


def test_a_file_that_became_too_long_is_not_read_to_its_end(files):
    files.write_bytes("/state", STATE + bytes(5 << 20))
    seen = []
    with pytest.raises(SnapshotCorruptedError, match="longer"):
        reader_over(files, ManualClock(), progress=seen.append).open(HANDLE)
    assert sum(seen) == 0


def test_damage_is_not_tried_again(files):
    files.write_bytes("/state", STATE[::-1])
    files.operations.clear()
    with pytest.raises(SnapshotCorruptedError, match="wrong checksum"):
        reader_over(files, ManualClock()).verify(HANDLE)
    assert [one.name for one in files.operations] == ["open_read"]


def test_a_large_remote_stream_goes_through_a_temporary_file(files):
    large = bytes(17 << 20)
    files.write_bytes("/large", large)
    source = SnapshotSource("memory:///", {"memory:///large": checksum_of(large)})
    with source.reader(resolve=files.resolve).open(FileHandle("memory:///large", 17 << 20)) as one:
        one.seek(-1, 2)
        assert one.read() == b"\0"
        assert one.tell() == 17 << 20
