"""The embedded engine through the public API: results, job client, failures, restarts."""

from __future__ import annotations

import json
import time

import pytest

from millpond.common import RestartStrategies, Types
from millpond.common.job_status import JobStatus
from millpond.common.watermark_strategy import WatermarkStrategy
from millpond.datastream import FsStateBackend, StreamExecutionEnvironment
from millpond.datastream.engine import Launch, LaunchWith
from millpond.datastream.functions import (
    CheckpointedFunction,
    CheckpointListener,
    KeyedProcessFunction,
    MapFunction,
    SourceFunction,
)
from millpond.datastream.state import ListStateDescriptor, ValueStateDescriptor
from millpond.errors import (
    CheckpointError,
    InvalidProgramError,
    JobCancelledError,
    MillpondError,
    SavepointMismatchError,
)
from millpond.runtime.checkpoint_coordinator import CheckpointCoordinator

# What takes longer has come to nothing.
PATIENCE_SECONDS = 120


@pytest.fixture
def make_env(tmp_path):
    def make(parallelism=1, interval_ms=None, **options):
        from millpond.common.configuration import Configuration

        configuration = Configuration()
        configuration.set_string("io.tmp.dirs", str(tmp_path / "temporary"))
        configuration.set_string("millpond.batch-size", "64")
        for key, value in options.items():
            configuration.set_string(key.replace("__", "-").replace("_", "."), value)
        env = StreamExecutionEnvironment.get_execution_environment(configuration)
        env.set_parallelism(parallelism)
        env.set_state_backend(FsStateBackend((tmp_path / "checkpoints").as_uri()))
        if interval_ms is not None:
            env.enable_checkpointing(interval_ms)
        return env

    return make


class Endless(SourceFunction):
    """Counts slowly until it is cancelled."""

    starts = 0
    given = 0

    def run(self, ctx):
        Endless.starts += 1
        number = 0
        while True:
            time.sleep(0.00005)
            Endless.given += 1
            yield number
            number += 1


class Count(KeyedProcessFunction):
    def open(self, runtime_context):
        self.count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))

    def process_element(self, value, ctx):
        self.count.update((self.count.value() or 0) + 1)
        yield (ctx.get_current_key(), self.count.value())


def endless(env):
    numbers = env.add_source(Endless()).uid("numbers")
    counted = numbers.key_by(lambda value: value % 3, Types.LONG()).process(Count()).uid("count")
    counted.map(lambda value: value).uid("end")


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wait_for(client, status):
    wait_until(lambda: client.get_job_status().result() is status)


def test_execute_returns_the_result(make_env):
    env = make_env()
    env.from_collection([1]).map(lambda value: value)
    result = env.execute("a job")
    assert len(str(result.get_job_id())) == 32
    assert result.get_net_runtime() >= 0


def test_an_empty_program_is_refused(make_env):
    with pytest.raises(InvalidProgramError, match="no operators"):
        make_env().execute()


def test_a_limit_ends_an_endless_job(make_env):
    env = make_env(interval_ms=10)
    results = env.add_source(Endless()).execute_and_collect(limit=5)
    assert results == [0, 1, 2, 3, 4]


def test_closing_the_results_ends_the_job(make_env):
    with make_env().add_source(Endless()).execute_and_collect() as results:
        assert next(results) == 0
    with pytest.raises(StopIteration):
        next(results)


def test_cancel(make_env):
    env = make_env()
    endless(env)
    client = env.execute_async()
    wait_for(client, JobStatus.RUNNING)
    client.cancel().result(PATIENCE_SECONDS)
    assert client.get_job_status().result() is JobStatus.CANCELED
    with pytest.raises(JobCancelledError):
        client.get_job_execution_result().result(PATIENCE_SECONDS)


def test_cancel_while_a_restart_waits(make_env):
    env = make_env()
    env.set_restart_strategy(RestartStrategies.fixed_delay_restart(3, 60_000))
    env.from_collection([0]).map(lambda value: 1 // value)
    client = env.execute_async()
    wait_for(client, JobStatus.RESTARTING)
    client.cancel().result(PATIENCE_SECONDS)
    assert client.get_job_status().result() is JobStatus.CANCELED


def test_a_job_that_is_over_answers_every_request(make_env):
    env = make_env()
    env.from_collection([0]).map(lambda value: value)
    client = env.execute_async()
    client.get_job_execution_result().result(PATIENCE_SECONDS)
    with pytest.raises(CheckpointError, match="over"):
        client.trigger_savepoint("anywhere").result(PATIENCE_SECONDS)
    with pytest.raises(CheckpointError, match="over"):
        client.stop_with_savepoint(False, "anywhere").result(PATIENCE_SECONDS)
    client.cancel().result(PATIENCE_SECONDS)
    assert client.get_job_status().result() is JobStatus.FINISHED


def test_savepoints_from_the_client(make_env, tmp_path):
    env = make_env()
    endless(env)
    client = env.execute_async()
    wait_for(client, JobStatus.RUNNING)
    first = client.trigger_savepoint((tmp_path / "one").as_uri()).result(PATIENCE_SECONDS)
    assert client.get_job_status().result() is JobStatus.RUNNING
    # The batch after the next one is read when the next one has been counted.
    given = Endless.given + 2 * 64
    wait_until(lambda: Endless.given > given)
    second = client.stop_with_savepoint(False, (tmp_path / "two").as_uri()).result(PATIENCE_SECONDS)
    client.get_job_execution_result().result(PATIENCE_SECONDS)
    assert client.get_job_status().result() is JobStatus.FINISHED
    totals = []
    for path in (first, second):
        env = make_env(execution_state__recovery_path=path)
        numbers = env.add_source(Endless()).uid("numbers")
        keyed = numbers.key_by(lambda value: value % 3, Types.LONG())
        results = keyed.process(Count()).uid("count").execute_and_collect(limit=3)
        counts = dict(results)
        assert set(counts) == {0, 1, 2}
        assert max(counts.values()) - min(counts.values()) <= 1
        totals.append(sum(counts.values()))
    assert 0 < totals[0] < totals[1]


def test_stop_with_drain_ends_event_time(make_env, tmp_path):
    fired = []

    class Timer(KeyedProcessFunction):
        def process_element(self, value, ctx):
            ctx.timer_service().register_event_time_timer(1 << 50)
            if value == 0:
                (tmp_path / "registered").touch()

        def on_timer(self, timestamp, ctx):
            (tmp_path / "fired").touch()

    for drain in (False, True):
        (tmp_path / "registered").unlink(missing_ok=True)
        env = make_env()
        env.add_source(Endless()).key_by(lambda value: 0).process(Timer())
        client = env.execute_async()
        wait_until((tmp_path / "registered").exists)
        client.stop_with_savepoint(drain, (tmp_path / "savepoints").as_uri()).result(
            PATIENCE_SECONDS
        )
        fired.append((tmp_path / "fired").exists())
    assert fired == [False, True]


def test_a_stop_without_a_place_leaves_the_job_alone(make_env, tmp_path):
    (tmp_path / "file").write_text("no directory")
    env = make_env()
    endless(env)
    client = env.execute_async()
    wait_for(client, JobStatus.RUNNING)
    with pytest.raises(CheckpointError):
        client.stop_with_savepoint(False, str(tmp_path / "file")).result(PATIENCE_SECONDS)
    assert client.get_job_status().result() is JobStatus.RUNNING
    client.stop_with_savepoint(False, (tmp_path / "good").as_uri()).result(PATIENCE_SECONDS)
    client.get_job_execution_result().result(PATIENCE_SECONDS)


def test_a_stop_that_fails_leaves_the_job_usable(make_env, tmp_path, monkeypatch):
    # The place is lost only after the sources have stopped.
    monkeypatch.setattr(CheckpointCoordinator, "check_savepoint_place", lambda *_: None)
    (tmp_path / "file").write_text("no directory")
    env = make_env()
    env.set_restart_strategy(RestartStrategies.fixed_delay_restart(1, 1))
    before = Endless.starts
    endless(env)
    client = env.execute_async()
    wait_for(client, JobStatus.RUNNING)
    wait_until(lambda: Endless.starts > before)
    with pytest.raises(CheckpointError):
        client.stop_with_savepoint(False, str(tmp_path / "file")).result(PATIENCE_SECONDS)
    wait_until(lambda: Endless.starts > before + 1)
    wait_for(client, JobStatus.RUNNING)
    client.stop_with_savepoint(False, (tmp_path / "good").as_uri()).result(PATIENCE_SECONDS)
    client.get_job_execution_result().result(PATIENCE_SECONDS)


# -- failures


class Fussy(KeyedProcessFunction):
    def process_element(self, value, ctx):
        raise ValueError(f"no {value}")


def test_the_users_exception_comes_out_with_operator_and_key(make_env):
    env = make_env(parallelism=2)
    keyed = env.from_collection(["apple"]).key_by(lambda value: value[0])
    keyed.process(Fussy()).name("picky")
    with pytest.raises(ValueError, match="no apple") as caught:
        env.execute()
    (note,) = caught.value.__notes__
    assert "Fussy.process_element" in note
    assert "operator: picky" in note
    assert "key: 'a'" in note
    assert caught.traceback[-1].name == "process_element"


def test_exceptions_of_every_kind_of_user_code_come_out(make_env):
    class Source(SourceFunction):
        def run(self, ctx):
            yield 1
            raise ZeroDivisionError("source")

    class Open(MapFunction):
        def open(self, runtime_context):
            raise ZeroDivisionError("open")

        def map(self, value):
            return value

    def fail(*arguments):
        raise ZeroDivisionError("called")

    for describe in (
        lambda env: env.add_source(Source()),
        lambda env: env.from_collection([1]).map(Open()),
        lambda env: env.from_collection([1]).map(fail),
        lambda env: env.from_collection([1]).filter(fail),
        lambda env: env.from_collection([1]).flat_map(fail),
        lambda env: env.from_collection([1]).flat_map(lambda value: (fail() for _ in "a")),
        lambda env: env.from_collection([1]).key_by(fail).reduce(fail),
        lambda env: env.from_collection([1, 1]).key_by(lambda value: value).reduce(fail),
        lambda env: env.from_collection([1]).partition_custom(fail, lambda v: v).map(abs),
        lambda env: env.from_collection([1]).assign_timestamps_and_watermarks(
            WatermarkStrategy.for_generator(fail)
        ),
    ):
        for parallelism in (1, 3):
            env = make_env(parallelism)
            describe(env)
            with pytest.raises(ZeroDivisionError) as caught:
                env.execute()
            assert "operator: " in caught.value.__notes__[0]


class Remembering(KeyedProcessFunction):
    def open(self, runtime_context):
        self.last = runtime_context.get_state(ValueStateDescriptor("last", Types.INT()))

    def process_element(self, value, ctx):
        self.last.update(value)
        return ()


@pytest.mark.parametrize("key", [[1], ("a", {})], ids=["list", "in a tuple"])
def test_a_key_without_a_hash_is_the_key_selectors_error(make_env, key):
    env = make_env()
    env.from_collection([1]).key_by(lambda value: key).process(Remembering()).name("last")
    with pytest.raises(InvalidProgramError, match="has no hash") as caught:
        env.execute()
    assert caught.value.context["operator"] == "last"
    assert caught.value.context["key"] == repr(key)
    env = make_env()
    env.from_collection([(1, 2)]).key_by(lambda value: key).sum(1).name("sum")
    with pytest.raises(InvalidProgramError, match="has no hash"):
        env.execute()


def test_restarts_end_with_the_users_exception(make_env):
    env = make_env(interval_ms=10)
    env.set_restart_strategy(RestartStrategies.fixed_delay_restart(2, 1))
    env.from_collection([0]).map(lambda value: 1 // value)
    with pytest.raises(ZeroDivisionError):
        env.execute()


def test_results_come_once_although_the_job_restarts(make_env, tmp_path):
    def fail_twice(value):
        marker = tmp_path / f"failed at {value}"
        if value in {400, 900} and not marker.exists():
            marker.touch()
            raise OSError("now and then")
        time.sleep(0.00005)
        return value

    env = make_env(interval_ms=10, millpond_batch__size="16")
    env.set_restart_strategy(RestartStrategies.fixed_delay_restart(2, 1))
    stream = env.from_collection(range(1000)).map(fail_twice)
    with stream.execute_and_collect() as results:
        assert list(results) == list(range(1000))
    assert len(list(tmp_path.glob("failed*"))) == 2


# -- functions that take part in checkpoints


class Life(MapFunction, CheckpointedFunction, CheckpointListener):
    """Writes down the order of calls."""

    def __init__(self, path):
        self.path = path

    def note(self, text):
        with self.path.open("a") as file:
            file.write(text + "\n")

    def initialize_state(self, context):
        store = context.get_operator_state_store()
        self.split = store.get_list_state(ListStateDescriptor("split", Types.LONG()))
        self.union = store.get_union_list_state(ListStateDescriptor("union", Types.LONG()))
        restored = context.is_restored()
        self.note(f"initialize {restored} {sorted(self.split.get())} {sorted(self.union.get())}")
        self.seen = list(self.split.get())
        self.restored = len(self.seen)

    def open(self, runtime_context):
        self.index = runtime_context.get_index_of_this_subtask()
        self.note("open")

    def map(self, value):
        self.seen.append(value)
        if len(self.seen) == self.restored + 7:
            self.path.with_name("busy").touch()
        return value

    def snapshot_state(self, context):
        assert context.get_checkpoint_id() >= 1
        self.split.update(self.seen)
        self.union.update([self.index])
        self.note("snapshot")

    def notify_checkpoint_complete(self, checkpoint_id):
        self.note("complete")

    def close(self):
        self.note("close")


def test_the_life_of_a_checkpointed_function(make_env, tmp_path):
    path = tmp_path / "calls"
    savepoints = (tmp_path / "savepoints").as_uri()

    def run(parallelism, savepoint=None):
        options = {} if savepoint is None else {"execution_state__recovery_path": savepoint}
        env = make_env(parallelism, **options)
        path.write_text("")
        path.with_name("busy").unlink(missing_ok=True)
        source = env.add_source(Endless()).uid("source").set_parallelism(1)
        source.rebalance().map(Life(path)).uid("life")
        client = env.execute_async()
        wait_until(path.with_name("busy").exists)
        stopped = client.stop_with_savepoint(False, savepoints).result(PATIENCE_SECONDS)
        client.get_job_execution_result().result(PATIENCE_SECONDS)
        return stopped, path.read_text().splitlines()

    first, calls = run(1)
    assert calls == ["initialize False [] []", "open", "snapshot", "complete", "close"]
    second, calls = run(3, first)
    starts = [call for call in calls if call.startswith("initialize")]
    assert [call.endswith("] [0]") for call in starts] == [True] * 3
    lists = [call.split(" ", 2)[2].partition("] ")[0] + "]" for call in starts]
    split = sorted(number for each in lists for number in json.loads(each))
    assert split == list(range(len(split)))
    assert len(split) > 3
    _, calls = run(2, second)
    starts = [call for call in calls if call.startswith("initialize")]
    assert [call.endswith("] [0, 1, 2]") for call in starts] == [True] * 2


# -- restoring


def test_state_without_an_operator_is_refused_unless_allowed(make_env, tmp_path):
    env = make_env()
    endless(env)
    client = env.execute_async()
    wait_for(client, JobStatus.RUNNING)
    path = client.stop_with_savepoint(False, (tmp_path / "savepoints").as_uri()).result(
        PATIENCE_SECONDS
    )
    client.get_job_execution_result().result(PATIENCE_SECONDS)
    env = make_env(execution_state__recovery_path=path)
    env.from_collection([1]).map(lambda value: value).uid("other")
    with pytest.raises(SavepointMismatchError, match="does not have"):
        env.execute()
    env = make_env(
        execution_state__recovery_path=path,
        execution_state__recovery_ignore__unclaimed__state="true",
    )
    env.from_collection([1]).map(lambda value: value).uid("other")
    env.execute()


def test_an_unknown_engine_and_unknown_backend_are_named(make_env):
    env = make_env()
    with LaunchWith(Launch("spark")):
        other = StreamExecutionEnvironment.get_execution_environment()
        other.from_collection([1])
        with pytest.raises(MillpondError, match="no engine 'spark'"):
            other.execute()
    env = StreamExecutionEnvironment.get_execution_environment()
    from millpond.common.configuration import Configuration

    configuration = Configuration()
    configuration.set_string("state.backend.type", "rockdb")
    env.configure(configuration)
    env.from_collection([1]).key_by(lambda value: value).sum()
    with pytest.raises(MillpondError, match="rocksdb"):
        env.execute()
