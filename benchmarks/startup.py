"""How long importing and a trivial job take in a new process, and how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.measurement import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("run_startup",)

_EMPTY = "pass"
_IMPORT = "from millpond.datastream import StreamExecutionEnvironment"
_JOB = """
from millpond.common import Types
from millpond.datastream import StreamExecutionEnvironment
env = StreamExecutionEnvironment.get_execution_environment()
env.set_parallelism(1)
env.from_collection([1, 2, 3], Types.LONG()).map(lambda x: x + 1, Types.LONG()).print()
env.execute("trivial")
"""
# Linux keeps the peak of getrusage from before exec, so it is asked elsewhere where it can be.
_REPORT = """
import json, resource, sys, time
from pathlib import Path
seconds = time.process_time()
status = Path("/proc/self/status")
if status.exists():
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    size = int(peak.split()[1]) * 1024
else:
    scale = 1 if sys.platform == "darwin" else 1024
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
sys.stderr.write(json.dumps([seconds, size]))
"""


def run_startup(*, quick: bool, repeats: int) -> Iterator[Measurement]:
    """Run each program in processes of its own."""
    repeats = max(repeats, 3 if quick else 9)
    empty_s, _ = _run(_EMPTY, repeats)
    bare = sorted(empty_s)[len(empty_s) // 2]
    imported_s, _ = _run(_IMPORT, repeats)
    yield Measurement(
        "h", "import the environment", "", "ms", [1000 * (s - bare) for s in imported_s],
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
    # As for a user: modules were compiled by the first run at the latest, which does not count.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for turn in range(repeats + 1):
        done = subprocess.run(
            [sys.executable, "-c", program + _REPORT],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        if not turn:
            continue
        cpu_s, size_bytes = json.loads(done.stderr.splitlines()[-1])
        seconds.append(cpu_s)
        sizes.append(size_bytes)
    return seconds, sizes
