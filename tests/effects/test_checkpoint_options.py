"""When checkpoints are taken, how they fail, what becomes of them, and what a job starts from."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from itertools import pairwise

import pytest

from millpond.clock import ManualClock
from millpond.common.job_status import JobStatus
from millpond.datastream.connectors.collection import CollectionSource
from millpond.errors import CheckpointError, MillpondError
from millpond.operators.batch import Batch
from millpond.runtime.channel import Channel
from millpond.runtime.element import CheckpointBarrier
from millpond.runtime.input_gate import InputGate
from millpond.runtime.settings import RuntimeSettings
from millpond.state.contract.snapshot import SnapshotKind, SnapshotOptions

PREFIX = "execution.checkpointing."


class Late(Executor):
    """Writes each snapshot only when its future was asked for so often whether it is done."""

    def __init__(self, questions):
        self._questions = questions

    def submit(self, fn, /, *args, **kwargs):
        return _LateFuture(lambda: fn(*args, **kwargs), self._questions)


class _LateFuture(Future):
    def __init__(self, function, questions):
        super().__init__()
        self._function, self._questions = function, questions

    def done(self):
        self._questions -= 1
        if self._questions < 0 and self._function is not None:
            function, self._function = self._function, None
            try:
                self.set_result(function())
            except Exception as error:  # noqa: BLE001 - the future's to tell
                self.set_exception(error)
        return super().done()

    def exception(self, timeout=None):
        self._questions = 0
        self.done()
        return super().exception(timeout)


@pytest.mark.option(PREFIX + "interval")
def test_the_interval(make_mill):
    often = make_mill().run({PREFIX + "interval": "10 ms"}).completed
    seldom = make_mill().run({PREFIX + "interval": "100 ms"}).completed
    # Without an interval not even the end of the job brings a checkpoint.
    mill = make_mill()
    assert mill.run({PREFIX + "interval": None}).completed == 0
    assert len(mill.ledger.committed) == 1000
    assert often > 4 * seldom > 4


@pytest.mark.option(PREFIX + "min-pause")
def test_the_minimum_pause(make_mill):
    run = make_mill().run({PREFIX + "min-pause": "60 ms"})
    # The last one ends the job and waits for nothing.
    pauses = [
        following.trigger_ms - before.end_ms for before, following in pairwise(run.statistics[:-1])
    ]
    assert len(pauses) >= 3
    assert min(pauses) >= 60


@pytest.mark.option(PREFIX + "timeout")
def test_the_timeout(make_mill):
    patient = make_mill().run(executor=Late(20))
    assert patient.failed == 0
    assert patient.completed > 1
    with pytest.raises(CheckpointError, match=r"expired before completing.*timeout ms: 10"):
        make_mill().run({PREFIX + "timeout": "10 ms"}, executor=Late(20))


@pytest.mark.option(PREFIX + "max-concurrent-checkpoints")
@pytest.mark.parametrize("most", [1, 3])
def test_the_most_checkpoints_at_once(mill, most):
    run = mill.run({PREFIX + "max-concurrent-checkpoints": str(most)}, executor=Late(40))
    moments = [(entry.trigger_ms, 1) for entry in run.statistics]
    moments += [(entry.end_ms, -1) for entry in run.statistics]
    pending = peak = 0
    for _, change in sorted(moments):
        pending += change
        peak = max(peak, pending)
    assert peak == most


class Failing:
    """A file system on which the first state files cannot be written."""

    def __init__(self, inner, failures):
        self._inner, self._failures = inner, failures

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def create(self, path):
        if "/chk-" in path and self._failures > 0:
            self._failures -= 1
            raise OSError(28, "No space left on device", path)
        return self._inner.create(path)


@pytest.mark.option(PREFIX + "tolerable-failed-checkpoints")
@pytest.mark.parametrize(("tolerated", "survives"), [(0, False), (3, True)])
def test_tolerable_failures(mill, tolerated, survives):
    failing = Failing(mill.files, 2)
    run = mill.run(
        {
            PREFIX + "tolerable-failed-checkpoints": str(tolerated),
            "restart-strategy.type": "none",
        },
        resolve=lambda url: (failing, mill.resolve(url)[1]),
        check=False,
    )
    assert (run.outcome.status is JobStatus.FINISHED) == survives


@pytest.mark.option(PREFIX + "externalized-checkpoint-retention")
@pytest.mark.parametrize(
    ("retention", "kept"),
    [
        ("RETAIN_ON_CANCELLATION", True),
        ("DELETE_ON_CANCELLATION", False),
        ("NO_EXTERNALIZED_CHECKPOINTS", False),
    ],
)
def test_retention(mill, retention, kept):
    run = mill.run(
        {PREFIX + "externalized-checkpoint-retention": retention},
        act=lambda step, manager: manager.cancel() if step == 80 else None,
        check=False,
    )
    assert run.outcome.status is JobStatus.CANCELED
    assert any(path.endswith("_metadata") for path in mill.paths()) == kept


class Reader:
    """A task behind a gate that notes what reaches it."""

    def __init__(self):
        self.seen = []

    def process_batch(self, batch, input_index):
        self.seen += batch.values

    def process_barrier(self, barrier):
        self.seen.append("barrier")


@pytest.mark.option(PREFIX + "mode")
@pytest.mark.parametrize(
    ("mode", "seen"),
    [("EXACTLY_ONCE", [1, 2, "barrier", 3]), ("AT_LEAST_ONCE", [1, 3, 2, "barrier"])],
)
def test_the_mode(mode, seen):
    """The barrier has come on the first channel only: exactly once waits with what follows it."""
    settings = RuntimeSettings.of({PREFIX + "mode": mode})
    barrier = CheckpointBarrier(1, 0, SnapshotOptions(), None)
    first, second = Channel(0), Channel(0)
    first.queue.extend([Batch([1]), barrier, Batch([3])])
    second.queue.extend([Batch([2]), barrier])
    reader = Reader()
    InputGate([first, second], ManualClock(), aligned=settings.exactly_once).drain(reader)
    assert reader.seen == seen


@pytest.mark.option(PREFIX + "snapshot-compression")
def test_snapshot_compression(make_mill):
    def size(compressed):
        run = make_mill().run({PREFIX + "snapshot-compression": compressed})
        return max(entry.checkpointed_bytes for entry in run.statistics)

    assert size("true") < size("false")


def savepoint_of(mill, **options):
    """Take a savepoint in the middle of a job and return its path."""
    savepoints = []

    def act(step, manager):
        if step == 40:
            request = SnapshotOptions(kind=SnapshotKind.SAVEPOINT)
            savepoints.append(manager.savepoint("memory:///savepoints", request))

    mill.run(options, act=act)
    return savepoints[0].result(0).location.directory


@pytest.mark.option("execution.state-recovery.path")
@pytest.mark.parametrize("spelling", ["execution.savepoint.path", "execution.state-recovery.path"])
def test_the_snapshot_to_start_from(mill, spelling):
    path = savepoint_of(mill)
    before = len(mill.ledger.committed)
    mill.run({spelling: path})
    again = mill.ledger.committed[before:]
    # The source goes on where it was, and the counts of the savepoint go on with it.
    assert 0 < len(again) < 1000
    assert max(count for _, count in again) == 143
    assert min(count for _, count in again) > 1


def describe_without_state(env, ledger):
    numbers = env.from_source(CollectionSource([1]), None, "numbers").uid("numbers")
    numbers.map(lambda value: value).uid("other")


@pytest.mark.option("execution.state-recovery.ignore-unclaimed-state")
@pytest.mark.parametrize(
    "spelling",
    [
        "execution.savepoint.ignore-unclaimed-state",
        "execution.state-recovery.ignore-unclaimed-state",
    ],
)
def test_unclaimed_state(mill, spelling):
    options = {"execution.state-recovery.path": savepoint_of(mill)}
    with pytest.raises(MillpondError, match="operator"):
        mill.run(options, describe=describe_without_state)
    mill.run({**options, spelling: "true"}, describe=describe_without_state)


@pytest.mark.option("execution.state-recovery.claim-mode")
@pytest.mark.parametrize(("mode", "left"), [("CLAIM", False), ("NO_CLAIM", True), ("LEGACY", True)])
def test_the_claim_mode(mill, mode, left):
    options = {"execution.state-recovery.path": savepoint_of(mill)}
    mill.run({**options, "execution.state-recovery.claim-mode": mode})
    # A claimed savepoint is the job's own: gone as soon as a newer checkpoint is complete.
    assert (mill.paths("/savepoints") != []) == left
