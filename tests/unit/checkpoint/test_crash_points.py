"""A crash before every file operation: the last checkpoint stays, no half one shows."""

from __future__ import annotations

from random import Random

import pytest

from millpond.checkpoint.garbage import delete_garbage, find_garbage
from millpond.checkpoint.listing import list_checkpoints
from millpond.checkpoint.loading import load_checkpoint
from millpond.clock import ManualClock
from millpond.errors import CheckpointNotFoundError, SnapshotCorruptedError
from millpond.filesystem import MemoryFileSystem
from millpond.testing.faulty_filesystem import Fault, FaultyFileSystem, SimulatedCrash

ROOT = "/checkpoints"


def run(make_job, files, last=5, retained=1):
    """Take checkpoints until the end or a crash; return the ids of those that were confirmed."""
    confirmed = []
    job = None
    try:
        job = make_job(ROOT, resolve=files.resolve, retained=retained)
        for number in range(1, last + 1):
            job.checkpoint(number)
            confirmed.append(number)
    except SimulatedCrash:
        pass
    return confirmed


def check(make_job, memory, confirmed, retained, read_all, expected_contents):
    """Recover as the next process does; everything visible must be whole."""
    clean = FaultyFileSystem(memory)
    visible = list_checkpoints(ROOT, resolve=clean.resolve)
    for one in visible:
        loaded = load_checkpoint(one.path, resolve=clean.resolve)
        contents = read_all(loaded.source.reader(resolve=clean.resolve), loaded.metadata)
        assert contents == expected_contents(one.checkpoint_id, 1)
    numbers = {one.checkpoint_id for one in visible}
    last = max(confirmed, default=0)
    # A crash between the rename of `_metadata` and the answer leaves one more than was confirmed.
    assert max(numbers, default=0) in {last, last + 1}
    expected = {number for number in confirmed if number > max(numbers, default=0) - retained}
    assert expected <= numbers
    successor = make_job(ROOT, resolve=clean.resolve, retained=retained)
    assert successor.store.recover() == ()
    latest = successor.store.latest
    assert (latest.checkpoint_id if latest else 0) == max(numbers, default=0)
    clock = ManualClock(1 << 50)
    garbage = find_garbage(ROOT, clock, older_than_ms=0, resolve=clean.resolve)
    assert delete_garbage(garbage, resolve=clean.resolve) == ()
    successor.checkpoint(successor.store.next_checkpoint_id)
    loaded = load_checkpoint(successor.store.latest.external_path, resolve=clean.resolve)
    assert read_all(loaded.source.reader(resolve=clean.resolve), loaded.metadata)
    assert find_garbage(ROOT, clock, older_than_ms=0, resolve=clean.resolve).files == ()


def read_everything(read_all, path, files):
    loaded = load_checkpoint(path, resolve=files.resolve)
    return read_all(loaded.source.reader(resolve=files.resolve), loaded.metadata)


def count_operations(make_job, **options):
    files = FaultyFileSystem(MemoryFileSystem())
    assert run(make_job, files, **options) == [1, 2, 3, 4, 5]
    return len(files.operations)


@pytest.mark.parametrize("retained", [1, 2])
def test_the_process_dies_before_any_operation(make_job, read_all, expected_contents, retained):
    total = count_operations(make_job, retained=retained)
    assert total > 120
    for number in range(total):
        memory = MemoryFileSystem()
        files = FaultyFileSystem(memory)
        files.crash_at(number)
        confirmed = run(make_job, files, retained=retained)
        assert files.crashed
        check(make_job, memory, confirmed, retained, read_all, expected_contents)


@pytest.mark.parametrize("luck", ["nothing survives", "chance"])
def test_the_power_fails_before_any_operation(make_job, read_all, expected_contents, luck):
    total = count_operations(make_job)
    random = Random(5)
    for number in range(total):
        memory = MemoryFileSystem()
        files = FaultyFileSystem(memory)
        files.crash_at(number)
        confirmed = run(make_job, files)
        if luck == "chance":
            files.power_loss(lambda: random.random() < 0.5)
        else:
            files.power_loss()
        check(make_job, memory, confirmed, 1, read_all, expected_contents)


@pytest.mark.parametrize("kept", [0, 1, 40])
def test_a_write_is_torn(make_job, read_all, expected_contents, kept):
    files = FaultyFileSystem(MemoryFileSystem())
    run(make_job, files)
    writes = sum(operation.name == "write" for operation in files.operations)
    for number in range(writes):
        memory = MemoryFileSystem()
        files = FaultyFileSystem(memory)
        files.inject(Fault("write", skip=number, keep_bytes=kept, crash=True))
        confirmed = run(make_job, files)
        assert files.crashed
        check(make_job, memory, confirmed, 1, read_all, expected_contents)


def test_a_short_write_that_nobody_reports_is_found_when_it_is_read(make_job, read_all):
    files = FaultyFileSystem(MemoryFileSystem())
    run(make_job, files, last=1)
    writes = [one.path for one in files.operations if one.name == "write" and "chk-1" in one.path]
    assert len(writes) >= 4
    for number in range(len(writes)):
        memory = MemoryFileSystem()
        files = FaultyFileSystem(memory)
        files.inject(Fault("write", "*chk-1*", skip=number, keep_bytes=5))
        assert run(make_job, files, last=1) == [1]
        clean = FaultyFileSystem(memory)
        (listed,) = list_checkpoints(ROOT, resolve=clean.resolve)
        with pytest.raises(SnapshotCorruptedError) as caught:
            read_everything(read_all, listed.path, clean)
        assert "memory:///checkpoints/" in str(caught.value)


def test_a_lost_rename_is_found_before_anything_is_restored(make_job, read_all):
    files = FaultyFileSystem(MemoryFileSystem())
    run(make_job, files, last=1)
    published = [one.path for one in files.operations if one.name == "publish"]
    for number, path in enumerate(published):
        memory = MemoryFileSystem()
        files = FaultyFileSystem(memory)
        files.inject(Fault("publish", skip=number, lost=True))
        run(make_job, files, last=1)
        clean = FaultyFileSystem(memory)
        directory = f"{ROOT}/0123456789abcdef0123456789abcdef/chk-1"
        if "probe" in path:
            assert load_checkpoint(directory, resolve=clean.resolve)
        else:
            with pytest.raises((SnapshotCorruptedError, CheckpointNotFoundError)):
                load_checkpoint(directory, resolve=clean.resolve)
