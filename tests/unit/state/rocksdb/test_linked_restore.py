"""Sorted files of a checkpoint on the same device become the database's by hard links."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from millpond.checkpoint.checksum import RunningChecksum
from millpond.checkpoint.location import CheckpointLocation
from millpond.checkpoint.reader import SnapshotSource
from millpond.common.typeinfo import Types
from millpond.datastream.state import ValueStateDescriptor
from millpond.errors import SnapshotCorruptedError
from millpond.filesystem.hard_link import hard_link
from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUE = ValueStateDescriptor("value", Types.STRING())
KEYS = 400


class FileSnapshots:
    """Checkpoint 1 in a directory; what a `BackendHarness` writes to and reads from."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("chk-1", "shared"):
            (directory / name).mkdir()
        url, shared = (directory / "chk-1").as_uri(), (directory / "shared").as_uri()
        self._streams = CheckpointLocation(1, url, shared).streams()
        self.open, self.upload = self._streams.open, self._streams.upload

    def reader(self) -> Any:
        checksums = self._streams.checksums
        return SnapshotSource((self.directory / "chk-1").as_uri(), checksums).reader()

    def contents(self) -> dict[str, object]:
        found = {}
        for path in sorted(self.directory.rglob("*")):
            if path.is_file():
                checksum = RunningChecksum()
                checksum.update(path.read_bytes())
                found[str(path)] = checksum.value()
        return found


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[BackendHarness]:
    for name in ("local", "checkpoints"):
        (tmp_path / name).mkdir()
    options = SnapshotOptions(incremental=True)
    harness = BackendHarness(RocksDBStateStore(), tmp_path / "local", options=options)
    harness.snapshots = FileSnapshots(tmp_path / "checkpoints")  # type: ignore[assignment]
    yield harness
    harness.close()


def _fill(backend: Any, text: str, keys: range = range(KEYS)) -> None:
    state = state_of(backend, VALUE)
    for key in keys:
        backend.current_key = key
        state.update(text * 20)


def _checkpoint(harness: BackendHarness) -> Any:
    backend = harness.create()
    _fill(backend, "old")
    handle = harness.snapshot(backend)
    backend.close()
    return handle


def _shared_inodes(harness: BackendHarness) -> set[int]:
    directory: Path = harness.snapshots.directory / "shared"  # type: ignore[attr-defined]
    return {path.stat().st_ino for path in directory.iterdir()}


def _inodes(backend: Any, pattern: str) -> set[int]:
    return {path.stat().st_ino for path in (backend.directory / "db").glob(pattern)}


def test_only_sorted_files_are_links(harness: BackendHarness) -> None:
    backend = harness.create([_checkpoint(harness)])
    checkpoint = _shared_inodes(harness)
    assert _inodes(backend, "*.sst") == checkpoint
    assert not _inodes(backend, "[!0-9]*") & checkpoint
    snapshots: Any = harness.snapshots
    own = {path.stat().st_ino for path in (snapshots.directory / "chk-1").iterdir()}
    assert not own & _inodes(backend, "*")


def test_the_checkpoint_stays_as_it_is_whatever_the_database_does(harness: BackendHarness) -> None:
    handle = _checkpoint(harness)
    snapshots: Any = harness.snapshots
    before = snapshots.contents()
    backend: Any = harness.create([handle])
    for turn in range(3):
        _fill(backend, f"new {turn}", range(0, KEYS, 2))
        family = state_of(backend, VALUE)._family
        state_of(backend, VALUE).evict()
        family.flush()
        family.compact()
    family.delete_range(b"", b"\xff" * 20)
    family.compact()
    assert not _inodes(backend, "*.sst") & _shared_inodes(harness)
    assert snapshots.contents() == before
    backend.close()
    assert snapshots.contents() == before
    again = harness.create([handle])
    state = state_of(again, VALUE)
    for key in range(KEYS):
        again.current_key = key
        assert state.value() == "old" * 20


def test_files_are_copied_where_links_cannot_be(
    harness: BackendHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = _checkpoint(harness)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("millpond.filesystem.hard_link.os.link", refuse)
    backend = harness.create([handle])
    assert not _inodes(backend, "*.sst") & _shared_inodes(harness)
    backend.current_key = 7
    assert state_of(backend, VALUE).value() == "old" * 20


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_linked_files_are_verified(harness: BackendHarness, damage: str, tmp_path: Path) -> None:
    handle = _checkpoint(harness)
    snapshots: Any = harness.snapshots
    victim = next((snapshots.directory / "shared").iterdir())
    data = bytearray(victim.read_bytes())
    if damage == "remove":
        victim.unlink()
    else:
        data[len(data) // 2] ^= 1
        victim.write_bytes(data if damage == "flip" else data[:-1])
    before = snapshots.contents()
    with pytest.raises(SnapshotCorruptedError):
        harness.create([handle])
    assert snapshots.contents() == before
    assert not list((tmp_path / "local").rglob("*.sst*"))


def test_a_hard_link_is_one_of_the_file_behind_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "symbolic").symlink_to("file")
    assert hard_link(tmp_path / "symbolic", tmp_path / "link")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").samefile(tmp_path / "file")
    assert not hard_link(tmp_path / "nothing", tmp_path / "other")
    assert not hard_link(tmp_path / "file", tmp_path / "link")
