"""Dies at every durable step of the reference job on every backend, recovers, compares: a table.

Run it as ``python tests/faults/crash_matrix.py [--every N] [--parallelism P ...]``; it prints the
table of docs/reliability.md and exits with 1 when a result was lost or came twice. ``--resumed P``
lets the next process go on at another parallelism, ``--local-recovery`` keeps copies of files.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from millpond.checkpoint.listing import list_checkpoints
from millpond.checkpoint.verification import verify_checkpoint
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions
from millpond.testing.faulty_filesystem import Fault, SimulatedCrash

KINDS = ("process dies", "power fails", "write is torn")


class InPassing:
    """Takes two savepoints while the job goes on."""

    def __init__(self, savepoint_format=SavepointFormat.CANONICAL):
        self.format = savepoint_format

    def __call__(self, step, manager):
        if step in {5, 11}:
            options = SnapshotOptions(kind=SnapshotKind.SAVEPOINT, format=self.format)
            manager.savepoint(None, options)


class Stop(InPassing):
    """Stops the job with a savepoint, half way."""

    def __call__(self, step, manager):
        if step == 10:
            manager.stop(None, drain=False, savepoint_format=self.format)


class Cancel(InPassing):
    """Cancels the job with a savepoint, half way."""

    def __call__(self, step, manager):
        if step == 10:
            manager.cancel_with_savepoint(None, self.format)


# What is under way beside periodic checkpoints when the process dies.
ACTS = {
    "no": None,
    "in passing": InPassing(),
    "ends the job": Stop(),
    "cancels the job": Cancel(),
    "native, in passing": InPassing(SavepointFormat.NATIVE),
    "native, ends the job": Stop(SavepointFormat.NATIVE),
    "native, cancels the job": Cancel(SavepointFormat.NATIVE),
}
ENDING = (Stop, Cancel)


@dataclass
class Row:
    """One line of the table."""

    backend: str
    savepoints: str
    parallelism: int
    kind: str
    steps: int = 0
    crashes: int = 0
    lost: int = 0
    repeated: int = 0


def load_reference_job():
    """Import the reference job, which lives where pytest looks for it."""
    path = Path(__file__).with_name("conftest.py")
    specification = importlib.util.spec_from_file_location("faults_reference_job", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def calm_answer(job):
    world = job.World()
    job.finished(world.run("memory", options={"execution.checkpointing.interval": "10 h"}))
    return world.answer


def steps_of(job, backend, **options):
    """Return the names of the durable steps up to the last commit, or to the end of a stopped job.

    A job that is killed after its last commit starts anew: it has finished. A stopped or cancelled
    one goes on from its savepoint, whatever was done of its end.
    """
    world = job.World()
    outcome = world.run(backend, **options)
    names = [operation.name for operation in world.files.operations]
    if isinstance(options["act"], Cancel):
        assert outcome.status.name == "CANCELED"
        return names
    job.finished(outcome)
    if isinstance(options["act"], Stop):
        return names
    return names[: len(names) - names[::-1].index("committed")]


def crash_once(job, backend, kind, number, options, resumed=None):
    """Die at a step and recover in a new process; return the answer, None without a crash.

    The new process has the parallelism `resumed`, if that is given.
    """
    world = job.World()
    if kind == "write is torn":
        fault = Fault("write", skip=number, keep_bytes=number % 50, crash=True)
        world.files.inject(fault)
    else:
        world.files.crash_at(number)
    try:
        world.run(backend, **options)
    except SimulatedCrash:
        pass
    else:
        return None
    if kind == "power fails":
        luck = Random(number)
        world.files.power_loss(lambda: luck.random() < 0.5)
    later = {**options, "act": None, "parallelism": resumed or options["parallelism"]}
    savepoint = None
    if isinstance(options["act"], ENDING):
        # What its caller does who was told, or finds it: used where no checkpoint is left.
        clean = world.reborn().files.resolve
        found = list_checkpoints(job.SAVEPOINTS, resolve=clean)
        savepoint = found[0].path if found else None
    job.finished(world.reborn().run(backend, resume=True, savepoint=savepoint, **later))
    for one in list_checkpoints(job.SAVEPOINTS, resolve=world.reborn().files.resolve):
        errors = verify_checkpoint(one.path, resolve=world.files.resolve).errors
        if errors:
            raise errors[0]
    return world.answer


def fill(job, calm, row, every, resumed, settings):
    """Crash at every step of a row's kind, or every so manieth."""
    options = {
        "seed": row.parallelism,
        "parallelism": row.parallelism,
        "act": ACTS[row.savepoints],
        "options": settings,
    }
    names = steps_of(job, row.backend, **options)
    row.steps = names.count("write") if row.kind == "write is torn" else len(names)
    for number in range(every // 2, row.steps, every):
        answer = crash_once(job, row.backend, row.kind, number, options, resumed)
        if answer is not None:
            row.crashes += 1
            row.lost += (calm - answer).total()
            row.repeated += (answer - calm).total()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1, help="one step in so many")
    parser.add_argument("--backend", nargs="+", help="only these")
    parser.add_argument("--savepoints", nargs="+", choices=ACTS, default=ACTS)
    parser.add_argument("--parallelism", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--resumed", type=int, help="parallelism after the crash, if another")
    parser.add_argument("--local-recovery", action="store_true")
    arguments = parser.parse_args()
    settings = {"execution.state-recovery.from-local": str(arguments.local_recovery).lower()}
    logging.getLogger("millpond").setLevel(logging.ERROR)
    job = load_reference_job()
    calm = calm_answer(job)
    started = time.monotonic()
    rows = [
        Row(backend, savepoints, parallelism, kind)
        for backend in arguments.backend or job.BACKENDS
        for savepoints in arguments.savepoints
        for parallelism in arguments.parallelism
        for kind in KINDS
    ]
    head = ("Backend", "Savepoint", "Parallelism", "What happens", "Steps", "Crashes")
    print("|", " | ".join((*head, "Lost", "Repeated")), "|")
    print("|---|---|---:|---|---:|---:|---:|---:|")
    for row in rows:
        fill(job, calm, row, arguments.every, arguments.resumed, settings)
        went_on = f"{row.parallelism} → {arguments.resumed or row.parallelism}"
        cells = (row.backend, row.savepoints, went_on, row.kind, row.steps)
        cells = (*cells, row.crashes, row.lost, row.repeated)
        print("|", " | ".join(map(str, cells)), "|", flush=True)
    crashes = sum(row.crashes for row in rows)
    print(f"\n{crashes} crashes, {calm.total()} results each, {time.monotonic() - started:.0f} s")
    sys.exit(any(row.lost or row.repeated for row in rows))


if __name__ == "__main__":
    main()
