"""Snapshots of one value state: the pause, the writing, the bytes, and the way back.

As in Java's figures, a tenth of the keys is rewritten before each snapshot, and files go to a
local directory without a job around them. Writing and restoring are CPU time of the calling thread.
The pause is wall time; so is the foreground: updates a second while another thread writes the
snapshot, by those a second just before. Other work on the machine lengthens both.

As a job does, stores that can prepare do so first, in slices between batches. The longest stop is
that of a thread which goes on with updates of any keys, 10 us of CPU time each, from the trigger to
the end of the writing: the longest of these slices, of the pause, and of what a batch of updates
took longer than the longest of 100 batches before. It is CPU time, and what the thread had to wait
for the writing.
"""

from __future__ import annotations

import random
import tempfile
import threading
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any

from benchmarks.measurement import Measurement, Stopwatch
from benchmarks.stores import open_backend
from millpond.checkpoint.location import CheckpointLocation
from millpond.checkpoint.reader import SnapshotSource
from millpond.clock import SystemClock
from millpond.common import Types
from millpond.datastream.state import ValueStateDescriptor
from millpond.runtime.message import TriggerCheckpoint
from millpond.runtime.snapshot_preparation import SnapshotPreparation
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.keyed_backend import NO_KEY, KeyedStateBackend
from millpond.state.contract.namespace import VOID
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from millpond.checkpoint.checksum import FileChecksum

__all__ = ("run_snapshots",)

_STATE = StateDefinition.of(ValueStateDescriptor("value", Types.LONG()), VOID)
_BATCH = 2048
_SECONDS_PER_UPDATE = 1e-5
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
    *,
    quick: bool,
    repeats: int,
    entries: int | None = None,
    only: Collection[tuple[str, str]] | None = None,
) -> Iterator[Measurement]:
    """Take checkpoints, savepoints and incremental checkpoints, and restore each.

    `only` has the wanted (backend, kind) pairs; None wants all.
    """
    if entries is None:
        entries = 100_000 if quick else 1_000_000
    kinds = (
        ("checkpoint", _FULL),
        ("canonical savepoint", _SAVEPOINT),
        ("incremental after 10 %", _INCREMENTAL),
    )
    for backend in ("heap", "rocksdb"):
        for name, options in kinds:
            if only is not None and (backend, name) not in only:
                continue
            with tempfile.TemporaryDirectory(prefix="millpond-bench-") as directory:
                yield from _case(backend, name, options, entries, repeats, Path(directory))


def _case(
    backend: str, name: str, options: SnapshotOptions, entries: int, repeats: int, directory: Path
) -> Iterator[Measurement]:
    pauses: list[float] = []
    writes: list[Stopwatch] = []
    sizes: list[float] = []
    dice = random.Random(5)
    checksums: dict[str, FileChecksum] = {}
    handle = None
    with open_backend(backend, incremental=options.incremental) as store:
        state: Any = store.get_state(_STATE)
        _write(store, state, range(entries))
        first = 1
        if options.incremental:
            handle, *_ = _snapshot(store, options, directory, first, checksums)
            store.notify_checkpoint_complete(first)
            first += 1
        for checkpoint_id in range(first, first + repeats):
            _write(store, state, dice.sample(range(entries), entries // 10))
            handle, pause_s, writing, written = _snapshot(
                store, options, directory, checkpoint_id, checksums
            )
            store.notify_checkpoint_complete(checkpoint_id)
            pauses.append(pause_s * 1000)
            writes.append(writing)
            sizes.append(written / 1e6)
        number = checkpoint_id + 1
        stops = [
            _longest_stop(store, state, options, directory, number + turn, entries)
            for turn in range(repeats)
        ]
        number += repeats
        foreground = [
            _foreground(store, state, options, directory, number + turn, entries)
            for turn in range(repeats)
        ]
    assert handle is not None
    restores = []
    for _ in range(repeats):
        # With the checksums that a job writes beside the metadata: Flink's own are examined more.
        source = SnapshotSource((directory / f"chk-{checkpoint_id}").as_uri(), checksums)
        reader = source.reader()
        watch = Stopwatch()
        with open_backend(backend, reader=reader, restored=[handle]) as store:
            state = store.get_state(_STATE)
            store.current_key = 1
            assert state.value() is not None
            restores.append(watch.stop())
    java: tuple[float | None, ...] = (None,) * 4
    if entries == 1_000_000:
        java = _JAVA.get((backend, name), java)

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
    yield Measurement(
        "g", f"{name}: longest stop", backend, "ms", [1000 * stop for stop in stops],
        target=100.0 if backend == "rocksdb" else None, note="with updates going on; CPU time",
    )  # fmt: skip
    yield Measurement(
        "g", f"{name}: foreground", backend, "%", [100 * share for share in foreground],
        target=50 if backend == "heap" else None, note="of the updates a second without a snapshot",
    )  # fmt: skip
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
    store: KeyedStateBackend,
    options: SnapshotOptions,
    directory: Path,
    checkpoint_id: int,
    checksums: dict[str, FileChecksum],
) -> tuple[Any, float, Stopwatch, int]:
    location = _location(directory, checkpoint_id, options)
    before = _size(directory)
    streams = location.streams()
    for _ in _slices(store, options, location):
        pass
    pause = Stopwatch()
    snapshot = store.snapshot(checkpoint_id, streams, options)
    pause.stop()
    writing = Stopwatch()
    try:
        handle = snapshot.write()
    finally:
        snapshot.release()
    writing.stop()
    checksums.update(streams.checksums)
    return handle, pause.wall_s, writing, _size(directory) - before


def _foreground(
    store: KeyedStateBackend,
    state: Any,
    options: SnapshotOptions,
    directory: Path,
    checkpoint_id: int,
    keys: int,
) -> float:
    """Return the share of the updates a second that is left while a thread writes a snapshot."""
    order = cycle(random.Random(checkpoint_id).sample(range(keys), keys // 5))

    def batch() -> float:
        started = perf_counter()
        _write(store, state, islice(order, _BATCH))
        return perf_counter() - started

    alone = [batch() for _ in range(400)]
    location = _location(directory, checkpoint_id, options)
    for _ in _slices(store, options, location):
        batch()
    snapshot = store.snapshot(checkpoint_id, location.streams(), options)
    meanwhile = _while_writing(store, snapshot, checkpoint_id, batch)
    return fmean(alone) / fmean(meanwhile)


def _longest_stop(
    store: KeyedStateBackend,
    state: Any,
    options: SnapshotOptions,
    directory: Path,
    checkpoint_id: int,
    keys: int,
) -> float:
    """Return the longest stop of a thread that goes on with updates, in seconds."""
    dice = random.Random(1000 + checkpoint_id)
    _write(store, state, dice.sample(range(keys), keys // 10))
    order = cycle(dice.sample(range(keys), keys // 2))

    def batch() -> float:
        started = thread_time()
        _write(store, state, islice(order, _BATCH))
        took = thread_time() - started
        while thread_time() < started + _BATCH * _SECONDS_PER_UPDATE:
            pass
        return took

    usual = max([batch() for _ in range(100)])
    location = _location(directory, checkpoint_id, options)
    stops: list[float] = []
    for slice_s in _slices(store, options, location):
        stops += [slice_s, batch() - usual]
    started = thread_time()
    snapshot = store.snapshot(checkpoint_id, location.streams(), options)
    stops.append(thread_time() - started)
    meanwhile = _while_writing(store, snapshot, checkpoint_id, batch)
    stops.append(snapshot.stopped_seconds)
    return max(*stops, *(seconds - usual for seconds in meanwhile))


def _while_writing(
    store: KeyedStateBackend, snapshot: Any, checkpoint_id: int, batch: Callable[[], float]
) -> list[float]:
    """Let a thread write a snapshot; return how long each batch took meanwhile."""
    ended = threading.Event()

    def write() -> None:
        try:
            snapshot.write()
        finally:
            ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    taken = [batch()]
    while not ended.is_set():
        taken.append(batch())
    writer.join()
    snapshot.release()
    store.notify_checkpoint_complete(checkpoint_id)
    return taken


class _ThreadClock(SystemClock):
    """Slices are of CPU time, so that what else the machine does cannot make them too short."""

    def monotonic(self) -> float:
        return thread_time()


class _Task:
    """What a preparation sees of a task."""

    ended = False
    preparation_ms = 0.0

    def __init__(self, store: KeyedStateBackend) -> None:
        self._store = store

    def prepare_snapshot(self, message: TriggerCheckpoint) -> Iterator[bool]:
        return self._store.prepare_snapshot(message.checkpoint_id, message.options)


def _slices(
    store: KeyedStateBackend, options: SnapshotOptions, location: CheckpointLocation
) -> Iterator[float]:
    """Prepare as a worker does; yield the CPU time of each slice, for what happens in between."""
    preparation = SnapshotPreparation(_ThreadClock(), timeout_ms=600_000)
    preparation.add(TriggerCheckpoint(location.checkpoint_id, 0, options, location))
    tasks: Any = [_Task(store)]
    is_due = False
    while not is_due:
        started = thread_time()
        is_due = preparation.work(tasks)
        yield thread_time() - started


def _location(directory: Path, checkpoint_id: int, options: SnapshotOptions) -> CheckpointLocation:
    target, shared = directory / f"chk-{checkpoint_id}", directory / "shared"
    target.mkdir()
    shared.mkdir(exist_ok=True)
    return CheckpointLocation(
        checkpoint_id, target.as_uri(), shared.as_uri(), options.kind is SnapshotKind.SAVEPOINT
    )


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
