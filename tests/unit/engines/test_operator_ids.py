"""State finds its operator: by uid, by the hash of one, or by the place in the program."""

from __future__ import annotations

import threading

import pytest

from millpond.common import Types
from millpond.common.configuration import Configuration
from millpond.datastream import FsStateBackend, RocksDBStateBackend, StreamExecutionEnvironment
from millpond.datastream.functions import KeyedProcessFunction, SourceFunction
from millpond.datastream.state import ValueStateDescriptor
from millpond.errors import SavepointMismatchError
from millpond.state_processor.savepoint import Savepoint

BEGUN = threading.Event()


class Numbers(SourceFunction):
    def run(self, ctx):
        yield from range(1_000_000)


class Count(KeyedProcessFunction):
    seen: list[int]

    def open(self, runtime_context):
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))

    def process_element(self, value, ctx):
        BEGUN.set()
        self.count.update((self.count.value() or 0) + 1)
        if self.count.value() == 1:
            Count.seen.append(value)


@pytest.fixture(params=[FsStateBackend, RocksDBStateBackend])
def run(request, tmp_path):
    """Run the program to a savepoint; return its path, and whether the counts began anew."""

    def run(name_count=lambda stream: stream, savepoint=None, extra=0, lenient=False):
        Count.seen = []
        BEGUN.clear()
        configuration = Configuration()
        configuration.set_string("io.tmp.dirs", str(tmp_path / "temporary"))
        if savepoint is not None:
            configuration.set_string("execution.state-recovery.path", savepoint)
            configuration.set_boolean("execution.state-recovery.ignore-unclaimed-state", lenient)
        env = StreamExecutionEnvironment.get_execution_environment(configuration)
        env.set_parallelism(1)
        env.set_state_backend(request.param((tmp_path / "checkpoints").as_uri()))
        stream = env.add_source(Numbers(), type_info=Types.LONG())
        for _ in range(extra):
            stream = stream.map(abs, Types.LONG())
        counts = stream.key_by(lambda value: value % 3, Types.LONG()).process(Count(), Types.LONG())
        name_count(counts)
        client = env.execute_async()
        wait_for_it(client)
        stopped = client.stop_with_savepoint(False, (tmp_path / "savepoints").as_uri())
        client.get_job_execution_result().result(120)
        return stopped.result(120), Count.seen == [0, 1, 2]

    return run


def wait_for_it(client):
    """Wait until records are processed, or the job is over."""
    while not BEGUN.wait(0.01):
        if client.get_job_status().result(120).is_globally_terminal_state():
            return


def id_of_the_counts(path):
    """Return the id as 32 digits, as `millpond savepoint show` prints it."""
    savepoint = Savepoint.open(path)
    contents = [savepoint.describe(operator) for operator in savepoint.operators]
    (found,) = [one.operator_id for one in contents if any(s.name == "count" for s in one.states)]
    return found


def test_an_unchanged_program_without_uids_finds_its_state(run):
    path, anew = run()
    assert anew
    assert run(savepoint=path)[1] is False


def test_a_changed_program_without_uids_is_refused(run):
    path, _ = run()
    with pytest.raises(SavepointMismatchError, match="does not have"):
        run(savepoint=path, extra=1)


def test_the_uid_hash_finds_what_had_no_uid(run):
    path, _ = run()
    found = id_of_the_counts(path)
    # The source is another one in a longer chain, and begins anew.
    assert run(lambda counts: counts.set_uid_hash(found), path, extra=1, lenient=True)[1] is False
    assert run(savepoint=path, extra=1, lenient=True)[1] is True


def test_the_uid_hash_is_that_of_the_uid(run):
    path, _ = run(lambda counts: counts.uid("count"))
    found = id_of_the_counts(path)
    assert run(lambda counts: counts.set_uid_hash(found), path)[1] is False
    assert run(lambda counts: counts.uid("count"), path)[1] is False
