"""What RocksDB's native metrics cost: state operations with and without, and a look at them.

    python -m benchmarks.native_metrics

Both settings take turns in one process, by CPU time of the thread, so that the ratios are worth
something on a busy machine. The object cache is kept small: every operation reaches RocksDB.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from pathlib import Path
from statistics import median

from millpond.common import Configuration, Types
from millpond.configuration.options.rocksdb_metrics import PREFIX, PROPERTY_METRICS, TICKER_METRICS
from millpond.datastream.state import ValueStateDescriptor
from millpond.metrics.registry import MetricRegistry
from millpond.state.rocksdb.store import RocksDBStateStore
from millpond.testing.backend_harness import BackendHarness, state_of

KEYS = 50_000
OPERATIONS = 10_000
ROUNDS = 15
SETTINGS = {
    "off": {},
    "properties": {PREFIX + name: "true" for name in PROPERTY_METRICS},
    "all": {PREFIX + name: "true" for name in (*PROPERTY_METRICS, *TICKER_METRICS)},
}


class _Opened:
    def __init__(self, options: dict[str, str], directory: Path) -> None:
        self.registry = MetricRegistry()
        memory = {"state.backend.rocksdb.memory.fixed-per-slot": "64mb"}
        store = RocksDBStateStore(Configuration.from_dict({**memory, **options}))
        self.harness = BackendHarness(store, directory, metric_group=self.registry.group({}))
        self.backend = self.harness.create()
        self.state = state_of(self.backend, ValueStateDescriptor("value", Types.STRING()))
        self.run(range(KEYS), "update")
        self.state.limit_cache(0)

    def run(self, keys, what: str) -> float:
        state, backend = self.state, self.backend
        began = time.thread_time()
        if what == "update":
            for backend.current_key in keys:
                state.update("x" * 100)
        else:
            for backend.current_key in keys:
                state.value()
        state.evict()
        return (time.thread_time() - began) / len(keys) * 1e9

    def look(self) -> float:
        began = time.thread_time()
        for each in self.registry:
            each.metric.get_value()
        self.harness.clock.advance(1000)
        return (time.thread_time() - began) * 1e6


def main() -> None:
    """Print nanoseconds an operation and the ratios to "off"."""
    dice = random.Random(3)
    with tempfile.TemporaryDirectory(prefix="millpond-bench-") as directory:
        opened = {name: _Opened(options, Path(directory)) for name, options in SETTINGS.items()}
        for what in ("value", "update"):
            runs: dict[str, list[float]] = {name: [] for name in opened}
            for _ in range(ROUNDS):
                keys = [dice.randrange(KEYS) for _ in range(OPERATIONS)]
                for name in dice.sample(list(opened), len(opened)):
                    runs[name].append(opened[name].run(keys, what))
            for name in opened:
                ratio = median(a / b for a, b in zip(runs[name], runs["off"], strict=True))
                figures = {"metrics": name, "operation": what, "ns": round(median(runs[name]))}
                print(json.dumps({**figures, "ratio": round(ratio, 3)}))
        for name, one in opened.items():
            looks = [one.look() for _ in range(ROUNDS)]
            gauges = len(list(one.registry))
            print(json.dumps({"metrics": name, "gauges": gauges, "us_a_look": median(looks)}))
        for one in opened.values():
            one.harness.close()


if __name__ == "__main__":
    main()
