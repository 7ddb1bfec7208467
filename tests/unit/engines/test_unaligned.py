"""Unaligned checkpoints: taken in the middle of a cycle, with records in flight."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from millpond.common import Duration, RestartStrategies, Types, WatermarkStrategy
from millpond.common.configuration import Configuration
from millpond.common.time import Time
from millpond.common.watermark_strategy import TimestampAssigner
from millpond.datastream import FsStateBackend, StreamExecutionEnvironment
from millpond.datastream.engine import Launch, LaunchWith
from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.state import ValueStateDescriptor
from millpond.datastream.window import TumblingEventTimeWindows
from millpond.engines.embedded import EmbeddedEngine
from millpond.errors import ConfigurationError
from millpond.filesystem import get_file_system
from millpond.runtime.job_manager import JobListener
from millpond.state.contract.snapshot import SnapshotKind, SnapshotOptions
from millpond.testing.ledger_sink import Ledger, LedgerSink

JOB = "cd" * 16
COUNT = 400


class Fault:
    """Raised once, after a checkpoint; and whether a cycle waits for one, on a slow disk."""

    armed = False
    after = 0
    seen = 0
    patient = False


class Slow(KeyedProcessFunction):
    """Takes a while for each record, and counts them by key."""

    def open(self, runtime_context):
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))

    def process_element(self, value, ctx):
        time.sleep(0.05 if Fault.patient and Fault.seen % 400 > 50 else 0.0005)
        Fault.seen += 1
        if Fault.armed and Fault.seen > Fault.after:
            Fault.armed = False
            raise RuntimeError("on purpose")
        self.count.update((self.count.value() or 0) + 1)
        # In whatever order the records of a key come, these are the same.
        yield f"{ctx.get_current_key()} record {value[1]}"
        yield f"{ctx.get_current_key()} count {self.count.value()}"


class Stamp(TimestampAssigner):
    def extract_timestamp(self, value, record_timestamp):
        return value[1] * 10


class Watching(JobListener):
    """Notes where the slow function was when a checkpoint completed."""

    def __init__(self):
        self.seen = set()
        self.complete = 0
        self.restarts = 0

    def on_checkpoints(self, coordinator):
        latest = coordinator.store.latest
        if latest is not None and latest.checkpoint_id > self.complete:
            self.complete = latest.checkpoint_id
            self.seen.add(Fault.seen)
            Fault.patient = False

    def on_restart(self, error, attempt, from_checkpoint):
        self.restarts += 1
        self.from_checkpoint = from_checkpoint


def run(tmp_path, *, unaligned, parallelism=1, options=(), act=None, path=None, ledger=None):
    listener = Watching()
    ledger = ledger or Ledger(lambda *_: None)
    engine = EmbeddedEngine(listener=listener, job_id=JOB)
    configuration = Configuration()
    settings = {
        "io.tmp.dirs": str(tmp_path / "temporary"),
        "millpond.batch-size": "200",
        "execution.checkpointing.interval": "10 ms",
        "execution.checkpointing.unaligned.enabled": str(unaligned).lower(),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        **dict(options),
    }
    if path is not None:
        settings["execution.state-recovery.path"] = path
    for key, value in settings.items():
        configuration.set_string(key, value)
    with LaunchWith(Launch(engine)):
        env = StreamExecutionEnvironment.get_execution_environment(configuration)
        env.set_parallelism(parallelism)
        env.set_max_parallelism(16)
        env.set_state_backend(FsStateBackend((tmp_path / "checkpoints").as_uri(), None, 0))
        env.set_restart_strategy(RestartStrategies.fixed_delay_restart(3, 1))
        record = Types.TUPLE([Types.LONG(), Types.LONG()])
        watermarks = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_millis(50))
        numbers = (
            env.from_collection([(n % 7, n) for n in range(COUNT)], record)
            .uid("numbers")
            .assign_timestamps_and_watermarks(watermarks.with_timestamp_assigner(Stamp()))
            .uid("stamped")
        )
        doubled = numbers.flat_map(lambda value: [value, value], record).uid("doubled")
        keyed = doubled.key_by(lambda value: value[0], Types.LONG())
        slow = keyed.process(Slow(), Types.STRING()).uid("slow")
        windows = (
            numbers.rebalance()
            .map(lambda value: value, record)
            .uid("plain")
            .key_by(lambda value: value[0], Types.LONG())
            .window(TumblingEventTimeWindows.of(Time.milliseconds(500)))
            .reduce(lambda a, b: (a[0], a[1] + b[1]))
            .uid("windows")
            .map(lambda value: f"window {value}")
            .uid("shown")
        )
        slow.union(windows).sink_to(LedgerSink(ledger)).uid("ledger")
        program = env._take_program("unaligned")
    with engine._open(program, listener) as opened:
        for step, _ in enumerate(opened.manager.steps()):
            if act is not None:
                act(step, opened.manager)
        return opened.manager.outcome, ledger, listener


@pytest.fixture(autouse=True)
def no_fault():
    Fault.armed, Fault.seen, Fault.after, Fault.patient = False, 0, 0, False
    yield
    Fault.armed = Fault.patient = False


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    Fault.armed = False
    outcome, ledger, _ = run(tmp_path_factory.mktemp("calm"), unaligned=False)
    assert outcome.error is None
    return Counter(ledger.committed)


def unaligned_ones(outcome):
    return [
        each for each in outcome.checkpoints if each.is_unaligned and each.status == "COMPLETED"
    ]


def test_a_checkpoint_completes_during_a_long_cycle(tmp_path, calm):
    Fault.patient = True
    outcome, ledger, listener = run(tmp_path, unaligned=True)
    assert Counter(ledger.committed) == calm
    overtaking = unaligned_ones(outcome)
    assert overtaking
    # A cycle has 400 records here: an aligned one completes between two of these.
    assert any(seen % 400 for seen in listener.seen)
    assert max(each.persisted_in_flight_bytes for each in overtaking) > 1000
    assert all(each.checkpointed_bytes > each.persisted_in_flight_bytes for each in overtaking)


@pytest.mark.parametrize("after", [120, 350, 610])
@pytest.mark.parametrize("parallelism", [1, 2])
def test_a_failure_loses_and_repeats_nothing(tmp_path, calm, after, parallelism):
    Fault.armed, Fault.after = True, after
    outcome, ledger, listener = run(tmp_path, unaligned=True, parallelism=parallelism)
    assert outcome.error is None
    assert listener.restarts == 1
    assert Counter(ledger.committed) == calm


@pytest.mark.parametrize("timeout", ["0 ms", "30 ms"])
@pytest.mark.parametrize(("before", "later"), [(1, 3), (3, 1), (2, 2)])
def test_records_in_flight_are_dealt_to_another_parallelism(tmp_path, calm, before, later, timeout):
    options = {"execution.checkpointing.aligned-checkpoint-timeout": timeout}

    def cancel(step, manager):
        latest = manager.coordinator.store.latest
        if latest is not None and any(
            subtask.operator_raw is not None and subtask.operator_raw.size > 1000
            for operator in latest.metadata.operators
            for subtask in operator.subtasks.values()
        ):
            manager.cancel()

    Fault.patient = True
    first, ledger, _ = run(
        tmp_path, unaligned=True, parallelism=before, act=cancel, options=options
    )
    assert first.status.name == "CANCELED"
    # Aligned until it is that old, unaligned from then on.
    oldest = int(timeout.partition(" ")[0])
    assert all(each.duration_ms >= oldest for each in unaligned_ones(first))
    latest = max(
        (tmp_path / "checkpoints" / JOB).glob("chk-*"), key=lambda path: int(path.name[4:])
    )
    # The same ledger: a later checkpoint than the first one may commit its transactions once more.
    second, _, _ = run(
        tmp_path, unaligned=True, parallelism=later, path=latest.as_uri(), ledger=ledger
    )
    assert second.error is None
    assert Counter(ledger.committed) == calm


def test_a_checkpoint_younger_than_the_timeout_stays_aligned(tmp_path, calm):
    options = {"execution.checkpointing.aligned-checkpoint-timeout": "1 h"}
    outcome, ledger, _ = run(tmp_path, unaligned=True, options=options)
    assert Counter(ledger.committed) == calm
    assert not unaligned_ones(outcome)


@pytest.mark.parametrize(("before", "later"), [(1, 3), (3, 2)])
@pytest.mark.parametrize("unaligned", [False, True])
def test_a_savepoint_of_a_skewed_job_restores_at_another_parallelism(
    tmp_path, calm, unaligned, before, later
):
    # One input of the sink is slow, the other is far ahead of it.
    options = {"millpond.batch-size": "50"}
    stopped = []

    def act(step, manager):
        if step == 1:
            stopped.append(manager.stop((tmp_path / "savepoints").as_uri(), drain=False))

    first, ledger, _ = run(
        tmp_path, unaligned=unaligned, parallelism=before, act=act, options=options
    )
    assert first.error is None
    path = stopped[0].result(0)
    before_restore = len(ledger.committed)
    # The same ledger: the transactions of the savepoint are committed once more.
    second, _, _ = run(tmp_path, unaligned=unaligned, parallelism=later, path=path, ledger=ledger)
    assert second.error is None
    assert len(ledger.committed) > before_restore
    assert Counter(ledger.committed) == calm


def test_at_least_once_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="EXACTLY_ONCE"):
        run(tmp_path, unaligned=True, options={"execution.checkpointing.mode": "AT_LEAST_ONCE"})


def test_a_savepoint_is_aligned(tmp_path):
    taken = []

    def act(step, manager):
        if step == 1:
            target = (tmp_path / "savepoints").as_uri()
            taken.append(manager.savepoint(target, SnapshotOptions(kind=SnapshotKind.SAVEPOINT)))

    run(tmp_path, unaligned=True, act=act)
    states = [
        subtask
        for operator in taken[0].result(1).metadata.operators
        for subtask in operator.subtasks.values()
    ]
    assert states
    assert all(state.operator_raw is None for state in states)
    assert get_file_system(taken[0].result(1).location.directory)
