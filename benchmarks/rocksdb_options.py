"""What RocksDB's options change: one value state, filled, read and read where nothing is.

    python -m benchmarks.rocksdb_options --keys 300000

Texts of 100 bytes in random order of keys. Microseconds are CPU time of the thread (of the process
for filling, since flushes and compactions run beside it), so that a busy machine spoils them less.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from millpond.common import Configuration, Types
from millpond.datastream.state import ValueStateDescriptor
from millpond.state.contract.snapshot import SnapshotOptions
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, state_of

PREFIX = "state.backend.rocksdb."
BATCH = 2048
READS = 60_000
POOL = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=1 << 18))


def _budget(size: str) -> dict[str, str]:
    return {"memory.fixed-per-slot": size}


SETTINGS: dict[str, dict[str, str]] = {
    "64 MB": _budget("64mb"),
    "16 MB": _budget("16mb"),
    "256 MB": _budget("256mb"),
    "64 MB, write-buffer-ratio 0.25": {**_budget("64mb"), "memory.write-buffer-ratio": "0.25"},
    "64 MB, bloom filter": {**_budget("64mb"), "use-bloom-filter": "true"},
    "64 MB, blocks of 16 KB": {**_budget("64mb"), "block.blocksize": "16kb"},
    "64 MB, LZ4": {**_budget("64mb"), "compression.per.level": "LZ4_COMPRESSION"},
    "64 MB, no compression": {**_budget("64mb"), "compression.per.level": "NO_COMPRESSION"},
    "64 MB, zstd": {**_budget("64mb"), "compression.per.level": "ZSTD_COMPRESSION"},
    "64 MB, partitioned index": {
        **_budget("64mb"),
        "use-bloom-filter": "true",
        "memory.partitioned-index-filters": "true",
    },
    "64 MB, FLASH_SSD_OPTIMIZED": {**_budget("64mb"), "predefined-options": "FLASH_SSD_OPTIMIZED"},
    "not managed": {"memory.managed": "false"},
    "not managed, SPINNING_DISK_OPTIMIZED_HIGH_MEM": {
        "memory.managed": "false",
        "predefined-options": "SPINNING_DISK_OPTIMIZED_HIGH_MEM",
    },
}


def measure(name: str, keys: int) -> dict[str, object]:
    """Fill, read present and absent keys, and weigh the files."""
    options = {PREFIX + key: value for key, value in SETTINGS[name].items()}
    dice = random.Random(5)
    with tempfile.TemporaryDirectory(prefix="millpond-bench-") as directory:
        store = RocksDBStateStore(Configuration.from_dict(options))
        harness = BackendHarness(store, Path(directory), options=SnapshotOptions(incremental=True))
        backend = harness.create()
        state = state_of(backend, ValueStateDescriptor("value", Types.STRING()))
        began = time.process_time()
        for number in range(keys):
            key = number * 2_654_435_761 % keys
            backend.current_key = key
            start = key * 40_503 % (len(POOL) - 100)
            state.update(POOL[start : start + 100])
            if number % BATCH == 0:
                backend.end_batch()
        state.evict()
        backend.database.checkpoint(Path(directory) / "checkpoint")
        filling = time.process_time() - began
        reads = {"present": range(keys), "absent": range(keys, 2 * keys)}
        figures = {}
        for what, among in reads.items():
            began = time.thread_time()
            for _ in range(READS):
                backend.current_key = dice.choice(among)
                state.value()
            figures[f"{what}_us"] = round((time.thread_time() - began) / READS * 1e6, 2)
        size = sum(file["size"] for file in backend.database.live_files())
        harness.close()
    return {
        "settings": name,
        "fill_us": round(filling / keys * 1e6, 2),
        **figures,
        "disk_mb": round(size / 1024**2, 1),
    }


def main() -> None:
    """Print one JSON line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=300_000)
    arguments = parser.parse_args()
    for name in SETTINGS:
        print(json.dumps(measure(name, arguments.keys)), flush=True)


if __name__ == "__main__":
    main()
