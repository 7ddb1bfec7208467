"""`DemoDirectory`: one run at a time, a record that survives, nothing foreign touched."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from millpond.clock import ManualClock
from millpond.demo.directory import DemoDirectory, DemoRecord
from millpond.demo.progress import Backend
from millpond.errors import CheckpointStorageError, ConfigurationError

RECORD = DemoRecord(Backend.MEMORY, 24.0, "/flights.csv.zip", "a" * 32)


@pytest.fixture
def directory(tmp_path):
    return DemoDirectory(tmp_path / "demo", ManualClock())


def test_a_record_is_read_as_it_was_written(directory):
    with directory:
        assert directory.read() is None
        directory.write(RECORD)
        record = replace(RECORD, runs=2, crashed=True, digest="d", calm_digest="c")
        directory.write(record)
        assert directory.read() == record


@pytest.mark.parametrize("text", ["", "{}", '{"backend":"x"}', "[]"])
def test_a_damaged_record_is_an_error(directory, text):
    with directory:
        (directory.path / "demo.json").write_text(text)
        with pytest.raises(ConfigurationError, match="--fresh"):
            directory.read()


def test_a_second_run_waits_and_then_gives_up(directory):
    clock = ManualClock()
    with directory, pytest.raises(CheckpointStorageError, match="Another run"):
        DemoDirectory(directory.path, clock).__enter__()
    assert clock.monotonic() >= 10
    with DemoDirectory(directory.path, clock):
        pass


def test_a_worker_that_inherited_the_lock_keeps_it(directory):
    with directory:
        worker = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[directory.lock]
        )
    try:
        with pytest.raises(CheckpointStorageError, match="Another run"):
            DemoDirectory(directory.path, ManualClock()).__enter__()
    finally:
        worker.communicate(b"\n")
    with DemoDirectory(directory.path, ManualClock()):
        pass


def test_a_foreign_directory_is_refused_and_untouched(directory):
    directory.path.mkdir()
    (directory.path / "thesis.tex").write_text("precious")
    with pytest.raises(ConfigurationError, match=r"something else \(thesis.tex\)"):
        directory.__enter__()
    assert [entry.name for entry in directory.path.iterdir()] == ["thesis.tex"]


def test_clearing_removes_only_what_the_demo_wrote(directory):
    with directory:
        directory.write(RECORD)
        for part in (directory.results, directory.checkpoints):
            part.mkdir()
            (part / "file").write_text("")
        (directory.path / "notes.txt").write_text("mine")
        directory.clear()
        directory.clear()
        assert {entry.name for entry in directory.path.iterdir()} == {"lock", "notes.txt"}


def test_a_directory_that_cannot_be_made_is_a_named_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointStorageError, match="cannot be written"):
        DemoDirectory(tmp_path / "file" / "demo", ManualClock()).__enter__()


def test_the_lock_of_an_unlocked_directory_is_an_error(directory):
    with pytest.raises(CheckpointStorageError, match="not locked"):
        _ = directory.lock
