"""Kills a real job at random moments until it is done, and compares what it committed.

Run it as ``python tests/faults/kill_random.py [--rounds N] [--backend NAME] [--seed S]``. In every
round a fresh job starts with ``millpond run``; again and again either its worker or the whole
process gets SIGKILL after a random time, and the job is started anew under the same job id. The
lines that its exactly-once file sink shows at the end must be those of a calm run.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))

import killed_job
from killed_job import BACKENDS, committed, settings_of

RECORDS = 1500
KEYS = 50


def expected():
    """Return the known answer."""
    return killed_job.expected(RECORDS, KEYS)


def start(directory, backend, log):
    """Start the job, or go on with it."""
    settings = {
        **settings_of(backend, directory),
        "execution.checkpointing.interval": "15 ms",
        "millpond.batch-size": "16",
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": "100",
        "restart-strategy.fixed-delay.delay": "1 ms",
    }
    return subprocess.Popen(
        [
            sys.executable, "-c", "from millpond.cli import main; main()", "run",
            *(part for key, value in settings.items() for part in ("-D", f"{key}={value}")),
            "--job-id", "d1ce" * 8,
            str(Path(killed_job.__file__)), str(directory), str(RECORDS), str(KEYS),
        ],
        stdout=log,
        stderr=log,
    )  # fmt: skip


def worker_of(process_id):
    """Return the process id of a job's worker, None where there is none now."""
    try:
        children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def play_round(directory, backend, random, *, longest_seconds=1.2, most_kills=12):
    """Kill and restart a job until it is done; return how often what was killed."""
    kills = Counter()
    (directory / "temporary").mkdir()
    with (directory / "log").open("a") as log:
        while True:
            process = start(directory, backend, log)
            try:
                if kills.total() < most_kills:
                    kill_at_random(process, random, longest_seconds, kills)
                if process.wait(300) == 0:
                    return kills
            finally:
                process.kill()
                process.wait()
            if process.returncode != -signal.SIGKILL:
                raise RuntimeError((directory / "log").read_text()[-3000:])


def kill_at_random(process, random, longest_seconds, kills):
    """Kill the worker some times, or not, and then the job itself, unless it ends before."""
    while True:
        # Once in a while before the worker is there, else while it works.
        patient = random.random() < 0.9
        while patient and worker_of(process.pid) is None and process.poll() is None:
            time.sleep(0.01)
        deadline = time.monotonic() + random.uniform(0.05, longest_seconds)
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return
            time.sleep(0.005)
        worker = worker_of(process.pid)
        if worker is not None and random.random() < 0.5:
            try:
                os.kill(worker, signal.SIGKILL)
            except ProcessLookupError:
                continue
            kills["worker"] += 1
            continue
        process.kill()
        kills["job"] += 1
        return


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--backend", choices=sorted(BACKENDS), action="append")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    right = expected()
    backends = arguments.backend or sorted(BACKENDS)
    kills = Counter()
    for number in range(arguments.rounds):
        backend = backends[number % len(backends)]
        random = Random(f"{arguments.seed} {number}")
        with tempfile.TemporaryDirectory(prefix="kill-random-") as name:
            directory = Path(name)
            kills += play_round(directory, backend, random)
            answer = committed(directory)
            lost, repeated = (right - answer).total(), (answer - right).total()
        if lost or repeated:
            print(f"round {number} ({backend}): {lost} lost, {repeated} repeated")
            sys.exit(1)
    print(f"{arguments.rounds} rounds, killed {dict(kills)}: nothing lost, nothing repeated")


if __name__ == "__main__":
    main()
