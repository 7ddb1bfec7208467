"""What Flink would not restore is said before a savepoint is written."""

from __future__ import annotations

import logging

import pytest

from millpond.common import Configuration, Types, WatermarkStrategy
from millpond.common.serialization import Encoder
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors.file_system import FileSink
from millpond.datastream.connectors.number_seq import NumberSequenceSource
from millpond.datastream.functions import CheckpointedFunction, MapFunction
from millpond.datastream.state import ListStateDescriptor


class Counting(MapFunction, CheckpointedFunction):
    def initialize_state(self, context):
        descriptor = ListStateDescriptor("seen", Types.LONG())
        self.seen = context.get_operator_state_store().get_list_state(descriptor)

    def snapshot_state(self, context):
        pass

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


def test_it_is_listed_once_with_what_to_do(client, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "millpond.savepoint"):
        for _ in range(2):
            client.trigger_savepoint(str(tmp_path / "savepoints")).result()
    (record,) = [each for each in caplog.records if each.name == "millpond.savepoint"]
    _, *notes = record.getMessage().splitlines()
    source, function, sink = notes
    assert "(uid numbers)" in source
    assert "starting position" in source
    assert "(uid counting)" in function
    assert "CheckpointedFunction" in function
    assert "(uid files)" in sink
    assert "stop_with_savepoint" in sink


def test_a_sink_has_committed_when_the_job_stops(client, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "millpond.savepoint"):
        client.stop_with_savepoint(False, str(tmp_path / "savepoints")).result()
    (record,) = [each for each in caplog.records if each.name == "millpond.savepoint"]
    assert "(uid files)" not in record.getMessage()
    assert "(uid numbers)" in record.getMessage()
