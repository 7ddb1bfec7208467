"""How long importing and a trivial job take in a new process, and how much memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.measurement import Measurement

__all__ = ("run_startup",)

_EMPTY = "pass"
_IMPORT = "import millpond.datastream"
_JOB = """
from millpond.common import Types
from millpond.datastream import StreamExecutionEnvironment
env = StreamExecutionEnvironment.get_execution_environment()
env.set_parallelism(1)
env.from_collection([1, 2, 3], Types.LONG()).map(lambda x: x + 1, Types.LONG()).print()
env.execute("trivial")
"""
_REPORT = """
import json, resource, sys, time
usage = resource.getrusage(resource.RUSAGE_SELF)
scale = 1 if sys.platform == "darwin" else 1024
sys.stderr.write(json.dumps([time.process_time(), usage.ru_maxrss * scale]))
"""


def run_startup(*, quick: bool, repeats: int) -> Iterator[Measurement]:
    """Run each program in processes of its own."""
    repeats = max(repeats, 3 if quick else 7)
    empty_s, _ = _run(_EMPTY, repeats)
    bare = sorted(empty_s)[len(empty_s) // 2]
    imported_s, _ = _run(_IMPORT, repeats)
    yield Measurement(
        "h", "import millpond.datastream", "", "ms", [1000 * (s - bare) for s in imported_s],
        target=150, note=f"CPU time less that of an empty program, {1000 * bare:.0f} ms",
    )  # fmt: skip
    job_s, job_bytes = _run(_JOB, repeats)
    yield Measurement(
        "h", "trivial job", "heap", "s", job_s, java=6.97, target=0.5,
        note="CPU time of the whole process; beside it PyFlink's in thread mode",
    )  # fmt: skip
    yield Measurement(
        "h", "trivial job, peak RSS", "heap", "MB", [size / 2**20 for size in job_bytes],
        java=669, target=60, note="beside it PyFlink's in thread mode",
    )  # fmt: skip


def _run(program: str, repeats: int) -> tuple[list[float], list[float]]:
    seconds, sizes = [], []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-c", program + _REPORT], capture_output=True, text=True, check=True
        )
        cpu_s, size_bytes = json.loads(done.stderr.splitlines()[-1])
        seconds.append(cpu_s)
        sizes.append(size_bytes)
    return seconds, sizes
