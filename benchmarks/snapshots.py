"""Snapshots of one value state: the pause, the writing, the bytes, and the way back.

As in Java's figures, a tenth of the keys is rewritten before each snapshot, and files go to a
local directory without a job around them. Times are CPU time of the calling thread, but for the
pause on RocksDB, where waiting for its flush counts: wall time, which other work on the machine
lengthens.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measurement import Measurement, Stopwatch
from benchmarks.stores import open_backend
from millpond.checkpoint.location import CheckpointLocation
from millpond.checkpoint.reader import SnapshotSource
from millpond.common import Types
from millpond.datastream.state import ValueStateDescriptor
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.keyed_backend import NO_KEY, KeyedStateBackend
from millpond.state.contract.namespace import VOID
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("run_snapshots",)

_STATE = StateDefinition.of(ValueStateDescriptor("value", Types.LONG()), VOID)
_BATCH = 2048
_FULL = SnapshotOptions()
_SAVEPOINT = SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.CANONICAL)
_INCREMENTAL = SnapshotOptions(incremental=True)

# Java Flink 2.3 at 1 M longs: pause, writing and restore in ms, MB. The pause is wall time, the
# others CPU time of the process.
_JAVA = {
    ("heap", "checkpoint"): (6.0, 520, 870, 17.0),
    ("heap", "canonical savepoint"): (2.4, 700, 2550, 26.0),
    ("rocksdb", "checkpoint"): (40.2, 20, 40, 28.8),
    ("rocksdb", "canonical savepoint"): (0.14, 360, 2660, 26.0),
    ("rocksdb", "incremental after 10 %"): (93.8, 10, 120, 2.3),
}


def run_snapshots(
    *, quick: bool, repeats: int, entries: int | None = None
) -> Iterator[Measurement]:
    """Take checkpoints, savepoints and incremental checkpoints, and restore each."""
    if entries is None:
        entries = 100_000 if quick else 1_000_000
    kinds = {
        "heap": (("checkpoint", _FULL), ("canonical savepoint", _SAVEPOINT)),
        "rocksdb": (
            ("checkpoint", _FULL),
            ("canonical savepoint", _SAVEPOINT),
            ("incremental after 10 %", _INCREMENTAL),
        ),
    }
    for backend, cases in kinds.items():
        for name, options in cases:
            with tempfile.TemporaryDirectory(prefix="millpond-bench-") as directory:
                yield from _case(backend, name, options, entries, repeats, Path(directory))


def _case(
    backend: str, name: str, options: SnapshotOptions, entries: int, repeats: int, directory: Path
) -> Iterator[Measurement]:
    pauses: list[float] = []
    writes: list[Stopwatch] = []
    sizes: list[float] = []
    dice = random.Random(5)
    handle = None
    with open_backend(backend) as store:
        state: Any = store.get_state(_STATE)
        _write(store, state, range(entries))
        first = 1
        if options.incremental:
            handle, *_ = _snapshot(store, options, directory, first)
            store.notify_checkpoint_complete(first)
            first += 1
        for checkpoint_id in range(first, first + repeats):
            _write(store, state, dice.sample(range(entries), entries // 10))
            handle, pause_s, writing, written = _snapshot(store, options, directory, checkpoint_id)
            store.notify_checkpoint_complete(checkpoint_id)
            pauses.append(pause_s * 1000)
            writes.append(writing)
            sizes.append(written / 1e6)
    assert handle is not None
    restores = []
    for _ in range(repeats):
        # The metadata's checksums are not there without a job: lengths are checked, no more.
        reader = SnapshotSource((directory / f"chk-{checkpoint_id}").as_uri(), None).reader()
        watch = Stopwatch()
        with open_backend(backend, reader=reader, restored=[handle]) as store:
            state = store.get_state(_STATE)
            store.current_key = 1
            assert state.value() is not None
            restores.append(watch.stop())
    java = (None,) * 4 if entries != 1_000_000 else _JAVA[backend, name]

    def measurement(
        what: str, unit: str, runs: list[float], index: int, **more: Any
    ) -> Measurement:
        return Measurement("g", f"{name}: {what}", backend, unit, runs, java=java[index], **more)

    yield measurement(
        "pause", "ms", pauses, 0, target=5.0 if backend == "heap" else None,
        note=f"{entries:,} entries; wall time",
    )  # fmt: skip
    yield measurement(
        "writing", "ms", [1000 * watch.thread_s for watch in writes], 1,
        process=[1000 * watch.process_s for watch in writes],
        wall=[1000 * watch.wall_s for watch in writes],
    )  # fmt: skip
    yield measurement("written", "MB", sizes, 3)
    yield measurement(
        "restore", "ms", [1000 * watch.thread_s for watch in restores], 2,
        process=[1000 * watch.process_s for watch in restores],
        wall=[1000 * watch.wall_s for watch in restores],
    )  # fmt: skip


def _write(store: KeyedStateBackend, state: Any, keys: Any) -> None:
    for index, store.current_key in enumerate(keys):
        state.update(index)
        if index % _BATCH == 0:
            store.end_batch()
    store.current_key = NO_KEY
    store.end_batch()


def _snapshot(
    store: KeyedStateBackend, options: SnapshotOptions, directory: Path, checkpoint_id: int
) -> tuple[Any, float, Stopwatch, int]:
    target = directory / f"chk-{checkpoint_id}"
    shared = directory / "shared"
    target.mkdir()
    shared.mkdir(exist_ok=True)
    before = _size(directory)
    location = CheckpointLocation(
        checkpoint_id, target.as_uri(), shared.as_uri(), options.kind is SnapshotKind.SAVEPOINT
    )
    pause = Stopwatch()
    snapshot = store.snapshot(checkpoint_id, location.streams(), options)
    pause.stop()
    writing = Stopwatch()
    try:
        handle = snapshot.write()
    finally:
        snapshot.release()
    writing.stop()
    return handle, pause.wall_s, writing, _size(directory) - before


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
