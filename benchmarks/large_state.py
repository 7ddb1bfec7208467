"""State far larger than its memory: insert, update, checkpoint, kill, restore, verify.

    python -m benchmarks.large_state --keys 100000000 --budget-mb 1024

One value state with texts of about 100 bytes a row. A child process inserts all keys, then updates
a fifth of them, with an incremental checkpoint every `--interval` seconds; it is killed in the
middle of the updates. Further processes restore the last complete checkpoint, whole and as the
first of two subtasks, and compare a sample of keys with what they must be at that checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from millpond.checkpoint.location import CheckpointLocation
from millpond.checkpoint.reader import SnapshotSource
from millpond.clock import SystemClock
from millpond.common import Configuration, Types
from millpond.datastream.state import ValueStateDescriptor
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.key_group import KeyGroupRange
from millpond.state.contract.keyed_backend import KeyedBackendParameters
from millpond.state.contract.namespace import VOID
from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.rocksdb.store import RocksDBStateStore

if TYPE_CHECKING:
    from millpond.checkpoint.checksum import FileChecksum

STATE = StateDefinition.of(ValueStateDescriptor("value", Types.STRING()), VOID)
# Keys are visited in the order i * STEP mod keys, so that what a checkpoint holds of a key can be
# worked out from how many inserts and updates it has seen.
STEP = 2_654_435_761
BATCH = 2048
VALUE_CHARACTERS = 84
POOL = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz0123456789ABCDEF", k=1 << 20))
SAMPLE = 50_000


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _value(key: int, updated: bool) -> str:
    start = (key * 40_503 + (7_919 if updated else 0)) % (len(POOL) - VALUE_CHARACTERS)
    return POOL[start : start + VALUE_CHARACTERS]


def _backend(store, directory: Path, reader, restored=(), groups=(0, 127)):
    return store.create_keyed_backend(
        KeyedBackendParameters(
            job_id="00" * 16,
            operator_id=b"\x01" * 16,
            operator_name="large state",
            subtask_index=0,
            key_serializer=key_serializer_for(Types.LONG()),
            key_group_range=KeyGroupRange(*groups),
            max_parallelism=128,
            clock=SystemClock(),
            reader=reader,
            restored=restored,
            local_directories=(directory,),
        )
    )


def _store(budget_mb: int) -> RocksDBStateStore:
    key = "state.backend.rocksdb.memory.fixed-per-slot"
    return RocksDBStateStore(Configuration.from_dict({key: f"{budget_mb}m"}))


class _Checkpoints:
    """Takes one incremental checkpoint at a time; the file `completed` names the last."""

    def __init__(self, backend, directory: Path) -> None:
        self._backend = backend
        self._directory = directory
        self._number = 0
        self._writer: threading.Thread | None = None
        self._done: tuple | None = None
        self._checksums: dict[str, FileChecksum] = {}
        self.pauses_ms: list[tuple[int, ...]] = []
        self.seconds: list[float] = []
        self.written_mb: list[float] = []

    def start(self, inserted: int, updated: int) -> None:
        self._number += 1
        target = self._directory / f"chk-{self._number}"
        target.mkdir()
        location = CheckpointLocation(
            self._number, target.as_uri(), (self._directory / "shared").as_uri()
        )
        began = time.perf_counter()
        # What `snapshot` does anyway, in steps, to see which of them takes long.
        self._backend.get_state(STATE).flush()
        written_back = time.perf_counter()
        database = self._backend.database
        for name in database.column_family_names:
            family = database.column_family(name)
            if family.has_unflushed_rows():
                family.flush()
        flushed = time.perf_counter()
        streams = location.streams()
        snapshot = self._backend.snapshot(self._number, streams, SnapshotOptions(incremental=True))
        times = (began, written_back, flushed, time.perf_counter())
        steps = (round((end - start) * 1000) for start, end in pairwise(times))
        self.pauses_ms.append(tuple(steps))

        def write() -> None:
            try:
                handle = snapshot.write()
            finally:
                snapshot.release()
            seconds = time.perf_counter() - began
            self._checksums.update(streams.checksums)
            self._done = (self._number, handle, inserted, updated, seconds)

        self._writer = threading.Thread(target=write)
        self._writer.start()

    def collect(self, *, wait: bool = False) -> None:
        """Complete the checkpoint that was written, if one was."""
        if self._writer is None or (self._writer.is_alive() and not wait):
            return
        self._writer.join()
        self._writer = None
        number, handle, inserted, updated, seconds = self._done
        partial = self._directory / "completed.inprogress"
        checksums = dict(self._checksums)
        partial.write_bytes(pickle.dumps((number, handle, checksums, inserted, updated)))
        partial.rename(self._directory / "completed")
        self._backend.notify_checkpoint_complete(number)
        self.seconds.append(seconds)
        self.written_mb.append(handle.checkpointed_size / 1024**2)
        used = {Path(file.path).name for _, file in handle.shared if hasattr(file, "path")}
        for file in (self._directory / "shared").iterdir():
            if file.name not in used:
                file.unlink()
        for old in self._directory.glob("chk-*"):
            if old.name != f"chk-{number}":
                shutil.rmtree(old)

    @property
    def busy(self) -> bool:
        return self._writer is not None


def _fill(arguments: argparse.Namespace) -> None:
    """The child that is killed: one JSON line whenever something is known."""
    directory, keys = arguments.directory, arguments.keys
    store = _store(arguments.budget_mb)
    before = _resident_bytes()
    backend = _backend(store, directory / "local", SnapshotSource(None, None).reader())
    state = backend.get_state(STATE)
    checkpoints = _Checkpoints(backend, directory / "checkpoints")
    peak = before
    last = time.perf_counter()

    def write(count: int, *, updated: bool, say_at: int) -> float:
        nonlocal peak, last
        began = time.perf_counter()
        for start in range(0, count, BATCH):
            for index in range(start, min(start + BATCH, count)):
                key = index * STEP % keys
                backend.current_key = key
                state.update(_value(key, updated))
            backend.end_batch()
            done = min(start + BATCH, count)
            if checkpoints.busy:
                checkpoints.collect()
            elif time.perf_counter() - last >= arguments.interval:
                last = time.perf_counter()
                inserted, changed = (keys, done) if updated else (done, 0)
                checkpoints.start(inserted, changed)
            if start % (BATCH * 64) == 0:
                peak = max(peak, _resident_bytes())
            if start % (BATCH * 512) == 0 and start:
                _say(progress=done, growth_mb=_mb(peak - before), seconds=_since(began))
            if updated and done >= say_at:
                say_at = count + 1
                _say(phase="half of the updates", checkpoints=_summary(checkpoints))
        return time.perf_counter() - began

    seconds = write(keys, updated=False, say_at=keys + 1)
    _say(phase="insert", keys=keys, seconds=round(seconds, 1), growth_mb=_mb(peak - before))
    checkpoints.collect(wait=True)
    checkpoints.start(keys, 0)
    checkpoints.collect(wait=True)
    last = time.perf_counter()
    updates = keys // 5
    seconds = write(updates, updated=True, say_at=updates // 2)
    _say(phase="update", keys=updates, seconds=round(seconds, 1), growth_mb=_mb(peak - before))
    checkpoints.collect(wait=True)
    _say(phase="end", checkpoints=_summary(checkpoints), growth_mb=_mb(peak - before))
    time.sleep(3600)


def _restore(arguments: argparse.Namespace) -> None:
    """Restore the last complete checkpoint and compare a sample."""
    directory, keys = arguments.directory, arguments.keys
    number, handle, checksums, inserted, updated = pickle.loads(
        (directory / "checkpoints" / "completed").read_bytes()
    )
    before = _resident_bytes()
    store = _store(arguments.budget_mb)
    source = (directory / "checkpoints" / f"chk-{number}").as_uri()
    reader = SnapshotSource(source, checksums).reader()
    groups = (0, 63) if arguments.role == "rescale" else (0, 127)
    began = time.perf_counter()
    backend = _backend(store, directory / "local", reader, (handle,), groups)
    state = backend.get_state(STATE)
    seconds = time.perf_counter() - began
    inverse = pow(STEP, -1, keys)
    serializer = backend.parameters.key_serializer
    dice = random.Random(11)
    checked = wrong = 0
    for _ in range(SAMPLE):
        key = dice.randrange(keys)
        if not groups[0] <= serializer.key_group(key, 128) <= groups[1]:
            continue
        index = key * inverse % keys
        expected = _value(key, index < updated) if index < inserted else None
        backend.current_key = key
        checked += 1
        wrong += state.value() != expected
        if checked % BATCH == 0:
            backend.end_batch()
    _say(
        phase=arguments.role,
        seconds=round(seconds, 2),
        state_mb=_mb(sum(file.size for _, file in handle.shared)),
        inserted=inserted,
        updated=updated,
        checked=checked,
        wrong=wrong,
        growth_mb=_mb(_resident_bytes() - before),
        phases=getattr(backend, "restore_phases", None) and backend.restore_phases.describe(),
    )
    store.close()


def _summary(checkpoints: _Checkpoints) -> dict:
    return {
        "count": len(checkpoints.seconds),
        "mb": [round(size) for size in checkpoints.written_mb],
        "seconds": [round(seconds, 1) for seconds in checkpoints.seconds],
        "pauses_ms": sorted(map(sum, checkpoints.pauses_ms)),
        "longest_pause_ms": dict(
            zip(
                ("write back", "flush", "link"),
                max(checkpoints.pauses_ms, key=sum, default=()),
                strict=False,
            )
        ),
    }


def _mb(size_bytes: float) -> float:
    return round(size_bytes / 1024**2, 1)


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 1)


def _say(**figures: object) -> None:
    print(json.dumps(figures), flush=True)


def _child(arguments: argparse.Namespace, role: str) -> subprocess.Popen:
    return subprocess.Popen(
        [
            sys.executable, "-m", "benchmarks.large_state", "--role", role,
            "--keys", str(arguments.keys), "--budget-mb", str(arguments.budget_mb),
            "--interval", str(arguments.interval), "--directory", str(arguments.directory),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def _run(arguments: argparse.Namespace) -> None:
    shutil.rmtree(arguments.directory, ignore_errors=True)
    for name in ("local", "checkpoints/shared"):
        (arguments.directory / name).mkdir(parents=True)
    child = _child(arguments, "fill")
    assert child.stdout is not None
    for line in child.stdout:
        print(line, end="", flush=True)
        if "half of the updates" in line or '"end"' in line:
            os.kill(child.pid, signal.SIGKILL)
            _say(phase="killed", load=os.getloadavg())
            break
    child.wait()
    for role in ("restore", "rescale"):
        shutil.rmtree(arguments.directory / "local", ignore_errors=True)
        (arguments.directory / "local").mkdir()
        child = _child(arguments, role)
        out, _ = child.communicate()
        print(out, end="", flush=True)
        if child.returncode:
            raise SystemExit(child.returncode)


def main() -> None:
    """Run all phases and print one JSON line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000_000)
    parser.add_argument("--budget-mb", type=int, default=1024)
    parser.add_argument("--interval", type=float, default=30.0, help="seconds between checkpoints")
    parser.add_argument("--directory", type=Path, help="an empty one; default a temporary one")
    parser.add_argument("--role", choices=("all", "fill", "restore", "rescale"), default="all")
    arguments = parser.parse_args()
    if arguments.role == "fill":
        _fill(arguments)
    elif arguments.role in {"restore", "rescale"}:
        _restore(arguments)
    elif arguments.directory is not None:
        _run(arguments)
    else:
        with tempfile.TemporaryDirectory(prefix="millpond-large-") as directory:
            arguments.directory = Path(directory) / "run"
            _run(arguments)


if __name__ == "__main__":
    main()
