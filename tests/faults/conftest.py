"""A job with a known answer, run in simulation: no threads, no real time, faults at will."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest

from millpond.common import Duration, Time, Types
from millpond.common.configuration import Configuration
from millpond.common.job_status import JobStatus
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import (
    FsStateBackend,
    MemoryStateBackend,
    OutputTag,
    RocksDBStateBackend,
    StreamExecutionEnvironment,
)
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.engine import Launch, LaunchWith
from millpond.datastream.functions import (
    AggregateFunction,
    CheckpointedFunction,
    KeyedProcessFunction,
    ProcessFunction,
    ProcessWindowFunction,
)
from millpond.datastream.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ValueStateDescriptor,
)
from millpond.datastream.window import TumblingEventTimeWindows
from millpond.engines.embedded import EmbeddedEngine
from millpond.filesystem import MemoryFileSystem, owner
from millpond.runtime.job_listener import JobListener
from millpond.state.rocksdb import database
from millpond.testing.faulty_filesystem import FaultyFileSystem, SimulatedCrash
from millpond.testing.ledger_sink import Ledger, LedgerSink
from millpond.testing.snapshot_executor import DelayedExecutor, ImmediateExecutor
from millpond.testing.ticking_clock import TickingClock

JOB_ID = "5ad0" * 8
ROOT = "memory:///checkpoints"
SAVEPOINTS = "memory:///savepoints"
ODD = OutputTag("odd", Types.STRING())
LATE = OutputTag("late", Types.PICKLED_BYTE_ARRAY())

# Beyond the watermark's delay, so that some records are late.
RECORDS = 360
DELAY_MS = 40

# RocksDB's working files need not survive anything: in memory where the system allows it.
_SHARED_MEMORY = Path("/dev/shm")
_LOCAL = {"io.tmp.dirs": str(_SHARED_MEMORY)} if os.access(_SHARED_MEMORY, os.W_OK) else {}


def make_records(seed=11):
    random = Random(seed)
    return [
        (random.choice("abcdefg"), number, 1000 + number * 5 - random.randrange(0, 160))
        for number in range(RECORDS)
    ]


class Trouble:
    """Raises in user code when it was passed so often; once."""

    armed: ClassVar[dict[str, int]] = {}
    raised = 0

    @classmethod
    def arm(cls, **places):
        cls.armed = dict(places)
        cls.raised = 0

    @classmethod
    def passed(cls, place):
        left = cls.armed.get(place)
        if left is None:
            return
        if left == 0:
            del cls.armed[place]
            cls.raised += 1
            raise RuntimeError(f"trouble in {place}")
        cls.armed[place] = left - 1


class Numbering(ProcessFunction, CheckpointedFunction):
    """Counts records in a union list; the number must go on without a gap."""

    def initialize_state(self, context):
        store = context.get_operator_state_store()
        self.total = store.get_union_list_state(ListStateDescriptor("total", Types.LONG()))
        self.number = sum(self.total.get())
        self.registered = context.is_restored()

    def open(self, runtime_context):
        # One subtask reads the only split; the others must not count what it restored.
        if runtime_context.get_index_of_this_subtask() != 0:
            self.number = 0

    def snapshot_state(self, context):
        Trouble.passed("snapshot")
        self.total.update([self.number])

    def process_element(self, value, ctx):
        self.number += 1
        Trouble.passed("element")
        yield (*value, self.number)


class Tracking(KeyedProcessFunction):
    """Value, list and map state, event timers and a side output."""

    def open(self, runtime_context):
        self.sum = runtime_context.get_state(ValueStateDescriptor("sum", Types.LONG()))
        self.last = runtime_context.get_list_state(ListStateDescriptor("last", Types.LONG()))
        self.parity = runtime_context.get_map_state(
            MapStateDescriptor("parity", Types.STRING(), Types.LONG())
        )

    def process_element(self, value, ctx):
        key, number, timestamp, position = value
        total = (self.sum.value() or 0) + number
        self.sum.update(total)
        self.last.add(number)
        kept = list(self.last.get())[-3:]
        self.last.update(kept)
        parity = "odd" if number % 2 else "even"
        self.parity.put(parity, (self.parity.get(parity) or 0) + 1)
        ctx.timer_service().register_event_time_timer(timestamp - timestamp % 70 + 170)
        if number % 7 == 0:
            yield ODD, f"odd {key} {number} {position}"
        yield f"record {key} {number} {total} {kept} {position}"

    def on_timer(self, timestamp, ctx):
        Trouble.passed("timer")
        parities = sorted(self.parity.items())
        yield f"timer {ctx.get_current_key()} {timestamp} {self.sum.value()} {parities}"
        if timestamp % 3 == 0:
            self.parity.clear()
            self.last.clear()


class Total(AggregateFunction):
    def create_accumulator(self):
        return 0

    def add(self, value, accumulator):
        return accumulator + value[1]

    def get_result(self, accumulator):
        return accumulator

    def merge(self, acc_a, acc_b):
        return acc_a + acc_b


class Named(ProcessWindowFunction):
    def process(self, key, context, elements):
        Trouble.passed("window")
        yield f"window {key} {context.window().start} {list(elements)}"


def describe_job(env, ledger):
    """The reference job: the same answer at any parallelism, on any backend, after any fault."""
    records = make_records()
    source = CollectionSource(records, [timestamp for _, _, timestamp in records])
    strategy = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_millis(DELAY_MS))
    stream = env.from_source(source, strategy, "numbers").uid("numbers")
    counted = stream.process(Numbering()).uid("numbering")
    keyed = counted.key_by(lambda value: value[0], Types.STRING())
    tracked = keyed.process(Tracking(), Types.STRING()).uid("tracking")
    windows = (
        keyed.window(TumblingEventTimeWindows.of(Time.milliseconds(100)))
        .side_output_late_data(LATE)
        .aggregate(Total(), Named(), Types.LONG(), Types.STRING())
        .uid("windows")
    )
    late = windows.get_side_output(LATE).map(lambda value: f"late {value}").uid("late")
    rolling = keyed.reduce(lambda a, b: (a[0], a[1] + b[1], b[2], b[3])).uid("rolling")
    shown = rolling.map(lambda value: f"rolling {value}").uid("shown")
    everything = tracked.union(tracked.get_side_output(ODD), windows, late, shown)
    everything.sink_to(LedgerSink(ledger)).uid("ledger")


BACKENDS = {
    "memory": MemoryStateBackend,
    "filesystem": lambda root: FsStateBackend(root, None, 0),
    "filesystem incremental": lambda root: FsStateBackend(root, None, 0),
    "rocksdb full": lambda root: RocksDBStateBackend(root, False),
    "rocksdb incremental": lambda root: RocksDBStateBackend(root, True),
}


@dataclass
class World:
    """What outlives a process: the file system of the checkpoints and the sink's ledger."""

    memory: MemoryFileSystem = field(default_factory=MemoryFileSystem)

    def __post_init__(self):
        self.files = FaultyFileSystem(self.memory, TickingClock())
        self.ledger = Ledger(self.step)

    def step(self, name, transaction):
        """Count a step of the ledger as one of the file system of the present process."""
        self.files.step(name, transaction)

    def reborn(self):
        """The process died and another one starts: the same disk and sink, no faults."""
        self.files = FaultyFileSystem(self.memory, TickingClock())
        return self

    def run(
        self,
        backend,
        *,
        parallelism=1,
        seed=None,
        resume=False,
        savepoint=None,
        options=(),
        act=None,
        describe=describe_job,
        job_id=JOB_ID,
        root=ROOT,
    ):
        """Run the job on an engine of its own; `act(step, manager)` is called between steps.

        An option that is None is not set.
        """
        random = Random(seed)
        executor = ImmediateExecutor() if seed is None else DelayedExecutor(random)
        engine = EmbeddedEngine(
            clock=TickingClock(),
            random=random,
            executor=executor,
            job_id=job_id,
            resume=resume,
            resolve=self.files.resolve,
        )
        settings = {
            "millpond.batch-size": "12",
            "execution.checkpointing.interval": "10 ms",
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            "execution.checkpointing.data-inline-threshold": "0",
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": "5",
            "restart-strategy.fixed-delay.delay": "1 ms",
            "execution.checkpointing.savepoint-dir": SAVEPOINTS,
            "execution.checkpointing.incremental": str(backend.endswith("incremental")).lower(),
            **_LOCAL,
            **dict(options),
        }
        if savepoint is not None:
            settings["execution.state-recovery.path"] = savepoint
        configuration = Configuration()
        for key, value in settings.items():
            if value is not None:
                configuration.set_string(key, value)
        with LaunchWith(Launch(engine)):
            env = StreamExecutionEnvironment.get_execution_environment(configuration)
            env.set_parallelism(parallelism)
            env.set_max_parallelism(16)
            env.set_state_backend(BACKENDS[backend](root))
            describe(env, self.ledger)
            program = env._take_program("reference")
        with process(), engine._open(program, JobListener()) as run:
            for step, _ in enumerate(run.manager.steps()):
                if act is not None:
                    act(step, run.manager)
            return run.manager.outcome

    @property
    def answer(self):
        """All committed results, as a multiset."""
        return Counter(self.ledger.committed)


@contextmanager
def process():
    """Take from a process that dies what the system takes: open databases and locks.

    The next one would find them in use, and hundreds of crashes would run out of open files.
    """
    databases, directories = set(database._open_databases), set(owner._held)
    try:
        yield
    except SimulatedCrash:
        for one in set(database._open_databases) - databases:
            one.close()
        for directory in set(owner._held) - directories:
            owner.disown(Path(directory))
        raise


def finished(outcome):
    if outcome.status is not JobStatus.FINISHED:
        raise outcome.error
    return outcome


@pytest.fixture(autouse=True)
def no_trouble():
    Trouble.arm()
    yield
    Trouble.arm()


@pytest.fixture
def trouble():
    return Trouble


@pytest.fixture
def world():
    return World


@pytest.fixture(scope="session")
def calm():
    """The answer of a run without faults and without checkpoints, on the heap."""
    world = World()
    finished(world.run("memory", options={"execution.checkpointing.interval": "10 h"}))
    answer = world.answer
    kinds = Counter(line.split()[0] for line in answer.elements())
    assert set(kinds) == {"record", "odd", "timer", "window", "late", "rolling"}
    assert kinds["late"] > 10
    assert kinds["record"] == kinds["rolling"] == RECORDS
    assert len(answer) == sum(answer.values())
    return answer


@pytest.fixture
def crash():
    return SimulatedCrash


@pytest.fixture(name="finished")
def finished_fixture():
    return finished
