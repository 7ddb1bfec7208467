"""Local recovery: a replaced worker restores from copies on this machine, or else from afar."""

from __future__ import annotations

import os

import pytest

from millpond.checkpoint.local_copies import LocalCopies
from millpond.common import RestartStrategies, Types
from millpond.common.configuration import Configuration
from millpond.datastream import FsStateBackend, RocksDBStateBackend, StreamExecutionEnvironment
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.connectors.source import SplitReader
from millpond.datastream.engine import Launch, LaunchWith
from millpond.datastream.functions import CheckpointListener, KeyedProcessFunction
from millpond.datastream.state import ValueStateDescriptor
from millpond.engines.embedded import EmbeddedEngine
from millpond.filesystem.owner import OWNER_FILE_NAME, disown, own
from millpond.runtime.job_manager import JobListener
from millpond.runtime.local_state import claim_local_state
from millpond.testing.ledger_sink import Ledger, LedgerSink

JOB = "ef" * 16
COUNT = 4_000
BACKENDS = {
    "filesystem": (lambda url: FsStateBackend(url, None, 0), "false"),
    "filesystem incremental": (lambda url: FsStateBackend(url, None, 0), "true"),
    "rocksdb incremental": (lambda url: RocksDBStateBackend(url, True), "true"),
}


class Sum(KeyedProcessFunction, CheckpointListener):
    failed = False
    completed = 0

    def notify_checkpoint_complete(self, checkpoint_id):
        Sum.completed = checkpoint_id

    def notify_checkpoint_aborted(self, checkpoint_id):
        pass

    def open(self, runtime_context):
        self.sum = runtime_context.get_state(ValueStateDescriptor("sum", Types.LONG()))

    def process_element(self, value, ctx):
        if Sum.completed >= 3 and not Sum.failed:
            Sum.failed = True
            raise RuntimeError("on purpose")
        self.sum.update((self.sum.value() or 0) + value)
        yield self.sum.value()


class Numbers(CollectionSource):
    """Holds the second half back until there are checkpoints to fail after, however long."""

    def open_split(self, split, position, clock):
        return Reader(super().open_split(split, position, clock))


class Reader(SplitReader):
    def __init__(self, inner):
        self._inner = inner

    def read(self, limit):
        if Sum.completed < 3 and self._inner.position()["index"] >= COUNT // 2:
            return None
        return self._inner.read(limit)

    @property
    def finished(self):
        return self._inner.finished

    def position(self):
        return self._inner.position()


class Between(JobListener):
    def __init__(self, act):
        self.act = act
        self.restored_from = None

    def on_restart(self, error, attempt, from_checkpoint):
        self.restored_from = from_checkpoint
        self.act()


def run(tmp_path, backend, act):
    Sum.failed, Sum.completed = False, 0
    listener = Between(act)
    make, incremental = BACKENDS[backend]
    configuration = Configuration()
    for key, value in {
        "io.tmp.dirs": str(tmp_path / "temporary"),
        "millpond.batch-size": "64",
        "execution.checkpointing.interval": "10 ms",
        "execution.checkpointing.incremental": incremental,
        "state.backend.local-recovery": "true",
        "taskmanager.state.local.root-dirs": str(tmp_path / "local"),
    }.items():
        configuration.set_string(key, value)
    engine = EmbeddedEngine(listener=listener, job_id=JOB)
    with LaunchWith(Launch(engine)):
        env = StreamExecutionEnvironment.get_execution_environment(configuration)
        env.set_restart_strategy(RestartStrategies.fixed_delay_restart(1, 1))
        env.set_state_backend(make((tmp_path / "checkpoints").as_uri()))
        source = Numbers(list(range(COUNT)))
        numbers = env.from_source(source, None, "numbers", Types.LONG())
        sums = numbers.key_by(lambda value: value % 10, Types.LONG()).process(Sum(), Types.LONG())
        ledger = Ledger(lambda *_: None)
        sums.sink_to(LedgerSink(ledger))
        outcome = engine.run(env._take_program("local recovery"))
    assert outcome.error is None
    assert listener.restored_from == 3
    return listener, sorted(ledger.committed)


def expected():
    sums = []
    for key in range(10):
        total = 0
        for value in range(key, COUNT, 10):
            total += value
            sums.append(total)
    return sorted(sums)


def data_files(directory):
    return [
        path
        for path in directory.rglob("*")
        if path.is_file() and not path.name.startswith(("_", ".", OWNER_FILE_NAME))
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_copies_are_used_and_only_the_latest_stay(tmp_path, backend):
    local = tmp_path / "local" / f"jid_{JOB}"
    seen = []

    def act():
        seen.extend(data_files(local))
        # Nothing but the copies can be read now.
        for path in data_files(tmp_path / "checkpoints"):
            path.write_bytes(b"")

    assert run(tmp_path, backend, act)[1] == expected()
    assert seen
    assert not local.exists()


@pytest.mark.parametrize("backend", ["filesystem", "rocksdb incremental"])
def test_damaged_copies_are_not_used(tmp_path, backend, caplog):
    def act():
        for path in data_files(tmp_path / "local"):
            path.write_bytes(b"damaged")

    assert run(tmp_path, backend, act)[1] == expected()
    assert "is damaged; using the checkpoint's file" in caplog.text


def test_no_place_for_copies_fails_nothing(tmp_path, caplog):
    (tmp_path / "local").write_text("a file")
    assert run(tmp_path, "filesystem", lambda: None)[1] == expected()
    assert "Local copies of the checkpoint" in caplog.text


def test_copies_of_dead_processes_are_removed(tmp_path):
    for name in ("dead", "alive", "unknown"):
        directory = tmp_path / "local" / f"jid_{name}"
        directory.mkdir(parents=True)
        (directory / "copy").write_bytes(b"state")
    alive, dead = (tmp_path / "local" / f"jid_{name}" for name in ("alive", "dead"))
    own(alive)
    own(dead)
    disown(dead)
    run(tmp_path, "filesystem", lambda: None)
    left = sorted(path.name for path in (tmp_path / "local").iterdir())
    assert left == ["jid_alive", "jid_unknown"]
    disown(alive)


def test_a_job_that_goes_on_keeps_its_copies(tmp_path):
    directory = tmp_path / f"jid_{JOB}"
    directory.mkdir()
    own(directory)
    disown(directory)
    (directory / "copy").write_bytes(b"state")
    options = {"execution.checkpointing.local-backup.dirs": str(tmp_path)}
    assert claim_local_state(options, JOB) is None
    options["execution.state-recovery.from-local"] = "true"
    assert claim_local_state(options, JOB) == directory
    assert (directory / "copy").read_bytes() == b"state"
    assert (directory / OWNER_FILE_NAME).read_text() == str(os.getpid())
    disown(directory)


def test_what_a_killed_worker_had_not_finished_is_removed(tmp_path):
    copies = LocalCopies(tmp_path)
    unfinished = copies.new_path()
    unfinished.write_bytes(b"half")
    copies.path("whole").write_bytes(b"whole")
    LocalCopies(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]
