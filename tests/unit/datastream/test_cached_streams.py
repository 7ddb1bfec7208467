"""Cached streams: computed once, kept by the job that finishes, read by later ones."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from millpond.clock import ManualClock
from millpond.common import Configuration, Row, Types
from millpond.common.restart_strategy import RestartStrategies
from millpond.common.watermark_strategy import TimestampAssigner, WatermarkStrategy
from millpond.datastream import (
    CachedDataStream,
    CoMapFunction,
    MapFunction,
    OutputTag,
    ProcessFunction,
    RuntimeContext,
    RuntimeExecutionMode,
    StreamExecutionEnvironment,
)
from millpond.datastream.connectors.cache import CacheSink, CacheSource
from millpond.datastream.connectors.sink import SinkWriterContext
from millpond.datastream.engine import Launch, LaunchWith
from millpond.engines.supervised import SupervisedEngine
from millpond.errors import (
    ConnectorError,
    DataFileError,
    InvalidProgramError,
    SerializationError,
    UnsupportedOperationError,
)

_DONE = WatermarkStrategy.no_watermarks()


class Double(MapFunction):
    """Doubles, and leaves a byte in a file for every record; fails at `fail_at`, once or always."""

    def __init__(self, log, fail_at=None, *, once=False):
        self._log = log
        self._fail_at = fail_at
        self._once = once

    def map(self, value):
        with self._log.open("ab") as log:
            log.write(b".")
        failed = self._log.with_suffix(".failed")
        if value == self._fail_at and not (self._once and failed.exists()):
            failed.touch()
            raise RuntimeError("no more")
        return value * 2


class Both(CoMapFunction):
    """Hands on both inputs."""

    def map1(self, value):
        return value

    map2 = map1


class Timestamped(ProcessFunction):
    """Shows each record with its time and subtask."""

    def open(self, runtime_context: RuntimeContext):
        self._subtask = runtime_context.get_index_of_this_subtask()

    def process_element(self, value, ctx):
        yield value, ctx.timestamp(), self._subtask


class Tens(TimestampAssigner):
    """Ten times the record."""

    def extract_timestamp(self, value, record_timestamp):
        return value * 10


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    path.touch()
    return path


@pytest.fixture
def room(tmp_path):
    path = tmp_path / "room"
    path.mkdir()
    return path


def _environment(room, mode=RuntimeExecutionMode.BATCH, **options):
    configuration = Configuration.from_dict({"io.tmp.dirs": str(room), **options})
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    return env.set_runtime_mode(mode)


def _doubled(env, log, **arguments):
    stream = env.from_collection([1, 2, 3], Types.INT())
    return stream.map(Double(log, **arguments), Types.INT())


def _records(stream):
    with stream.execute_and_collect() as results:
        return sorted(results)


def _calls(log):
    return len(log.read_bytes())


def test_later_jobs_read_what_the_first_one_kept(room, log):
    env = _environment(room)
    cached = _doubled(env, log).cache()
    assert isinstance(cached, CachedDataStream)
    assert _records(cached) == [2, 4, 6]
    assert _records(cached) == [2, 4, 6]
    assert _records(cached.map(lambda value: value + 1)) == [3, 5, 7]
    assert cached.get_type() == Types.INT()
    assert cached.cache() is cached
    assert _calls(log) == 3


def test_a_job_that_does_not_read_the_cached_stream_fills_it_too(room, log):
    env = _environment(room)
    doubled = _doubled(env, log)
    cached = doubled.cache()
    assert _records(doubled) == [2, 4, 6]
    assert _records(cached) == [2, 4, 6]
    assert _calls(log) == 3
    # Not through the cache, as in Flink.
    assert _records(doubled) == [2, 4, 6]
    assert _calls(log) == 6


def test_every_way_of_reading_goes_through_the_cache(room, log):
    env = _environment(room)
    cached = _doubled(env, log).cache()
    env.execute()
    keyed = cached.key_by(lambda value: value % 4)
    assert _records(keyed.reduce(lambda left, right: left + right)) == [4, 8]
    assert _records(cached.union(cached.rebalance())) == [2, 2, 4, 4, 6, 6]
    other = env.from_collection([10], Types.INT())
    assert _records(cached.union(other).filter(lambda value: value > 4)) == [6, 10]
    assert _records(cached.connect(cached).map(Both())) == [2, 2, 4, 4, 6, 6]
    assert _calls(log) == 3


def test_a_stream_behind_the_cache_can_be_read_again(room, log):
    env = _environment(room)
    behind = _doubled(env, log).cache().map(lambda value: value + 1).map(lambda value: value * 10)
    assert _records(behind) == [30, 50, 70]
    assert _records(behind) == [30, 50, 70]
    assert _records(behind.map(str)) == ["30", "50", "70"]
    assert _calls(log) == 3


@pytest.mark.parametrize(
    ("values", "declared"),
    [
        ([1, 2], Types.LONG()),
        ([("a", 1), ("b", 2)], Types.TUPLE([Types.STRING(), Types.INT()])),
        ([Row(a="x"), Row(a="y")], Types.ROW_NAMED(["a"], [Types.STRING()])),
        ([(1, {2}), (2, None)], None),
    ],
)
def test_records_and_their_type_come_back(room, values, declared):
    env = _environment(room)
    cached = env.from_collection(values, declared).cache()
    for _ in range(2):
        with cached.execute_and_collect() as results:
            assert list(results) == values
    assert cached.get_type() == declared


def test_times_and_subtasks_come_back(room):
    env = _environment(room)
    env.set_parallelism(3)
    strategy = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(Tens())
    cached = (
        env.from_collection(range(2000), Types.INT())
        .rebalance()
        .assign_timestamps_and_watermarks(strategy)
        .cache()
    )
    first = _records(cached.process(Timestamped()))
    env.set_parallelism(1)
    again = cached.process(Timestamped())
    again.set_parallelism(3)
    assert _records(again) == first
    assert {time for _, time, _ in first} == {10 * value for value in range(2000)}
    assert len(list(room.glob("*/records/*"))) == 3


def test_a_side_output_is_cached(room, log):
    odd = OutputTag("odd", Types.INT())

    class Split(ProcessFunction):
        def process_element(self, value, ctx):
            if value % 2:
                yield odd, value
            else:
                yield value

    env = _environment(room)
    cached = env.from_collection([1, 2, 3]).process(Split()).get_side_output(odd).cache()
    later = cached.map(Double(log))
    assert _records(cached) == [1, 3]
    assert _records(later) == [2, 6]
    assert cached.get_type() == Types.INT()


def test_invalidate_removes_the_records(room, log):
    env = _environment(room)
    cached = _doubled(env, log).cache()
    cached.invalidate()
    assert _records(cached) == [2, 4, 6]
    assert list(room.iterdir())
    cached.invalidate()
    assert not list(room.iterdir())
    assert _records(cached) == [2, 4, 6]
    assert _records(cached) == [2, 4, 6]
    assert _calls(log) == 6


def test_close_removes_the_records(room, log):
    env = _environment(room)
    cached = _doubled(env, log).cache()
    _records(cached)
    env.close()
    assert not list(room.iterdir())
    assert _records(cached) == [2, 4, 6]
    assert _calls(log) == 6


def test_the_process_takes_the_records_with_it(room):
    program = (
        "from millpond.datastream import *\n"
        "env = StreamExecutionEnvironment.get_execution_environment()\n"
        "env.set_runtime_mode(RuntimeExecutionMode.BATCH)\n"
        "cached = env.from_collection([1]).cache()\n"
        "env.execute()\n"
        "import os, sys\n"
        "print(len(os.listdir(sys.argv[1])))\n"
    )
    environment = {"TMPDIR": str(room)}
    run = [sys.executable, "-c", program, str(room)]
    done = subprocess.run(run, env=environment, capture_output=True, check=True, text=True)
    assert done.stdout == "1\n"
    assert not list(room.iterdir())


def test_a_failed_job_keeps_nothing(room, log):
    env = _environment(room)
    cached = _doubled(env, log, fail_at=3).cache()
    with pytest.raises(RuntimeError, match="no more"):
        _records(cached)
    assert not list(room.iterdir())
    assert _calls(log) == 3


def test_a_job_that_restarts_keeps_each_record_once(room, log):
    env = _environment(room)
    env.set_restart_strategy(RestartStrategies.fixed_delay_restart(1, 0))
    cached = _doubled(env, log, fail_at=3, once=True).cache()
    env.execute()
    assert _calls(log) == 6
    assert _records(cached) == [2, 4, 6]
    assert _calls(log) == 6


def test_results_that_are_not_read_to_the_end_keep_nothing(room, log):
    env = _environment(room)
    cached = _doubled(env, log).cache()
    assert cached.execute_and_collect(limit=1) == [2]
    assert not list(room.iterdir())
    assert _records(cached) == [2, 4, 6]


def test_streaming_keeps_nothing_but_reads_what_is_there(room, log):
    env = _environment(room, RuntimeExecutionMode.STREAMING)
    cached = _doubled(env, log).cache()
    assert _records(cached) == [2, 4, 6]
    assert _calls(log) == 3
    env.set_runtime_mode(RuntimeExecutionMode.BATCH)
    assert _records(cached) == [2, 4, 6]
    assert _calls(log) == 6
    env.set_runtime_mode(RuntimeExecutionMode.STREAMING)
    env.enable_checkpointing(10)
    assert _records(cached) == [2, 4, 6]
    assert _calls(log) == 6


def test_automatic_keeps_what_ends(room, log):
    env = _environment(room, RuntimeExecutionMode.AUTOMATIC)
    env.enable_checkpointing(10)
    cached = _doubled(env, log).cache()
    assert _records(cached) == _records(cached) == [2, 4, 6]
    assert _calls(log) == 3


def test_jobs_without_generated_uids_keep_records(room):
    env = _environment(room, **{"pipeline.auto-generate-uids": "false"})
    stream = env.from_collection([1])
    stream.uid("source")
    cached = stream.cache()
    assert _records(cached) == _records(cached) == [1]


def test_worker_processes_and_background_jobs_keep_records(room, log):
    with LaunchWith(Launch(SupervisedEngine())):
        env = _environment(room)
        cached = _doubled(env, log).cache()
        env.execute_async().get_job_execution_result().result()
        assert _records(cached) == [2, 4, 6]
    assert _calls(log) == 3


def test_lost_records_are_computed_again(room, log):
    env = _environment(room)
    cached = _doubled(env, log).cache()
    _records(cached)
    for directory in room.iterdir():
        shutil.rmtree(directory)
    assert _records(cached) == [2, 4, 6]
    assert _records(cached) == [2, 4, 6]
    assert _calls(log) == 6


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:-1], "it is cut off"),
        (lambda data: data[:-20], "it is cut off"),
        (lambda data: data[:12] + b"\xff" + data[13:], "a checksum is wrong"),
        (lambda data: b"", "it is cut off"),
    ],
)
def test_damaged_records_are_refused(room, damage, reason):
    env = _environment(room)
    cached = env.from_collection([1, 2, 3], Types.INT()).cache()
    _records(cached)
    (part,) = room.glob("*/records/*")
    part.write_bytes(damage(part.read_bytes()))
    with pytest.raises(DataFileError, match=reason) as caught:
        _records(cached)
    assert "invalidate()" in str(caught.value)
    cached.invalidate()
    assert _records(cached) == [1, 2, 3]


def test_records_that_went_away_meanwhile_are_named(tmp_path):
    source = CacheSource([str(tmp_path / "gone")], None)
    (split,) = source.splits(1)
    with pytest.raises(DataFileError, match="No such file"):
        source.open_split(split, None, ManualClock())


def _writer(directory):
    context = SinkWriterContext("0" * 32, 0, 1, 0, ManualClock(), None, False)
    return CacheSink(str(directory), Types.INT(), "Map").create_writer(context, [])


def test_a_full_disk_is_named(tmp_path):
    (tmp_path / ".00000-0").symlink_to("/dev/full")
    writer = _writer(tmp_path)
    with pytest.raises(ConnectorError, match="No space left"):
        writer.write([1] * 10_000, None)
    writer.close()
    writer.close()
    with pytest.raises(ConnectorError, match="No such file"):
        _writer(tmp_path / "gone")


def test_no_place_for_the_files_is_named(room):
    from millpond.datastream.stream_cache import CacheFiles

    with pytest.raises(ConnectorError, match="no place for the records"):
        CacheFiles(Path(room, "gone"))


def test_reading_goes_on_after_a_position(tmp_path):
    sink = CacheSink(str(tmp_path), Types.INT(), "Map")
    writer = _writer(tmp_path)
    for start in (0, 10, 20):
        writer.write(list(range(start, start + 10)), list(range(start, start + 10)))
    sink.commit(writer.prepare_commit(end_of_input=True))
    source = CacheSource([str(tmp_path / "00000")], Types.INT())
    (split,) = source.splits(1)
    for start in (0, 7, 10, 25, 30):
        reader = source.open_split(split, {"records": start}, ManualClock())
        values = []
        while not reader.finished:
            records = reader.read(4)
            if records is not None:
                assert records.timestamps == records.values
                values += records.values
        assert values == list(range(start, 30))
        assert reader.position() == {"records": 30}
        reader.close()


def test_only_the_output_of_one_operator_can_be_cached(room):
    env = _environment(room)
    stream = env.from_collection([1], Types.INT())
    for refused in (stream.key_by(lambda value: value), stream.rebalance(), stream.union(stream)):
        with pytest.raises(UnsupportedOperationError, match="output of one operator"):
            refused.cache()
    with pytest.raises(UnsupportedOperationError, match="a parallelism"):
        stream.cache().set_parallelism(2)


def test_a_record_of_another_type_is_named(room):
    env = _environment(room)
    cached = env.from_collection([1]).map(str, Types.INT()).name("texts").cache()
    with pytest.raises(SerializationError, match="does not fit its declared type") as caught:
        env.execute()
    assert "operator: texts" in str(caught.value)
    assert "Declare the type" in str(caught.value)
    assert not list(room.iterdir())
    cached.invalidate()


def test_an_unbounded_source_is_refused_as_ever(room):
    from millpond.datastream.connectors.datagen import DataGeneratorSource

    env = _environment(room)
    env.from_source(DataGeneratorSource(lambda index: index, None), _DONE, "s").cache()
    with pytest.raises(InvalidProgramError, match="unbounded"):
        env.execute()
