"""A disk that is really full: a small file system is mounted, which takes root's rights."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from millpond.common.typeinfo import Types
from millpond.datastream.state import ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor
from millpond.errors import StateStoreError
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, at_key, state_of

BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
VALUE = ValueStateDescriptor("value", BYTES)
LIST = ListStateDescriptor("list", BYTES)
MAP = MapStateDescriptor("map", Types.LONG(), BYTES)
KEPT = b"k" * 100


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root")
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.parametrize(
    "options",
    [
        SnapshotOptions(),
        SnapshotOptions(incremental=True),
        SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.NATIVE),
    ],
    ids=["full", "incremental", "native savepoint"],
)
def test_a_full_disk_fails_snapshots_and_nothing_else(small_disk, tmp_path, options):
    harness = BackendHarness(RocksDBStateStore(), small_disk, options=options)
    backend = harness.create()
    value, elements, entries = (state_of(backend, each) for each in (VALUE, LIST, MAP))
    for key in range(20):
        with at_key(backend, key):
            value.update(KEPT)
            elements.add(KEPT)
            entries.put(key, KEPT)
    good = harness.snapshot(backend)
    written: dict[int, bytes] = {}

    def fill_up():
        for turn in range(200):
            for key in range(100, 150):
                written[key] = os.urandom(10_000)
                with at_key(backend, key):
                    value.update(written[key])
                    entries.put(turn, written[key])
            harness.snapshot(backend)

    with pytest.raises(StateStoreError, match=r"disk under the RocksDB database is full") as caught:
        fill_up()
    assert "No space left on device" in str(caught.value)
    assert str(small_disk) in str(caught.value)
    assert "localdir" in caught.value.hint
    assert harness.snapshots.open_streams == 0
    for _ in range(2):
        for key in range(20):
            with at_key(backend, key):
                assert value.value() == KEPT
                assert list(elements.get()) == [KEPT]
                assert dict(entries.items()) == {key: KEPT}
        for key, expected in written.items():
            with at_key(backend, key):
                assert value.value() == expected
        with pytest.raises(StateStoreError, match="full"):
            harness.snapshot(backend)
    backend.close()
    assert list(small_disk.iterdir()) == []
    harness.close()
    larger = BackendHarness(RocksDBStateStore(), tmp_path, options=options)
    larger.snapshots = harness.snapshots
    restored = larger.create([good])
    for key in range(20):
        with at_key(restored, key):
            assert state_of(restored, VALUE).value() == KEPT
            assert list(state_of(restored, LIST).get()) == [KEPT]
    larger.close()


def test_a_disk_without_any_room_is_named_at_the_start(small_disk, tmp_path):
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "filler").write_bytes(bytes(7 << 20))
    harness = BackendHarness(RocksDBStateStore(), small_disk)
    with pytest.raises(StateStoreError, match=r"full|No space left"):
        harness.create()
    harness.close()
    assert [path.name for path in small_disk.iterdir()] == ["filler"]
