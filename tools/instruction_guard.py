"""Guards the engine's speed by counting instructions, which other work on the machine leaves alone.

Each job runs twice under valgrind, with few and with more events; the difference is what an event
costs, without the start. There are no checkpoints, whose number depends on how busy the machine is.
The same is done for the same work in a plain Python loop. What is compared with the committed
limits is the ratio of the two, so that another processor or another build of Python matters
little. Needs valgrind; takes minutes; no part of the tests.

    python tools/instruction_guard.py            # compare, exit 1 where a limit is exceeded
    python tools/instruction_guard.py --update   # write the measured ratios, plus 10 %, as limits
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMITS = ROOT / "tools" / "instruction_limits.json"
EVENTS = (10_000, 50_000)
KEYS = 2_000
HEADROOM = 1.1
JOB = """
import dataclasses
from benchmarks.jobs import JOBS, run_job
job = next(job for job in JOBS if job.name == {name!r})
run_job(dataclasses.replace(job, keys={keys}), "heap", {events}, "1 h")
"""
LOOP = """
from benchmarks.plain_loops import PLAIN_LOOPS
PLAIN_LOOPS[{group!r}]({events}, {keys})
"""
JOBS = {
    "keyed sum, generator function": "a",
    "keyed sum, reduce": "b",
    "keyed sum, built-in": "b",
    "tumbling 1 s, aggregate": "c",
    "tumbling 1 s, built-in": "c",
}


def main() -> int:
    """Measure, then compare or update."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write new limits")
    update = parser.parse_args().update
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is needed, for example: apt-get install valgrind")
    limits = {} if update else json.loads(LIMITS.read_text(encoding="utf-8"))
    loops = {group: _per_event(LOOP, group=group) for group in sorted(set(JOBS.values()))}
    measured: dict[str, float] = {}
    slower = 0
    for name, group in JOBS.items():
        cost = _per_event(JOB, name=name)
        ratio = measured[name] = cost / loops[group]
        limit = limits.get(name)
        line = f"{name}: {cost:,.0f} instructions an event, {ratio:.2f} of a plain loop's"
        if limit is not None:
            line += f", at most {limit:.2f}"
            slower += ratio > limit
        print(line, flush=True)
    if update:
        content = {name: round(ratio * HEADROOM, 2) for name, ratio in measured.items()}
        LIMITS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 1 if slower else 0


def _per_event(program: str, **fields: str) -> float:
    # The first run of all compiles the modules; it is not counted.
    _run([], program.format(**fields, keys=KEYS, events=100))
    few, more = (
        _instructions(program.format(**fields, keys=KEYS, events=events)) for events in EVENTS
    )
    return (more - few) / (EVENTS[1] - EVENTS[0])


def _instructions(program: str) -> int:
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    report = _run(command, program)
    found = re.search(r"I\s+refs:\s+([\d,]+)", report)
    if found is None:
        sys.exit(f"valgrind failed:\n{report[-2000:]}")
    return int(found[1].replace(",", ""))


def _run(under: list[str], program: str) -> str:
    """Run a program and return what it wrote to standard error."""
    done = subprocess.run(
        [*under, sys.executable, "-c", program],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"a measured program failed:\n{done.stderr[-2000:]}")
    return done.stderr


def _environment() -> dict[str, str]:
    # Bytecode is kept: compiling all modules under valgrind would take most of the time.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONHASHSEED": "0"}


if __name__ == "__main__":
    sys.exit(main())
