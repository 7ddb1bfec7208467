"""Three million flights within the United States in 2001, as a user would count their delays.

The file is part of the npm package vega-datasets and is never committed:

    python -m benchmarks.flights     # fetches it into benchmarks/data with npm, checks its hash

Without npm, the network or pyarrow the group is skipped, and says why.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.functions import Discard
from benchmarks.jobs import checkpointed_environment
from benchmarks.measurement import Measurement
from millpond.common import Time, Types, WatermarkStrategy
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import AggregateFunction, KeyedProcessFunction
from millpond.datastream.connectors.file_system import BulkFormat, FileSource
from millpond.datastream.state import ValueStateDescriptor
from millpond.datastream.window import TumblingEventTimeWindows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measurement import Stopwatch
    from millpond.datastream import DataStream

__all__ = ("fetch", "run_flights")

FILE = Path(__file__).parent / "data" / "flights-3m.parquet"
_PACKAGE = "vega-datasets@3.2.1"
_MEMBER = "package/data/flights-3m.parquet"
_SHA256 = "dbeb920c90f59b6ccaff823dcc3d08f25a97fa1ce128d93f40be4e931f5900b0"
_FLIGHTS = 3_000_000
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the file's times are local and have no zone
_MILLISECOND = timedelta(milliseconds=1)
_DELAYS = Types.TUPLE([Types.LONG(), Types.LONG()])


class Departure(TimestampAssigner):
    """The event time is that of the departure."""

    def extract_timestamp(self, value: Any, record_timestamp: int) -> int:
        return (value["date"] - _EPOCH) // _MILLISECOND


class Delays(AggregateFunction):
    """How many flights there were, and the minutes that they were late."""

    def create_accumulator(self):
        return 0, 0

    def add(self, value, accumulator):
        return accumulator[0] + 1, accumulator[1] + value["delay"]

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        return acc_a[0] + acc_b[0], acc_a[1] + acc_b[1]


class MeanDelay(KeyedProcessFunction):
    """Yields a route's mean delay with every flight."""

    def open(self, runtime_context):
        self.delays = runtime_context.get_state(ValueStateDescriptor("delays", _DELAYS))

    def process_element(self, value, ctx):
        number, minutes = self.delays.value() or (0, 0)
        number, minutes = number + 1, minutes + value["delay"]
        self.delays.update((number, minutes))
        yield value["origin"], value["destination"], minutes / number


def _daily(flights: DataStream) -> DataStream:
    return (
        flights.key_by(lambda flight: flight["origin"], key_type=Types.STRING())
        .window(TumblingEventTimeWindows.of(Time.days(1)))
        .aggregate(Delays(), accumulator_type=_DELAYS, output_type=_DELAYS)
    )


def _routes(flights: DataStream) -> DataStream:
    return flights.key_by(
        lambda flight: f"{flight['origin']}-{flight['destination']}", key_type=Types.STRING()
    ).process(
        MeanDelay(), output_type=Types.TUPLE([Types.STRING(), Types.STRING(), Types.DOUBLE()])
    )


_JOBS = (("delays an origin and day", _daily), ("mean delay a route", _routes))


def run_flights(*, quick: bool, repeats: int) -> Iterator[Measurement]:
    """Run both jobs on both backends, reading the Parquet file each time."""
    obstacle = _obstacle()
    if obstacle is not None:
        print(f"SKIPPED: the flights: {obstacle}.")
        return
    with tempfile.TemporaryDirectory(prefix="millpond-bench-") as directory:
        path, flights = FILE, _FLIGHTS
        if quick:
            path, flights = Path(directory) / "flights.parquet", _FLIGHTS // 10
            _write_first(flights, path)
        for name, build in _JOBS:
            for backend in ("heap", "rocksdb"):
                watches = [_run(name, build, backend, path) for _ in range(repeats)]
                yield Measurement(
                    "i",
                    name,
                    backend,
                    "M/s",
                    [flights / 1e6 / watch.thread_s for watch in watches],
                    process=[flights / 1e6 / watch.process_s for watch in watches],
                    wall=[flights / 1e6 / watch.wall_s for watch in watches],
                    note=f"{flights:,} flights, read from Parquet",
                )


def _run(
    name: str, build: Callable[[DataStream], DataStream], backend: str, path: Path
) -> Stopwatch:
    with tempfile.TemporaryDirectory(prefix="millpond-bench-") as directory:
        env = checkpointed_environment(backend, directory)
        flights = env.from_source(
            FileSource.for_bulk_file_format(BulkFormat.parquet_format(), str(path)).build(),
            WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(Departure()),
            "flights",
        )
        build(flights).sink_to(Discard())
        env.execute(name)
    assert Discard.written
    return Discard.watch


def _obstacle() -> str | None:
    if find_spec("pyarrow") is None:
        return "pyarrow is not installed, see millpond[parquet]"
    return fetch()


def fetch() -> str | None:
    """Fetch the file if it is not there; return why it cannot be had, or None."""
    if FILE.exists():
        return None if _is_right(FILE) else f"{FILE} is not the file it should be; delete it"
    npm = shutil.which("npm")
    if npm is None:
        return "npm, which fetches them, is not installed"
    with tempfile.TemporaryDirectory(prefix="millpond-bench-") as directory:
        done = subprocess.run(
            [npm, "pack", _PACKAGE, "--silent"],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        archives = list(Path(directory).glob("*.tgz"))
        if done.returncode or not archives:
            return f"npm could not fetch {_PACKAGE}: {done.stderr.strip()[-200:]}"
        with tarfile.open(archives[0]) as archive:
            content = archive.extractfile(_MEMBER)
            assert content is not None
            fetched = Path(directory) / "flights.parquet"
            fetched.write_bytes(content.read())
        if not _is_right(fetched):
            return f"{_PACKAGE} has another file than expected (its SHA-256 differs)"
        FILE.parent.mkdir(exist_ok=True)
        part = FILE.with_suffix(".part")
        shutil.move(fetched, part)
        part.rename(FILE)
    return None


def _is_right(path: Path) -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest() == _SHA256


def _write_first(flights: int, path: Path) -> None:
    from pyarrow import parquet

    parquet.write_table(parquet.read_table(FILE).slice(0, flights), path)


if __name__ == "__main__":
    problem = fetch()
    print(problem or f"{FILE} is there")
    sys.exit(problem is not None)
