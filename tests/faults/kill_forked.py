"""Kills a thousand real processes at random moments, each in the middle of a small job.

    python tests/faults/kill_forked.py --runs 1000
    python tests/faults/kill_forked.py --runs 25        # what the test suite does

A run starts a job in a process of its own, kills it with SIGKILL after a random time, once to four
times, lets the last attempt end, and compares what the exactly-once file sink shows with the known
answer. Then every savepoint is verified, and no file may be left that nothing refers to. The
processes are forked from this one, which has imported everything already: that makes a run cheap
enough to do a thousand of them. kill_random.py does the same with whole `millpond run` commands.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from millpond.checkpoint.garbage import delete_garbage, find_garbage
from millpond.checkpoint.listing import list_checkpoints
from millpond.checkpoint.result_marker import RESULT_FILE_NAME
from millpond.checkpoint.verification import verify_checkpoint
from millpond.clock import SystemClock
from millpond.common.configuration import Configuration
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.engine import Launch, LaunchWith
from millpond.engines.embedded import EmbeddedEngine

sys.path.insert(0, str(Path(__file__).parent))

from killed_job import BACKENDS, committed, describe, expected, settings_of

RECORDS = 320
KEYS = 20
JOB_ID = "f04c" * 8
ATTEMPT_SECONDS = 300

# What a job imports when it starts: here once, and not in every process.
PRELOADED = (
    "cloudpickle",
    "millpond.formats.heap_body",
    "millpond.formats.keyed_state",
    "millpond.operators.process",
    "millpond.operators.sink",
    "millpond.state.heap.store",
    "millpond.state.rocksdb.store",
)
KINDS = tuple((backend, savepoints) for savepoints in (False, True) for backend in BACKENDS)


def attempt(directory, backend, savepoints):
    """Run the job, or go on with it, to its end; the body of a process."""
    settings = {
        **settings_of(backend, directory),
        "execution.checkpointing.interval": "10 ms",
        "millpond.batch-size": "8",
    }
    configuration = Configuration()
    for key, value in settings.items():
        configuration.set_string(key, value)
    with LaunchWith(Launch(EmbeddedEngine(job_id=JOB_ID, resume=True))):
        env = StreamExecutionEnvironment.get_execution_environment(configuration)
        describe(env, directory, RECORDS, KEYS)
        if savepoints:
            client = env.execute_async()
            done = client.get_job_execution_result()
            savepoint = None
            while not done.done():
                time.sleep(0.02)
                # One at a time: they go before checkpoints, the last one of the job included.
                if savepoint is None or savepoint.done():
                    savepoint = client.trigger_savepoint()
            done.result()
        else:
            env.execute()


def start(directory, backend, savepoints):
    """Fork a process that runs an attempt; return its id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        log = os.open(directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        attempt(directory, backend, savepoints)
        code = 0
    except BaseException:  # noqa: BLE001 - told in the log
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def end_of(process, seconds):
    """Wait so long; return the exit code, None if it still runs then."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.001)


def play(directory, backend, savepoints, random, seconds):
    """Kill and restart one job until it has ended; return the number of kills."""
    kills = 0
    wanted = random.choice((1, 1, 2, 4))
    while True:
        process = start(directory, backend, savepoints)
        last = kills >= wanted
        code = end_of(process, ATTEMPT_SECONDS if last else random.uniform(0, seconds))
        if code == 0:
            return kills
        if code is not None:
            raise AssertionError(f"An attempt ended with code {code}.\n" + log_of(directory))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        if last:
            raise AssertionError("The last attempt did not end.\n" + log_of(directory))
        kills += 1


def log_of(directory):
    return (directory / "log").read_text()[-4000:]


def check(directory, right):
    """Compare results; verify savepoints; see that nothing is left over. Return what is wrong."""
    answer = committed(directory)
    wrong = {"lost": (right - answer).total(), "repeated": (answer - right).total()}
    for one in list_checkpoints(str(directory / "savepoints")):
        wrong["damaged"] = wrong.get("damaged", 0) + len(verify_checkpoint(one.path).errors)
    root = str(directory / "checkpoints")
    garbage = find_garbage(root, SystemClock(), older_than_ms=0)
    delete_garbage(garbage)
    # The mark of a job that has finished stays: so a later start does not run it again.
    left = [
        path
        for path in (directory / "checkpoints").rglob("*")
        if path.is_file() and path.name != RESULT_FILE_NAME
    ]
    # The last attempt has removed what the killed ones left.
    left += list((directory / "temporary").iterdir())
    for path in left:
        print(f"left over: {path}")
    wrong["left over"] = len(left)
    return Counter({what: count for what, count in wrong.items() if count})


def calm_seconds(backend, savepoints, directory):
    """Measure an attempt that nobody kills."""
    began = time.monotonic()
    code = end_of(start(directory, backend, savepoints), ATTEMPT_SECONDS)
    if code:
        raise AssertionError(f"A calm run failed with code {code}.\n" + log_of(directory))
    return time.monotonic() - began


def workplace():
    """Return a directory in memory where there is one: SIGKILL does not need a disk."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else None


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    right = expected(RECORDS, KEYS)
    for module in PRELOADED:
        importlib.import_module(module)
    gc.freeze()
    rows = {kind: Counter() for kind in KINDS}
    seconds = {}
    began = time.monotonic()
    for number in range(options.runs):
        kind = KINDS[number % len(KINDS)]
        random = Random(f"{options.seed} {number}")
        kills, wrong = 0, Counter()
        while not kills and not wrong:
            # A job that was faster than its kill is compared, but is no run.
            with tempfile.TemporaryDirectory(prefix="kill-forked-", dir=workplace()) as name:
                directory = Path(name)
                for each in ("temporary", "out", "checkpoints"):
                    (directory / each).mkdir()
                if kind not in seconds:
                    seconds[kind] = calm_seconds(*kind, directory)
                    continue
                kills = play(directory, *kind, random, seconds[kind])
                wrong = check(directory, right)
        rows[kind] += Counter({"runs": 1, "kills": kills}) + wrong
        if wrong:
            print(f"run {number} ({kind[0]}): {dict(wrong)}", flush=True)
    print("| Backend | Savepoints in passing | Runs | Kills | Lost | Repeated | Damaged | Left |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for (backend, savepoints), row in rows.items():
        cells = ("runs", "kills", "lost", "repeated", "damaged", "left over")
        told = " | ".join(str(row[cell]) for cell in cells)
        print(f"| {backend} | {'yes' if savepoints else 'no'} | {told} |")
    total = sum(rows.values(), Counter())
    print(f"\n{total['runs']} runs, {total['kills']} kills, {time.monotonic() - began:.0f} s")
    bad = total["lost"] + total["repeated"] + total["damaged"] + total["left over"]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
