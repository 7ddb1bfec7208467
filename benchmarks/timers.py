"""Timers: adding, deleting and firing, up to ten million that are pending in 256 MB.

The timers of LONG keys go through the service that process functions use: a key has ten timers,
and a timestamp has ten keys. They are added in random order of time, every tenth is deleted again,
then the watermark goes up in a thousand steps until all have fired. The growth of the resident
memory of the process, sampled while it works, must stay below the managed memory: each case runs
in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measurement import Measurement, Stopwatch
from benchmarks.stores import open_backend
from millpond.clock import SystemClock
from millpond.operators.batch import MAX_WATERMARK
from millpond.operators.timer_service import InternalTimerService, KeyedTimerService

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("run_timers",)

_BATCH = 2048
_STEPS = 1000
_MANAGED_MB = 256
_PRIME = 2_147_483_647
"""Numbers multiplied by it, modulo the count, come in no order and each once."""


def run_timers(*, quick: bool, repeats: int) -> Iterator[Measurement]:
    """Measure a million timers on the heap and ten million in RocksDB."""
    cases = (("heap", 1_000_000), ("rocksdb", 1_000_000), ("rocksdb", 10_000_000))
    for backend, count in cases:
        pending = count // 10 if quick else count
        runs = [_apart(backend, pending) for _ in range(1 if count > 1_000_000 else repeats)]
        for what, unit in (("add", "M/s"), ("delete", "M/s"), ("fire", "M/s"), ("growth", "MB")):
            yield Measurement(
                "j",
                f"{pending:,} timers: {what}",
                backend,
                unit,
                [run[what] for run in runs],
                wall=[run[f"{what}_wall"] for run in runs if f"{what}_wall" in run],
                target=float(_MANAGED_MB) if unit == "MB" and backend == "rocksdb" else None,
                note=f"managed memory {_MANAGED_MB} MB" if backend == "rocksdb" else "",
            )


def _apart(backend: str, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.timers", backend, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


class _ResidentMemory:
    """The largest resident memory of the process, sampled by a thread."""

    def __init__(self) -> None:
        self.first_mb = self.largest_mb = _resident_mb()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.largest_mb = max(self.largest_mb, _resident_mb())

    def stop(self) -> float:
        """Return the growth in MB."""
        self._over.set()
        self._thread.join()
        return max(self.largest_mb, _resident_mb()) - self.first_mb


def _resident_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("There is no VmRSS.")


def _measure(backend: str, count: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    with open_backend(backend, f"{_MANAGED_MB}m") as store:
        internal = InternalTimerService(store, SystemClock())
        timers = KeyedTimerService(internal)
        memory = _ResidentMemory()

        def each(numbers: range, apply: object) -> None:
            for start in range(0, len(numbers), _BATCH):
                for number in numbers[start : start + _BATCH]:
                    place = number * _PRIME % count
                    store.current_key = place % (count // 10)
                    apply(place // 10)  # type: ignore[operator]
                store.end_batch()

        watch = Stopwatch()
        each(range(count), timers.register_event_time_timer)
        _note(figures, "add", count, watch)
        watch = Stopwatch()
        each(range(0, count, 10), timers.delete_event_time_timer)
        _note(figures, "delete", count // 10, watch)
        fired: list[int] = []
        last = -1

        def fire(timestamp: int, namespace: object) -> None:
            nonlocal last
            assert timestamp >= last
            last = timestamp
            fired.append(1)

        watch = Stopwatch()
        for step in range(1, _STEPS + 1):
            internal.advance_watermark(count // 10 * step // _STEPS, fire)
            store.end_batch()
        internal.advance_watermark(MAX_WATERMARK, fire)
        _note(figures, "fire", len(fired), watch)
        assert len(fired) == count - count // 10
        figures["growth"] = memory.stop()
    return figures


def _note(figures: dict[str, float], what: str, count: int, watch: Stopwatch) -> None:
    watch.stop()
    figures[what] = count / watch.thread_s / 1e6
    figures[f"{what}_wall"] = count / watch.wall_s / 1e6


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]))))
