"""A flipped byte anywhere in a real checkpoint of any kind is found, or changes nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from millpond.checkpoint.listing import list_checkpoints
from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.stream_walk import streams_of
from millpond.errors import SnapshotCorruptedError
from millpond.filesystem.path import name_of
from millpond.formats.handles import InlineHandle
from millpond.state.contract.snapshot import SnapshotKind, SnapshotOptions

KINDS = (
    "memory",
    "filesystem",
    "filesystem incremental",
    "rocksdb full",
    "rocksdb incremental",
    "canonical savepoint",
)


class Damaged:
    """The newest checkpoint of a job that was cancelled half way; its files can be changed."""

    def __init__(self, one, kind):
        self.memory, self.resolve = one.memory, one.files.resolve
        place = {}

        def act(step, manager):
            complete = [each for each in manager.coordinator.statistics if each.external_path]
            if kind == "canonical savepoint":
                if step == 12:
                    options = SnapshotOptions(kind=SnapshotKind.SAVEPOINT)
                    place["savepoint"] = manager.savepoint(None, options)
                done = bool(place) and place["savepoint"].done()
            else:
                done = len(complete) >= 5
            if done:
                manager.cancel()

        backend = "rocksdb incremental" if kind == "canonical savepoint" else kind
        one.run(backend, act=act)
        root = "memory:///savepoints" if place else "memory:///checkpoints"
        newest = list_checkpoints(root, resolve=self.resolve)[0]
        self.path = newest.path
        self.loaded = self.load()
        self.right = self.contents(self.loaded)

    def load(self):
        return load_checkpoint(self.path, resolve=self.resolve)

    def contents(self, loaded):
        reader = loaded.source.reader(resolve=self.resolve)
        return [self.content(reader, handle) for handle in streams_of(loaded.metadata)]

    @staticmethod
    def content(reader, handle):
        with reader.open(handle) as stream:
            return stream.read()

    def files(self):
        """Return path and handle of every file; metadata and checksums have no handle."""
        _, directory = self.resolve(self.path)
        found = {
            entry.path: None for entry in self.memory.list(directory) if entry.name.startswith("_")
        }
        for handle in streams_of(self.loaded.metadata):
            if not isinstance(handle, InlineHandle):
                name = getattr(handle, "path", None)
                path = self.resolve(name)[1] if name else f"{directory}/{handle.name}"
                found[path] = handle
        return found

    def survives(self, path, handle):
        """Read what a restore reads; return False if the damage is found and named."""
        try:
            if handle is not None:
                # Its metadata are as they were: only this file is another.
                self.content(self.loaded.source.reader(resolve=self.resolve), handle)
                return True
            changed = self.load()
            assert changed.metadata == self.loaded.metadata
            assert self.contents(changed) == self.right
        except SnapshotCorruptedError as error:
            if name_of(path) not in str(error):
                raise AssertionError(f"{path} is damaged, and another is blamed.") from error
            return False
        return True


def positions(size, every):
    """Return the first and last bytes of a file, and some between."""
    if every == 1:
        return range(size)
    return sorted({*range(min(size, 24)), *range(max(0, size - 24), size), *range(0, size, every)})


def flip_bytes(damaged, every):
    flips = harmless = 0
    for path, handle in damaged.files().items():
        good = damaged.memory.read_bytes(path)
        for position in positions(len(good), every):
            bad = bytearray(good)
            bad[position] ^= 1 << position % 8
            damaged.memory.store(path, bytes(bad))
            flips += 1
            if damaged.survives(path, handle):
                harmless += 1
                assert handle is None, f"A flip at {position} of {path} was not found."
        damaged.memory.store(path, good)
    assert damaged.survives(next(iter(damaged.files())), None)
    return flips, harmless


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_is_found_or_harmless(world, kind):
    damaged = Damaged(world(), kind)
    flips, harmless = flip_bytes(damaged, 211)
    assert flips > 60
    # Only the mark behind metadata that hold all state inside may lose a bit unnoticed.
    assert harmless <= 8


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_byte_is_found_or_harmless(world, kind):
    flips, harmless = flip_bytes(Damaged(world(), kind), 1)
    print(f"{kind}: {flips} bytes flipped, {flips - harmless} found, {harmless} harmless")
    assert harmless <= 8


@pytest.mark.parametrize("kind", ["filesystem", "rocksdb incremental"])
def test_missing_empty_truncated_and_swapped_files_are_found(world, kind):
    damaged = Damaged(world(), kind)
    files = damaged.files()
    contents = {path: damaged.memory.read_bytes(path) for path in files}
    for path, good in contents.items():
        other = next(data for each, data in contents.items() if each != path and data != good)
        for bad in (b"", good[:-1], good[: len(good) // 2], other, good + b"\0"):
            damaged.memory.store(path, bad)
            with pytest.raises(SnapshotCorruptedError) as caught:
                damaged.contents(damaged.load())
            assert name_of(path) in str(caught.value) or "checksum file" in str(caught.value)
        damaged.memory.delete(path)
        if not path.endswith("_metadata"):
            with pytest.raises(SnapshotCorruptedError):
                damaged.contents(damaged.load())
        damaged.memory.store(path, good)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_pickles_in_place_of_any_file_are_refused_and_never_run(world, tmp_path):
    damaged = Damaged(world(), "filesystem incremental")
    marker = tmp_path / "ran"
    for path in damaged.files():
        good = damaged.memory.read_bytes(path)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            attack = pickle.dumps(Bomb(marker), protocol)
            # As long as the right file, so that its length does not give it away.
            for bad in (attack, attack.ljust(len(good), b"\0")):
                damaged.memory.store(path, bad)
                with pytest.raises(SnapshotCorruptedError):
                    damaged.contents(damaged.load())
        damaged.memory.store(path, good)
    assert not marker.exists()
