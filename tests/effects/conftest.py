"""One test for each option that works: a job behaves otherwise because of it.

A test says by `@pytest.mark.option(key)` whose effect it shows; `test_completeness.py` compares
these keys with the registry. The jobs run in simulation: one thread, a clock that moves by being
looked at, files in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from millpond.common import Types
from millpond.common.configuration import Configuration
from millpond.common.job_status import JobStatus
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.engine import Launch, LaunchWith
from millpond.datastream.functions import KeyedProcessFunction
from millpond.datastream.state import ValueStateDescriptor
from millpond.engines.embedded import EmbeddedEngine
from millpond.filesystem import MemoryFileSystem, get_file_system
from millpond.runtime.checkpoint_statistics import CheckpointStatus
from millpond.runtime.job_listener import JobListener
from millpond.testing.ledger_sink import Ledger, LedgerSink
from millpond.testing.snapshot_executor import ImmediateExecutor
from millpond.testing.ticking_clock import TickingClock

JOB_ID = "0b5e" * 8
ROOT = "memory:///checkpoints"
DEFAULTS = {
    "state.backend.type": "hashmap",
    "millpond.batch-size": "10",
    "execution.checkpointing.interval": "10 ms",
    "execution.checkpointing.dir": ROOT,
    "execution.checkpointing.data-inline-threshold": "0",
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
}


class Counting(KeyedProcessFunction):
    """Counts the records of a key, with a padded value so that state has some size."""

    def open(self, runtime_context):
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))
        self.text = runtime_context.get_state(ValueStateDescriptor("text", Types.STRING()))

    def process_element(self, value, ctx):
        count = (self.count.value() or 0) + 1
        self.count.update(count)
        self.text.update(f"{value:050}")
        yield ctx.get_current_key(), count


def describe_counting(env, ledger, *, records=1000):
    """Count 1,000 numbers by their rest of 7."""
    numbers = env.from_source(CollectionSource(list(range(records))), None, "numbers")
    counted = numbers.uid("numbers").key_by(lambda value: value % 7, Types.LONG())
    counted.process(Counting()).uid("counting").sink_to(LedgerSink(ledger)).uid("ledger")


class Recorder(JobListener):
    """Notes restarts with their times, the statuses, and the coordinator's statistics."""

    def __init__(self, clock):
        self._clock = clock
        self.restarts = []
        self.statuses = []
        self.coordinator = None

    def on_status(self, status):
        self.statuses.append(status)

    def on_restart(self, error, attempt, from_checkpoint):
        self.restarts.append((self._clock.now_ms(), from_checkpoint))

    def on_checkpoints(self, coordinator):
        self.coordinator = coordinator


@dataclass
class Run:
    """What a job left behind."""

    outcome: object
    recorder: Recorder
    program: object

    @property
    def statistics(self):
        coordinator = self.recorder.coordinator
        return [] if coordinator is None else list(coordinator.statistics)

    def count(self, status):
        return sum(entry.status is status for entry in self.statistics)

    @property
    def completed(self):
        return self.count(CheckpointStatus.COMPLETED)

    @property
    def failed(self):
        return self.count(CheckpointStatus.FAILED)


@dataclass
class Mill:
    """Runs jobs that share a file system, a clock, and the ledger they write to."""

    files: MemoryFileSystem = field(default_factory=MemoryFileSystem)
    clock: TickingClock = field(default_factory=TickingClock)
    ledger: Ledger = field(default_factory=Ledger)

    def run(
        self,
        options=None,
        *,
        describe=describe_counting,
        executor=None,
        act=None,
        listener=None,
        resolve=None,
        resume=False,
        prepare=None,
        check=True,
    ):
        """Run a job with the default options and these on top; None takes a default away."""
        recorder = listener or Recorder(self.clock)
        engine = EmbeddedEngine(
            clock=self.clock,
            executor=executor or ImmediateExecutor(),
            listener=recorder,
            job_id=JOB_ID,
            resume=resume,
            resolve=resolve or self.resolve,
        )
        settings = {**DEFAULTS, **(options or {})}
        configuration = Configuration.from_dict(
            {key: value for key, value in settings.items() if value is not None}
        )
        with LaunchWith(Launch(engine)):
            env = StreamExecutionEnvironment.get_execution_environment(configuration)
            if prepare is not None:
                prepare(env)
            describe(env, self.ledger)
            program = env._take_program(None)
        with engine._open(program, recorder) as run:
            for step, _ in enumerate(run.manager.steps()):
                if act is not None:
                    act(step, run.manager)
            outcome = run.manager.outcome
        if check and outcome.status is JobStatus.FAILED:
            raise outcome.error
        return Run(outcome, recorder, program)

    def resolve(self, url):
        """Return the shared file system for URLs of memory, the machine's for others."""
        if url.startswith("memory:"):
            return self.files, url.removeprefix("memory://").rstrip("/") or "/"
        return get_file_system(url)

    def paths(self, below="/"):
        """Return all files below a directory."""
        found = []
        for entry in self.files.list(below) if self.files.entry(below) else ():
            found += self.paths(entry.path) if entry.is_directory else [entry.path]
        return sorted(found)


@pytest.fixture
def mill():
    return Mill()


@pytest.fixture
def make_mill():
    return Mill


@pytest.fixture
def recorder_of():
    return Recorder


@pytest.fixture
def counting():
    return describe_counting
