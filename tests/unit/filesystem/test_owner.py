"""Directories that belong to a process go with it, and those of living ones stay."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from millpond.filesystem.owner import (
    OWNER_FILE_NAME,
    disown,
    make_owned_directory,
    own,
    remove_abandoned,
    remove_owned,
)

HOLD = """
import sys
from pathlib import Path
from millpond.filesystem.owner import make_owned_directory
print(make_owned_directory("mine-", Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


TAKE = """
import sys
from pathlib import Path
from millpond.filesystem.owner import own
own(Path(sys.argv[1]))
"""


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_what_a_killed_process_left_goes_when_the_next_directory_is_made(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        theirs = process.stdout.readline().strip()
        first = make_owned_directory("mine-", tmp_path)
        assert sorted(map(str, tmp_path.iterdir())) == sorted([theirs, str(first)])
        process.kill()
    second = make_owned_directory("mine-", tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([first, second])
    remove_owned(first)
    remove_owned(second)
    assert names(tmp_path) == []


def test_a_directory_has_one_owner(tmp_path):
    own(tmp_path)
    own(tmp_path)
    assert names(tmp_path) == [OWNER_FILE_NAME]
    assert (tmp_path / OWNER_FILE_NAME).read_text() == str(os.getpid())
    taken = subprocess.run(
        [
            sys.executable,
            "-c",
            TAKE,
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "BlockingIOError" in taken.stderr
    disown(tmp_path)
    own(tmp_path)
    disown(tmp_path)


@pytest.mark.parametrize("content", [None, "directory"])
def test_what_nobody_is_known_to_own_stays(tmp_path, content):
    (tmp_path / "mine-1").mkdir()
    (tmp_path / "mine-1" / "data").write_text("data")
    # Its process died before it could write its name.
    (tmp_path / "mine-3").mkdir()
    if content:
        (tmp_path / "mine-1" / OWNER_FILE_NAME).mkdir()
    (tmp_path / "mine-2").write_text("a file")
    (tmp_path / "other").mkdir()
    own(tmp_path / "other")
    disown(tmp_path / "other")
    remove_abandoned(tmp_path, "mine-")
    assert names(tmp_path) == ["mine-1", "mine-2", "other"]


def test_a_directory_that_is_removed_before_it_is_owned_is_made_anew(tmp_path, monkeypatch):
    removed = []

    def own_late(directory):
        if len(removed) < 3:
            remove_abandoned(tmp_path, "mine-")
            removed.append(directory)
            assert not directory.exists()
        own(directory)

    monkeypatch.setattr("millpond.filesystem.owner.own", own_late)
    directory = make_owned_directory("mine-", tmp_path)
    assert len(removed) == 3
    assert list(tmp_path.iterdir()) == [directory]
    remove_owned(directory)


def test_links_are_not_followed(tmp_path):
    (tmp_path / "data").mkdir()
    own(tmp_path / "data")
    disown(tmp_path / "data")
    (tmp_path / "mine-1").symlink_to(tmp_path / "data")
    remove_abandoned(tmp_path, "mine-")
    assert names(tmp_path / "data") == [OWNER_FILE_NAME]
