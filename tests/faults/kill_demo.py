"""Kill `millpond demo` at random moments, resume it, and see that the answer never changes.

    python tests/faults/kill_demo.py --rounds 20
    python tests/faults/kill_demo.py --rounds 3 --sample 20     # short: a twentieth of the aircraft

One run without a kill gives the digest to compare with. Then the same command is started again and
again in one directory and killed with SIGKILL after a random time, mostly the whole process group
and sometimes only the job manager, whose worker must notice. A run that was faster than its kill is
compared and started over. The last run is left alone.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

from millpond.demo.flight_source import find_flights_file

DIGEST = re.compile(r"^Digest of all [\d,]+ results: ([0-9a-f]{64})$", re.MULTILINE)
LIMIT_SECONDS = 600


class WrongAnswerError(Exception):
    """A run failed, or gave another digest."""


class Demo:
    """The command, with the options that all runs share."""

    def __init__(self, options, data, directory):
        self.command = [
            sys.executable,
            "-c",
            "from millpond.cli import main; main()",
            "demo",
            "--no-crash",
            *("--backend", options.backend),
            *("--parallelism", str(options.parallelism)),
            *("--lateness", str(options.lateness)),
            *("--data", str(data)),
            *("--directory", str(directory)),
        ]

    def start(self, *more):
        return subprocess.Popen(
            [*self.command, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def digest_of(process):
    """Wait for the end of a run and return the digest it printed."""
    output, _ = process.communicate(timeout=LIMIT_SECONDS)
    found = DIGEST.search(output)
    if process.returncode != 0 or found is None:
        raise WrongAnswerError(f"A run ended with code {process.returncode}:\n{output}")
    return found[1]


def kill(process, generator):
    """Kill the job manager, and the worker too unless chance leaves it alone with its grief."""
    if generator.random() < 0.25:
        process.kill()
        what = "job manager"
    else:
        os.killpg(process.pid, signal.SIGKILL)
        what = "all processes"
    process.wait()
    process.stdout.close()
    return what


def sample(source, target, share):
    """Write the flights of one aircraft in `share` to a file of their own."""
    with zipfile.ZipFile(source) as archive:
        header, *lines = archive.read(archive.namelist()[0]).splitlines(keepends=True)
    column = header.split(b",").index(b"tailnum")
    kept = [line for line in lines if zlib.crc32(line.split(b",")[column]) % share == 0]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flights.csv", header + b"".join(kept))
    return target


def torture(options, work):
    generator = random.Random(options.seed)
    data = options.data or find_flights_file()
    if options.sample > 1:
        data = sample(data, work / "flights.csv.zip", options.sample)
    began = time.monotonic()
    expected = digest_of(Demo(options, data, work / "calm").start())
    seconds = time.monotonic() - began
    print(f"A run takes {seconds:.1f} s; its digest is {expected}", flush=True)
    demo = Demo(options, data, work / "killed")
    kills = 0
    more = ()
    while kills < options.rounds:
        process = demo.start(*more)
        more = ()
        delay = generator.uniform(0.1, seconds * options.reach)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            kills += 1
            what = kill(process, generator)
            print(f"{kills:3}  killed {what} after {delay:.2f} s", flush=True)
            continue
        compare(digest_of(process), expected)
        print("     a run was faster than its kill: equal", flush=True)
        more = ("--fresh",)
    compare(digest_of(demo.start(*more)), expected)
    print(f"Killed {kills} times, and the digest is equal.")


def compare(found, expected):
    if found != expected:
        raise WrongAnswerError(f"The digest is {found} where it should be {expected}.")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="kills")
    parser.add_argument("--backend", default="rocksdb")
    parser.add_argument("--parallelism", type=int, default=1)
    parser.add_argument("--lateness", type=float, default=24.0, help="hours")
    parser.add_argument("--sample", type=int, default=1, help="keep one aircraft in so many")
    parser.add_argument("--reach", type=float, default=0.7, help="latest kill, in runs")
    parser.add_argument("--data", type=Path, help="another flights.csv.zip")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4), "big")
    print(f"Seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="kill-demo-") as work:
        try:
            torture(options, Path(work))
        except WrongAnswerError as error:
            print(f"FAILED with seed {options.seed}: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
