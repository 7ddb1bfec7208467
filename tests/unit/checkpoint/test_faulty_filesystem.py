"""The fault injector itself, so that the crash tests can be believed."""

from __future__ import annotations

import errno

import pytest

from millpond.clock import ManualClock
from millpond.filesystem import MemoryFileSystem
from millpond.testing.faulty_filesystem import Fault, FaultyFileSystem, SimulatedCrash


@pytest.fixture
def memory():
    return MemoryFileSystem()


@pytest.fixture
def files(memory):
    return FaultyFileSystem(memory)


def test_errors_hit_the_operations_they_are_meant_for(files):
    files.inject(Fault("create", "/a*", error=errno.ENOSPC, skip=1, times=2))
    for name in ("/a1", "/b1"):
        files.write_bytes(name, b"")
    for name in ("/a2", "/a3"):
        with pytest.raises(OSError, match="No space left"):
            files.write_bytes(name, b"")
    files.write_bytes("/a4", b"")
    files.inject(Fault(error=errno.EIO, times=None))
    with pytest.raises(OSError, match="Input/output"):
        files.list("/")
    files.heal()
    assert [one.name for one in files.list("/")] == ["a1", "a4", "b1"]


def test_torn_short_and_lost(files, memory):
    files.inject(Fault("write", keep_bytes=2, error=errno.EIO))
    output = files.create("/torn")
    with pytest.raises(OSError, match="Input/output"):
        output.write(b"12345")
    output.publish()
    assert memory.read_bytes("/torn") == b"12"
    files.inject(Fault("write", keep_bytes=3))
    files.write_bytes("/short", b"12345")
    assert memory.read_bytes("/short") == b"123"
    files.inject(Fault("publish", lost=True))
    files.write_bytes("/lost", b"12345")
    assert not memory.exists("/lost")
    files.inject(Fault("rename", lost=True))
    files.rename("/short", "/renamed")
    assert memory.exists("/short")


def test_delays_go_by_the_clock(memory):
    clock = ManualClock()
    files = FaultyFileSystem(memory, clock)
    files.inject(Fault("entry", delay_seconds=2.5))
    assert not files.exists("/a")
    assert clock.now_ms() == 2500


def test_after_a_crash_nothing_works(files, memory):
    files.write_bytes("/a", b"1")
    files.crash_at(1)
    output = files.create("/b")
    with pytest.raises(SimulatedCrash):
        output.write(b"2")
    output.discard()
    for call in (lambda: files.exists("/a"), lambda: files.delete("/a"), output.publish):
        with pytest.raises(SimulatedCrash):
            call()
    assert memory.read_bytes("/a") == b"1"
    assert not memory.exists("/b")


def test_power_loss_undoes_what_was_not_synced(files, memory):
    files.make_directories("/d")
    files.write_bytes("/d/kept", b"1")
    files.write_bytes("/d/deleted", b"2")
    files.delete("/d/deleted")
    files.rename("/d/kept", "/d/renamed")
    output = files.create("/d/new")
    output.write(b"3")
    output.publish()
    assert [one.name for one in files.list("/d")] == ["new", "renamed"]
    files.power_loss()
    assert [one.name for one in memory.list("/d")] == ["deleted", "kept"]
    assert memory.read_bytes("/d/kept") == b"1"


def test_power_loss_brings_a_removed_directory_back(files, memory):
    files.make_directories("/d/e")
    files.write_bytes("/d/e/a", b"1")
    files.delete("/d/e/a")
    files.remove_directory("/d/e")
    files.power_loss()
    assert memory.read_bytes("/d/e/a") == b"1"


def test_what_was_synced_survives(files, memory):
    files.make_directories("/d")
    files.write_bytes("/d/a", b"1")
    files.delete("/d/a")
    files.sync_directory("/d")
    files.write_bytes("/d/b", b"2")
    files.power_loss()
    assert [one.name for one in memory.list("/d")] == ["b"]


def test_operations_are_recorded(files):
    files.write_bytes("/a", b"1")
    assert [(one.number, one.name) for one in files.operations] == [
        (0, "create"),
        (1, "write"),
        (2, "publish"),
        (3, "sync_directory"),
    ]
    assert files.resolve("memory:///a/b/") == (files, "/a/b")
    assert files.resolve("/a") == (files, "/a")
    assert not files.is_local
    assert files.url("/a") == "memory:///a"
