"""A short form of kill_random.py: real processes, real SIGKILL, a round a backend."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from random import Random

import pytest


@pytest.fixture(scope="module")
def kill_random():
    path = Path(__file__).with_name("kill_random.py")
    specification = importlib.util.spec_from_file_location("kill_random", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("backend", ["filesystem", "filesystem incremental", "rocksdb incremental"])
def test_nothing_is_lost_or_repeated(kill_random, tmp_path, backend):
    random, kills, rounds = Random(backend), 0, 0
    while not kills:
        # A job that was faster than its kill is compared, and another one is started.
        directory = tmp_path / str(rounds)
        directory.mkdir()
        kills = kill_random.play_round(directory, backend, random, most_kills=3).total()
        assert kill_random.committed(directory) == kill_random.expected()
        rounds += 1


@pytest.mark.nightly
@pytest.mark.parametrize("number", range(40))
@pytest.mark.parametrize(
    "backend",
    ["memory", "filesystem", "filesystem incremental", "rocksdb full", "rocksdb incremental"],
)
def test_nothing_is_lost_or_repeated_in_many_rounds(kill_random, tmp_path, backend, number):
    kill_random.play_round(tmp_path, backend, Random(f"{backend} {number}"))
    assert kill_random.committed(tmp_path) == kill_random.expected()
