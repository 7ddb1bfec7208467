"""Sinks with two phases in jobs without checkpoints: BATCH mode gives every result once."""

from __future__ import annotations

import pytest

from millpond.common import Configuration, Types
from millpond.common.serialization import Encoder
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.file_system import FileSink
from millpond.datastream.functions import KeyedProcessFunction
from millpond.errors import UserCodeError
from millpond.testing.ledger_sink import Ledger, LedgerSink

KEYS = "aaaaaaaaaabbbc"
EXPECTED = sorted(f"{key} {number}" for number, key in enumerate(KEYS * 30))


class FailsLate(KeyedProcessFunction):
    """The first attempt fails where a subtask is nearly done, when others are done for long."""

    def open(self, runtime_context):
        self.left = 100 if runtime_context.get_attempt_number() == 0 else -1

    def process_element(self, value, ctx):
        self.left -= 1
        if not self.left:
            raise OSError("broken")
        yield f"{value[0]} {value[1]}"


def run(sink, backend, parallelism, attempts=2):
    configuration = Configuration()
    for key, value in {
        "execution.runtime-mode": "BATCH",
        "millpond.batch-size": "10",
        "state.backend.type": backend,
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": str(attempts),
        "restart-strategy.fixed-delay.delay": "1 ms",
    }.items():
        configuration.set_string(key, value)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(parallelism)
    record_type = Types.TUPLE([Types.STRING(), Types.LONG()])
    numbered = env.from_collection([(k, n) for n, k in enumerate(KEYS * 30)], record_type)
    keyed = numbered.key_by(lambda pair: pair[0], Types.STRING())
    keyed.process(FailsLate(), Types.STRING()).sink_to(sink)
    env.execute()


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
def test_nothing_is_visible_before_every_task_has_finished(backend):
    ledger = Ledger()
    run(LedgerSink(ledger), backend, 4)
    assert sorted(ledger.committed) == EXPECTED


@pytest.mark.parametrize("step", ["prepare", "prepared", "commit", "committed"])
def test_a_step_that_fails_is_repeated_without_repeating_results(step):
    failures = [step]

    def fail(name, transaction):
        if name in failures:
            failures.remove(name)
            raise OSError("the database is away")

    ledger = Ledger(fail)
    run(LedgerSink(ledger), "hashmap", 2)
    assert not failures
    assert sorted(ledger.committed) == EXPECTED


@pytest.mark.parametrize("step", ["commit", "committed"])
def test_a_commit_that_fails_half_way_again_and_again_repeats_nothing(step):
    """Transactions of some subtasks are committed when that of another fails."""
    failed, passed = [], []

    def fail(name, transaction):
        if name == step:
            passed.append(transaction)
            if len(passed) > 1 and len(failed) < 2:
                failed.append(transaction)
                raise OSError("the database is away")

    ledger = Ledger(fail)
    run(LedgerSink(ledger), "hashmap", 4, attempts=3)
    assert len(failed) == 2
    assert sorted(ledger.committed) == EXPECTED


def test_a_commit_that_never_succeeds_fails_the_job():
    def fail(name, transaction):
        if name == "commit":
            raise OSError("the database is away")

    ledger = Ledger(fail)
    with pytest.raises((OSError, UserCodeError), match="the database is away"):
        run(LedgerSink(ledger), "hashmap", 2)
    assert ledger.committed == []


def test_files_hold_every_result_once(tmp_path):
    run(
        FileSink.for_row_format(str(tmp_path), Encoder.simple_string_encoder()).build(),
        "rocksdb",
        4,
    )
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if path.name.startswith(".")]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    assert sorted(lines) == EXPECTED
