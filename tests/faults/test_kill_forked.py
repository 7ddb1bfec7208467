"""kill_forked.py in short: a process of its own, since it forks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("kill_forked.py")


def play(runs, seed):
    return subprocess.run(
        [sys.executable, str(PROGRAM), "--runs", str(runs), "--seed", str(seed)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_is_lost_or_repeated_in_25_runs():
    run = play(25, 11)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "25 runs" in run.stdout


@pytest.mark.nightly
def test_nothing_is_lost_or_repeated_in_1000_runs():
    run = play(1000, 12)
    assert run.returncode == 0, run.stdout + run.stderr
