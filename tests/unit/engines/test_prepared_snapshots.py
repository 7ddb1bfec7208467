"""Jobs whose RocksDB state is written ahead of barriers, one piece a cycle."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from millpond.common import RestartStrategies, Types
from millpond.common.configuration import Configuration
from millpond.datastream import RocksDBStateBackend, StreamExecutionEnvironment
from millpond.datastream.engine import Launch, LaunchWith
from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ValueStateDescriptor,
)
from millpond.engines.embedded import EmbeddedEngine
from millpond.errors import MillpondError
from millpond.runtime import snapshot_preparation
from millpond.runtime.job_manager import JobListener
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions
from millpond.state.rocksdb import early_write_back
from millpond.state.rocksdb.backend import RocksDBKeyedStateBackend
from millpond.testing.ledger_sink import Ledger, LedgerSink
from millpond.testing.snapshot_executor import ImmediateExecutor
from millpond.testing.ticking_clock import TickingClock

JOB = "ef" * 16
COUNT = 300


class Watch:
    """What preparations did, and the failure that one of them is to meet."""

    steps = 0
    prepared: frozenset[int] = frozenset()
    fail_at = 0
    fails_function = False


class Count(KeyedProcessFunction):
    """Counts the records of a key in state of each kind."""

    def open(self, runtime_context):
        self.value = runtime_context.get_state(ValueStateDescriptor("value", Types.LONG()))
        self.list = runtime_context.get_list_state(ListStateDescriptor("list", Types.LONG()))
        self.map = runtime_context.get_map_state(
            MapStateDescriptor("map", Types.LONG(), Types.LONG())
        )

    def process_element(self, value, ctx):
        if Watch.fails_function:
            Watch.fails_function = False
            raise RuntimeError("on purpose")
        count = (self.value.value() or 0) + 1
        self.value.update(count)
        self.list.add(count)
        self.map.put(count % 3, count)
        if count % 5 == 0:
            self.list.clear()
        yield (
            value[0],
            (f"{ctx.get_current_key()}: {count} {list(self.list.get())} {dict(self.map.items())}"),
        )


class Again(KeyedProcessFunction):
    def open(self, runtime_context):
        self.value = runtime_context.get_state(ValueStateDescriptor("seen", Types.LONG()))

    def process_element(self, value, ctx):
        count = (self.value.value() or 0) + 1
        self.value.update(count)
        yield f"{count} {value[1]}"


@pytest.fixture(autouse=True)
def one_piece_a_cycle(monkeypatch):
    for name in ("_SHORTEST_SLICE_SECONDS", "_USUAL_SLICE_SECONDS", "_LONGEST_SLICE_SECONDS"):
        monkeypatch.setattr(snapshot_preparation, name, 0.0)
    monkeypatch.setattr(early_write_back, "_FEW", 0)
    monkeypatch.setattr(early_write_back, "_SAMPLE", 1)
    monkeypatch.setattr(early_write_back, "_FIRST_PIECE", 1)
    monkeypatch.setattr(early_write_back, "_LARGEST_PIECE", 2)
    monkeypatch.setattr(early_write_back, "_CHECKPOINTS_LEFT_OUT", 0)
    Watch.steps, Watch.prepared, Watch.fail_at, Watch.fails_function = 0, frozenset(), 0, False
    prepare = RocksDBKeyedStateBackend.prepare_snapshot

    def watched(backend, checkpoint_id, options):
        for step in prepare(backend, checkpoint_id, options):
            Watch.steps += 1
            Watch.prepared |= {checkpoint_id}
            if Watch.steps == Watch.fail_at:
                raise MillpondError("The disk is full.")
            yield step

    monkeypatch.setattr(RocksDBKeyedStateBackend, "prepare_snapshot", watched)


def run(tmp_path, *, parallelism=1, incremental=True, options=(), act=None, ledger=None):
    ledger = ledger or Ledger(lambda *_: None)
    # Checkpoints begin and end after the same work in every run, however fast the machine is.
    engine = EmbeddedEngine(
        clock=TickingClock(), random=Random(1), executor=ImmediateExecutor(), job_id=JOB
    )
    configuration = Configuration()
    settings = {
        "io.tmp.dirs": str(tmp_path / "temporary"),
        "millpond.batch-size": "10",
        "execution.checkpointing.interval": "30 ms",
        **dict(options),
    }
    for key, value in settings.items():
        configuration.set_string(key, value)
    record = Types.TUPLE([Types.LONG(), Types.STRING()])
    with LaunchWith(Launch(engine)):
        env = StreamExecutionEnvironment.get_execution_environment(configuration)
        env.set_parallelism(parallelism)
        env.set_state_backend(RocksDBStateBackend((tmp_path / "checkpoints").as_uri(), incremental))
        env.set_restart_strategy(RestartStrategies.fixed_delay_restart(3, 1))
        (
            env.from_collection([(n * n % 31, str(n)) for n in range(COUNT)], record)
            .uid("numbers")
            .key_by(lambda value: value[0], Types.LONG())
            .process(Count(), record)
            .uid("count")
            .key_by(lambda value: value[0], Types.LONG())
            .process(Again(), Types.STRING())
            .uid("again")
            .sink_to(LedgerSink(ledger))
            .uid("ledger")
        )
        program = env._take_program("prepared")
    with engine._open(program, JobListener()) as opened:
        for step, _ in enumerate(opened.manager.steps()):
            if act is not None:
                act(step, opened.manager)
        return opened.manager.outcome, ledger


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    outcome, ledger = run(
        tmp_path_factory.mktemp("calm"), options={"execution.checkpointing.interval": "1 h"}.items()
    )
    assert outcome.error is None
    return Counter(ledger.committed)


@pytest.mark.parametrize(
    ("parallelism", "incremental", "fails", "options"),
    [
        (1, True, "nothing", {}),
        (1, True, "store", {}),
        (2, False, "function", {}),
        (2, True, "function", {"execution.checkpointing.max-concurrent-checkpoints": "3"}),
        (2, True, "function", {"execution.checkpointing.unaligned.enabled": "true"}),
        (2, True, "nothing", {"execution.checkpointing.mode": "AT_LEAST_ONCE"}),
    ],
    ids=["one", "store", "full", "concurrent", "unaligned", "at least once"],
)
def test_a_job_is_as_without_preparations(tmp_path, calm, parallelism, incremental, options, fails):
    begun = Watch.fail_at = 2 if fails == "store" else 0

    def act(step, manager):
        nonlocal begun
        # In the middle of a preparation.
        if fails == "function" and not begun and Watch.steps > 1:
            begun = Watch.steps
            Watch.fails_function = True

    outcome, ledger = run(
        tmp_path, parallelism=parallelism, incremental=incremental, options=options.items(), act=act
    )
    assert outcome.error is None
    assert outcome.restarts == (fails != "nothing")
    committed = Counter(ledger.committed)
    # Barriers are aligned between cycles, so that even "at least once" is exactly once here.
    assert committed == calm
    completed = [each for each in outcome.checkpoints if each.status == "COMPLETED"]
    assert Watch.prepared & {each.checkpoint_id for each in completed}
    assert max(each.preparation_ms for each in completed) > 0


def test_a_savepoint_and_a_stop_wait_for_their_preparation(tmp_path, calm, monkeypatch):
    monkeypatch.setattr(early_write_back, "_FIRST_PIECE", 8)
    monkeypatch.setattr(early_write_back, "_LARGEST_PIECE", 8)
    savepoints, stopped = [], []
    place = (tmp_path / "savepoints").as_uri()

    def act(step, manager):
        if step == 10:
            wanted = SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat.NATIVE)
            savepoints.append(manager.savepoint(place, wanted))
        if step == 100:
            stopped.append(manager.stop(place, drain=False))

    rarely = {"execution.checkpointing.interval": "1 h", "millpond.batch-size": "1"}
    outcome, ledger = run(tmp_path, options=rarely.items(), act=act)
    assert outcome.error is None
    assert [each.result(0).checkpoint_id for each in savepoints] == [1]
    assert stopped[0].result(0) == outcome.savepoint_path
    assert Watch.prepared
    assert 0 < len(ledger.committed) < COUNT
    goes_on = {"execution.state-recovery.path": outcome.savepoint_path}
    outcome, _ = run(tmp_path, options=goes_on.items(), ledger=ledger)
    assert outcome.error is None
    assert Counter(ledger.committed) == calm


def test_a_job_is_cancelled_in_the_middle_of_a_preparation(tmp_path):
    def act(step, manager):
        if Watch.steps > 5:
            manager.cancel()

    outcome, _ = run(tmp_path, options={"millpond.batch-size": "2"}.items(), act=act)
    assert outcome.status.name == "CANCELED"
    assert not list((tmp_path / "temporary").rglob("*.sst"))


def test_a_checkpoint_is_given_up_in_the_middle_of_its_preparation(tmp_path, calm):
    given_up = []

    def act(step, manager):
        pending = manager.coordinator._pending
        if len(given_up) < 3 and pending and Watch.prepared and max(Watch.prepared) in pending:
            given_up.append(max(Watch.prepared))
            manager.coordinator._expire(pending[given_up[-1]])

    tolerant = {"execution.checkpointing.tolerable-failed-checkpoints": "1000"}
    outcome, ledger = run(tmp_path, options=tolerant.items(), act=act)
    assert outcome.error is None
    assert Counter(ledger.committed) == calm
    failed = {each.checkpoint_id for each in outcome.checkpoints if each.status == "FAILED"}
    assert given_up
    assert set(given_up) <= failed
