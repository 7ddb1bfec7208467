from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from millpond.checkpoint.completed_store import CompletedCheckpointStore
from millpond.checkpoint.storage import FileSystemCheckpointStorage
from millpond.cli.checkpoint import command
from millpond.formats.handles import (
    CheckpointMetadata,
    KeyGroupsHandle,
    OperatorState,
    SubtaskState,
)
from millpond.state.contract.snapshot import SnapshotScope

JOB_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def root(tmp_path):
    storage = FileSystemCheckpointStorage(
        str(tmp_path / "checkpoints"), JOB_ID, inline_threshold_bytes=0, random=Random(1)
    )
    storage.initialize()
    store = CompletedCheckpointStore(storage, retained=2)
    for number in (1, 2):
        location = storage.location(number)
        streams = location.streams()
        output = streams.open(SnapshotScope.EXCLUSIVE)
        output.write(b"state")
        handle = KeyGroupsHandle(0, (0,), output.finish())
        subtasks = {0: SubtaskState(keyed_managed=(handle,))}
        operators = (OperatorState(bytes(16), 1, 1, subtasks),)
        store.complete(location, CheckpointMetadata(number, operators), streams.checksums)
    return tmp_path / "checkpoints"


def run(*arguments):
    return CliRunner().invoke(command, [str(one) for one in arguments])


def data_file(root, number):
    directory = root / JOB_ID / f"chk-{number}"
    return next(path for path in directory.iterdir() if not path.name.startswith("_"))


def test_ls(root):
    result = run("ls", root)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines) == 2
    assert "checkpoint 2" in lines[0]
    assert lines[0].endswith(f"file://{root}/{JOB_ID}/chk-2")
    assert run("ls", root, "--job", "f" * 32).output == "No complete checkpoint or savepoint.\n"


def test_verify(root):
    result = run("verify", root)
    assert result.exit_code == 0
    assert result.output.count("good ") == 2
    assert "1 files, 5 bytes" in result.output
    damaged = data_file(root, 1)
    damaged.write_bytes(b"stata")
    result = run("verify", root)
    assert result.exit_code == 1
    assert result.output.count("good ") == 1
    assert result.output.count("damaged ") == 1
    assert str(damaged) in result.output


def test_gc(root):
    shutil.copy(data_file(root, 1), root / JOB_ID / "shared" / "orphan")
    assert "0 files, 0 bytes" in run("gc", root).output
    result = run("gc", root, "--older-than", "0s")
    assert result.exit_code == 0
    assert "shared file without a checkpoint" in result.output
    assert "1 files, 5 bytes: can be deleted" in result.output
    assert Path(root, JOB_ID, "shared", "orphan").exists()
    assert "1 files, 5 bytes: deleted" in run("gc", root, "--older-than", "0s", "--delete").output
    assert not Path(root, JOB_ID, "shared", "orphan").exists()
    assert run("verify", root).exit_code == 0


def test_gc_says_why_shared_files_are_spared(root):
    data_file(root, 1).unlink()
    result = run("gc", root, "--older-than", "0 ms")
    assert "since a checkpoint is damaged" in result.output


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1 week"])
def test_gc_refuses_other_durations(root, text):
    result = run("gc", root, "--older-than", text)
    assert result.exit_code == 2
    assert "is no duration" in result.output
