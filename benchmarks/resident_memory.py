"""How far the process grows while RocksDB state is many times larger than its budget.

    python -m benchmarks.resident_memory --budget-mb 256 --times 10

Three operators with four states each are filled through the state objects, mixed with reads. The
process must not grow by more than the budget and 15 %: that is what the memory options promise.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from pathlib import Path

from millpond.clock import SystemClock
from millpond.common import Configuration, Types
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    ValueStateDescriptor,
)
from millpond.serialization.key_serializer import key_serializer_for
from millpond.state.contract.definition import StateDefinition
from millpond.state.contract.key_group import KeyGroupRange
from millpond.state.contract.keyed_backend import KeyedBackendParameters
from millpond.state.contract.namespace import VOID
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.memory_snapshots import MemorySnapshots

OPERATORS = 3
KEYS = 1 << 40
# Short enough that objects and not only bytes count; longer ones fill large budgets in time.
TEXTS = {
    "short": (100, 400, 1000),
    "long": (400, 2000, 8000),
    "longest": (1000, 8000, 40_000),
}
CHECK_EVERY = 2000


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _descriptors() -> list:
    return [
        ValueStateDescriptor("value", Types.STRING()),
        ListStateDescriptor("list", Types.STRING()),
        MapStateDescriptor("map", Types.LONG(), Types.STRING()),
        ReducingStateDescriptor("reducing", lambda _old, new: new, Types.STRING()),
    ]


def measure(budget_bytes: int, times: float, texts: str, seed: int = 1) -> dict:
    """Fill `times` the budget and return the figures."""
    rng = random.Random(seed)
    lengths = TEXTS[texts]
    pool = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=200_000))
    configuration = Configuration.from_dict(
        {"state.backend.rocksdb.memory.fixed-per-slot": f"{budget_bytes}b"}
    )
    with tempfile.TemporaryDirectory(prefix="millpond-rss-") as directory:
        # What every process with a database pays once does not count towards the budget.
        _fill(configuration, Path(directory), rng, pool, lengths, 4 * 1024**2)
        before = _resident_bytes()
        started = time.perf_counter()
        written, records, peak = _fill(
            configuration, Path(directory), rng, pool, lengths, int(budget_bytes * times)
        )
        seconds = time.perf_counter() - started
    return {
        "budget_mb": round(budget_bytes / 1024**2),
        "written_mb": round(written / 1024**2),
        "records": records,
        "seconds": round(seconds, 1),
        "growth_mb": round((peak - before) / 1024**2, 1),
        "share_of_budget": round((peak - before) / budget_bytes, 3),
    }


def _fill(configuration, directory, rng, pool, lengths, goal):
    store = RocksDBStateStore(configuration)
    backends, updates, reads = [], [], []
    for number in range(OPERATORS):
        backend = store.create_keyed_backend(
            KeyedBackendParameters(
                job_id="00" * 16,
                operator_id=bytes([number]) * 16,
                operator_name=f"operator {number}",
                subtask_index=0,
                key_serializer=key_serializer_for(Types.LONG()),
                key_group_range=KeyGroupRange(0, 127),
                max_parallelism=128,
                clock=SystemClock(),
                reader=MemorySnapshots().reader(),
                local_directories=(directory,),
            )
        )
        value, elements, entries, reduced = (
            backend.get_state(StateDefinition.of(descriptor, VOID)) for descriptor in _descriptors()
        )
        backends.append(backend)
        updates.append(
            (value.update, elements.add, lambda text, put=entries.put: put(1, text), reduced.add)
        )
        reads.append(
            (value.value, lambda get=elements.get: list(get()), entries.items, reduced.get)
        )
    written = records = peak = 0
    randrange = rng.randrange
    known = [[1] * 4096 for _ in backends]
    while written < goal:
        for _ in range(CHECK_EVERY):
            number = records % OPERATORS
            kind = records // OPERATORS % 4
            length = lengths[records % 7 % 3]
            key = randrange(KEYS)
            backend = backends[number]
            backend.current_key = key
            start = randrange(150_000)
            updates[number][kind](pool[start : start + length])
            if records & 3 == 0:
                backend.current_key = known[number][records & 4095]
                reads[number][kind]()
            known[number][randrange(4096)] = key
            written += length + 20
            records += 1
        for backend in backends:
            backend.end_batch()
        peak = max(peak, _resident_bytes())
    store.close()
    return written, records, peak


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget-mb", type=int, default=64)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--texts", choices=TEXTS, default="short")
    arguments = parser.parse_args()
    budget_bytes = arguments.budget_mb * 1024**2
    print(json.dumps(measure(budget_bytes, arguments.times, arguments.texts)))


if __name__ == "__main__":
    main()
