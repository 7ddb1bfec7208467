"""A damaged snapshot of Flink is a named error, or differs in what docs/formats/damage.md lists.

Sampled in CI; `--run-nightly` goes over every byte of every golden snapshot, sealed and not.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from tests.golden.damage_kinds import DOCUMENTED, EQUAL, ERROR
from tests.golden.damaged_snapshot import DamagedSnapshot
from tests.golden.every_byte import damage_all

from millpond.checkpoint.loading import load_checkpoint
from millpond.checkpoint.sealing import seal_snapshot
from millpond.checkpoint.verification import verify_checkpoint
from millpond.errors import SnapshotCorruptedError

FLINK = Path(__file__).parent / "flink"
FIXTURES = sorted(path.name for path in FLINK.iterdir() if path.is_dir())
SAMPLES = 60


def snapshot_of(fixture) -> DamagedSnapshot:
    (path,) = (FLINK / fixture).rglob("_metadata")
    return DamagedSnapshot(path, FLINK)


@pytest.mark.parametrize("fixture", FIXTURES)
def test_damage_is_noticed_or_documented(fixture):
    snapshot = snapshot_of(fixture)
    chance = random.Random(fixture)
    for path in (snapshot.metadata_path, *snapshot.users):
        size = len(snapshot.data[path])
        for _ in range(SAMPLES if path == snapshot.metadata_path else SAMPLES // 10):
            at = chance.randrange(size)
            bits = 1 << chance.randrange(8)
            found = snapshot.flip(path, at, bits, thorough=True)
            assert found in DOCUMENTED
            assert snapshot.flip(path, at, bits) == found, "reading less makes a difference"
            # Only the properties, which hold no state, may be cut off.
            found = snapshot.cut(path, at, thorough=True)
            assert found in {ERROR, EQUAL}
            assert snapshot.cut(path, at) == found, "reading less makes a difference"


@pytest.mark.nightly
@pytest.mark.parametrize("fixture", FIXTURES)
def test_every_byte_is_noticed_or_documented(fixture):
    flips, cuts = damage_all(snapshot_of(fixture))
    assert flips.keys() <= DOCUMENTED
    assert cuts.keys() <= {ERROR, EQUAL}


def damaged_copies(data: bytes, places):
    for at in places:
        flipped = bytearray(data)
        flipped[at] ^= 0x10
        yield bytes(flipped)
        yield data[:at]
    yield data + b"\0"


def check_sealed(path: Path, places) -> None:
    """Every damage of a file, with the seal beside it, is a named error."""
    data = path.read_bytes()
    root = path
    while not (root / "_checksums").exists():
        root = root.parent
        if (found := list(root.rglob("_checksums"))) != []:
            root = found[0].parent
    for damaged in damaged_copies(data, places):
        path.write_bytes(damaged)
        try:
            report = verify_checkpoint(root.as_uri())
        finally:
            path.write_bytes(data)
        assert report.errors
        assert all(isinstance(error, SnapshotCorruptedError) for error in report.errors)


def sealed_files(flink_snapshots, folder, directory):
    # A copy: what is sealed here would be sealed for every other test.
    original = Path(flink_snapshots[folder][0])
    shutil.copytree(original.parent, directory / folder)
    path = directory / folder / original.name
    seal_snapshot(path.as_uri())
    files = [path / "_metadata", path / "_checksums"]
    for name in load_checkpoint(path.as_uri()).source.checksums:
        file = path / name if "/" not in name else path.parent / "shared" / Path(name).name
        if file.exists() and file not in files:
            files.append(file)
    return files


@pytest.mark.parametrize("folder", FIXTURES)
def test_every_damage_of_sealed_snapshots_is_noticed(flink_snapshots, folder, tmp_path):
    chance = random.Random(folder)
    for path in sealed_files(flink_snapshots, folder, tmp_path):
        size = path.stat().st_size
        check_sealed(path, [chance.randrange(size) for _ in range(3)] if size else ())


@pytest.mark.nightly
@pytest.mark.parametrize("folder", FIXTURES)
def test_every_byte_of_sealed_snapshots_is_noticed(flink_snapshots, folder, tmp_path):
    for path in sealed_files(flink_snapshots, folder, tmp_path):
        check_sealed(path, range(path.stat().st_size))
