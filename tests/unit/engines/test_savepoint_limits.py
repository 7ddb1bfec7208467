"""What Flink cannot use of a savepoint is logged before it is written, and told afterwards."""

from __future__ import annotations

import logging
import threading

import pytest

from millpond.common import Configuration, Time, Types, WatermarkStrategy
from millpond.common.serialization import Encoder
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.file_system import FileSink
from millpond.datastream.connectors.number_seq import NumberSequenceSource
from millpond.datastream.functions import (
    CheckpointedFunction,
    KeyedProcessFunction,
    MapFunction,
)
from millpond.datastream.state import ListStateDescriptor, MapStateDescriptor, StateTtlConfig
from millpond.errors import CheckpointNotFoundError

running = threading.Event()


class Counting(MapFunction, CheckpointedFunction):
    def initialize_state(self, context):
        descriptor = ListStateDescriptor("seen", Types.LONG())
        self.seen = context.get_operator_state_store().get_list_state(descriptor)

    def snapshot_state(self, context):
        self.seen.update([1, 2])

    def map(self, value):
        return str(value)


@pytest.fixture
def client(tmp_path):
    configuration = Configuration()
    configuration.set_string("millpond.batch-size", "10")
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(1)
    sink = FileSink.for_row_format(str(tmp_path / "out"), Encoder.simple_string_encoder()).build()
    (
        env.from_source(
            NumberSequenceSource(0, 10**9), WatermarkStrategy.no_watermarks(), "numbers"
        )
        .uid("numbers")
        .map(Counting(), Types.STRING())
        .uid("counting")
        .sink_to(sink)
        .uid("files")
    )
    client = env.execute_async("job")
    yield client
    client.cancel().result()


def test_it_is_logged_and_told_with_what_to_do(client, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "millpond.runtime.flink_report"):
        path = client.trigger_savepoint(str(tmp_path / "savepoints")).result()
    logged = [each.getMessage() for each in caplog.records]
    told = client.get_savepoint_limits(path).result()
    assert told[0].startswith("numbers (uid numbers): source-splits: positions of a source")
    assert told[0].endswith("set its starting position.")
    assert any("(uid counting): seen: list state" in each for each in told)
    assert any("(uid files): sink-" in each for each in told)
    for sentence in told:
        state = sentence.partition("): ")[2]
        assert any(state in each for each in logged), sentence


def test_draining_finishes_the_files_of_a_sink(client, tmp_path):
    path = client.stop_with_savepoint(True, str(tmp_path / "savepoints")).result()
    told = client.get_savepoint_limits(path).result()
    (sink,) = [each for each in told if "(uid files)" in each and "writer" in each]
    assert "Stop the job with drain" in sink
    client.get_job_execution_result().result()
    names = [each.name for each in (tmp_path / "out").rglob("*") if each.is_file()]
    assert names
    assert not any("inprogress" in name for name in names)


class Forget(KeyedProcessFunction):
    def open(self, runtime_context):
        descriptor = MapStateDescriptor("dates", Types.STRING(), Types.LONG())
        descriptor.enable_time_to_live(StateTtlConfig.new_builder(Time.hours(1)).build())
        self.dates = runtime_context.get_map_state(descriptor)

    def process_element(self, value, ctx):
        self.dates.put("known", value)
        self.dates.put("unknown", None if value >= 20 else value)
        if value == 50:
            running.set()
        yield value


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
def test_none_in_a_map_with_ttl_is_logged_and_told(backend, tmp_path, caplog):
    configuration = Configuration()
    configuration.set_string("state.backend.type", backend)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(1)
    running.clear()
    numbers = env.from_source(
        NumberSequenceSource(0, 10**9), WatermarkStrategy.no_watermarks(), "numbers"
    ).uid("numbers")
    kept = numbers.key_by(lambda value: value % 3, Types.LONG()).process(Forget(), Types.LONG())
    kept.uid("forget").map(lambda value: None)
    client = env.execute_async("job")
    assert running.wait(120)
    with caplog.at_level(logging.WARNING, "millpond.runtime.flink_report"):
        path = client.trigger_savepoint(str(tmp_path / "savepoints")).result()
    (logged,) = [each for each in map(str, caplog.messages) if "dates" in each]
    told = client.get_savepoint_limits(path).result()
    client.cancel().result()
    (dates,) = [each for each in told if "(uid forget)" in each]
    for text in (logged, dates):
        assert "python-state-dates: None as a value of a map with TTL. Remove the key" in text


def test_a_path_without_a_savepoint_is_refused(client, tmp_path):
    with pytest.raises(CheckpointNotFoundError, match="no complete checkpoint or savepoint"):
        client.get_savepoint_limits(str(tmp_path)).result()
