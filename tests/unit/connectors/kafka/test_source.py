"""`KafkaSource` against librdkafka's mock cluster."""

from __future__ import annotations

import pickle

import pytest

pytest.importorskip("confluent_kafka")

from confluent_kafka import Consumer

from millpond.clock import ManualClock, SystemClock
from millpond.common import Types, WatermarkStrategy
from millpond.common.serialization import DeserializationSchema, SimpleStringSchema
from millpond.datastream import RuntimeExecutionMode, StreamExecutionEnvironment
from millpond.datastream.connectors.kafka import (
    KafkaOffsetResetStrategy,
    KafkaOffsetsInitializer,
    KafkaSource,
    KafkaTopicPartition,
)
from millpond.datastream.connectors.source import Split
from millpond.errors import ConfigurationError, ConnectorError, SerializationError


@pytest.fixture
def builder(mock_cluster, topic):
    return (
        KafkaSource.builder()
        .set_bootstrap_servers(mock_cluster.servers)
        .set_topics(topic)
        .set_value_only_deserializer(SimpleStringSchema())
        .set_property("fetch.wait.max.ms", "10")
    )


def bounded(builder):
    return builder.set_bounded(KafkaOffsetsInitializer.latest()).build()


def begun(source, first=True):
    return source.begin(source.splits(1), first=first)


def read_split(source, split, position=None, limit=100, reopen=False):
    """Read a split to its end; return values, timestamps and sizes of batches."""
    clock = SystemClock()
    reader = source.open_split(split, position, clock)
    values, timestamps, sizes = [], [], []
    while not reader.finished:
        records = reader.read(limit)
        if records is None:
            clock.sleep(0.001)
            continue
        values += records.values
        timestamps += records.timestamps
        sizes.append(len(records))
        if reopen:
            position = dict(reader.position())
            reader.close()
            reader = source.open_split(split, position, clock)
    reader.close()
    return values, timestamps, sizes


def values_of(source):
    return sorted(v for split in begun(source) for v in read_split(source, split)[0])


def test_values_and_timestamps_of_all_partitions(builder, mock_cluster, topic):
    mock_cluster.write(topic, ["a", "b"], 0, [10, 20])
    mock_cluster.write(topic, ["c"], 3, [30])
    source = bounded(builder)
    splits = begun(source)
    assert [split.split_id for split in splits] == [f"{topic}-{number}" for number in range(4)]
    assert read_split(source, splits[0])[:2] == (["a", "b"], [10, 20])
    assert read_split(source, splits[1])[0] == []
    assert read_split(source, splits[3])[:2] == (["c"], [30])


@pytest.mark.parametrize("reopen", [False, True])
def test_batches_are_full_wherever_the_fetches_end(builder, mock_cluster, topic, reopen):
    mock_cluster.write(topic, range(25))
    source = bounded(builder)
    values, _, sizes = read_split(source, begun(source)[0], limit=10, reopen=reopen)
    assert values == [str(number) for number in range(25)]
    assert sizes == [10, 10, 5]


def test_bounded_source_stops_where_the_end_was(builder, mock_cluster, topic):
    mock_cluster.write(topic, range(5))
    source = bounded(builder)
    split = begun(source)[0]
    mock_cluster.write(topic, ["later"])
    assert read_split(source, split)[0] == ["0", "1", "2", "3", "4"]


def test_tombstones_and_values_without_a_record_are_passed_over(builder, mock_cluster, topic):
    class Numbers(DeserializationSchema):
        def deserialize(self, message):
            return int(message) if message.isdigit() else None

        def get_produced_type(self):
            return Types.LONG()

    mock_cluster.write(topic, ["1", None, "x", "4"])
    source = bounded(builder.set_value_only_deserializer(Numbers()))
    assert source.produced_type() == Types.LONG()
    values, timestamps, _ = read_split(source, begun(source)[0])
    assert (values, timestamps) == ([1, 4], [1000, 1003])


def test_a_value_that_does_not_decode_is_named_by_its_offset(builder, mock_cluster, topic):
    from confluent_kafka import Producer

    producer = mock_cluster.client(Producer)
    producer.produce(topic, b"\xff", partition=0)
    producer.flush(30)
    source = bounded(builder)
    with pytest.raises(SerializationError, match=rf"topic: {topic}, partition: 0, offset: 0"):
        read_split(source, begun(source)[0])


def test_unbounded_reader_gives_what_is_there_and_goes_on(builder, mock_cluster, topic):
    mock_cluster.write(topic, range(3))
    source = builder.build()
    clock = SystemClock()
    reader = source.open_split(begun(source)[0], None, clock)

    def next_values():
        while (records := reader.read(10)) is None:
            clock.sleep(0.001)
        return records.values

    assert next_values() == ["0", "1", "2"]
    assert reader.position() == {"next": 3, "stop": None}
    mock_cluster.write(topic, ["3"])
    assert next_values() == ["3"]
    assert not reader.finished
    reader.close()
    reader.close()


# -- where reading starts and stops


def test_starting_at_the_latest_offsets_is_in_the_split(builder, mock_cluster, topic):
    mock_cluster.write(topic, range(3))
    source = builder.set_starting_offsets(KafkaOffsetsInitializer.latest()).build()
    assert begun(source)[0].payload["start"] == 3


def test_partitions_that_come_later_are_read_whole(builder, mock_cluster, topic):
    mock_cluster.write(topic, range(3))
    source = builder.set_starting_offsets(KafkaOffsetsInitializer.latest()).build()
    assert begun(source, first=False)[0].payload["start"] == 0


def test_starting_at_given_offsets(builder, mock_cluster, topic):
    mock_cluster.write(topic, range(3), 0)
    mock_cluster.write(topic, range(3), 1)
    partition = KafkaTopicPartition(topic, 0)
    for strategy, other in [
        (KafkaOffsetResetStrategy.EARLIEST, 0),
        (KafkaOffsetResetStrategy.LATEST, 3),
    ]:
        offsets = KafkaOffsetsInitializer.offsets({partition: 2}, strategy)
        splits = begun(builder.set_starting_offsets(offsets).build())
        assert [split.payload["start"] for split in splits][:2] == [2, other]


def test_starting_at_committed_offsets(builder, mock_cluster, topic):
    mock_cluster.write(topic, range(3), 0)
    mock_cluster.write(topic, range(3), 1)
    source = builder.set_group_id(f"group of {topic}").build()
    first, *_ = begun(source)
    source.checkpoint_complete([(first, {"next": 2, "stop": None})])
    assert mock_cluster.committed(f"group of {topic}", topic) == 2
    latest = KafkaOffsetsInitializer.committed_offsets(KafkaOffsetResetStrategy.LATEST)
    splits = begun(builder.set_starting_offsets(latest).build())
    assert [split.payload["start"] for split in splits][:2] == [2, 3]
    with pytest.raises(
        ConnectorError, match=rf"no committed offset.*{topic}-1.*EARLIEST or LATEST"
    ):
        begun(builder.set_starting_offsets(KafkaOffsetsInitializer.committed_offsets()).build())


def test_committed_offsets_need_a_group(builder):
    builder.set_starting_offsets(KafkaOffsetsInitializer.committed_offsets())
    with pytest.raises(ConfigurationError, match=r"those of a group. Call set_group_id"):
        builder.build()


def test_a_restored_split_gets_its_end_where_the_program_asks_for_one(builder, mock_cluster, topic):
    mock_cluster.write(topic, range(5))
    split = begun(builder.build())[0]
    source = bounded(builder)
    assert read_split(source, split, {"next": 3, "stop": None})[0] == ["3", "4"]


def test_an_offset_out_of_range_is_an_error_if_the_strategy_says_so(builder, mock_cluster, topic):
    mock_cluster.write(topic, range(3))
    none = KafkaOffsetResetStrategy.NONE
    builder.set_starting_offsets(
        KafkaOffsetsInitializer.offsets({KafkaTopicPartition(topic, 0): 900}, none)
    )
    builder.set_unbounded(KafkaOffsetsInitializer.offsets({}, KafkaOffsetResetStrategy.LATEST))
    source = builder.build()
    split = Split("x", {"topic": topic, "partition": 0, "start": 900, "stop": 1000})
    with pytest.raises(ConnectorError, match=rf"{topic}-0.*KafkaOffsetResetStrategy"):
        read_split(source, split)


# -- what is read


def test_a_pattern_matches_whole_names(mock_cluster, topic):
    mock_cluster.write(f"{topic}-a", ["a"])
    mock_cluster.write(f"{topic}-b", ["b"])
    mock_cluster.write(f"x{topic}-a", ["no"])
    builder = (
        KafkaSource.builder()
        .set_bootstrap_servers(mock_cluster.servers)
        .set_topic_pattern(f"{topic}-.")
        .set_value_only_deserializer(SimpleStringSchema())
    )
    assert values_of(bounded(builder)) == ["a", "b"]


def test_partitions_by_name(mock_cluster, topic):
    mock_cluster.write(topic, ["zero"], 0)
    mock_cluster.write(topic, ["two"], 2)

    def source(*numbers):
        partitions = {KafkaTopicPartition(topic, number) for number in numbers}
        return bounded(
            KafkaSource.builder()
            .set_bootstrap_servers(mock_cluster.servers)
            .set_partitions(partitions)
            .set_value_only_deserializer(SimpleStringSchema())
        )

    assert values_of(source(2)) == ["two"]
    with pytest.raises(
        ConnectorError, match=rf"partition does not exist. \[partitions: {topic}-9\]"
    ):
        source(2, 9).splits(1)


def test_a_topic_that_is_not_there_is_named(builder, mock_cluster):
    with pytest.raises(ConnectorError, match=r"does not exist.*\[topics: .*\] Create it first"):
        builder.build().splits(1)


def test_a_later_look_that_fails_changes_nothing(builder, mock_cluster, topic, monkeypatch, caplog):
    mock_cluster.write(topic, ["a"])
    source = builder.build()
    splits = source.splits(1)

    def fail(self):
        raise ConnectorError("The brokers are away.")

    monkeypatch.setattr("millpond.datastream.connectors._kafka.source.Lookup.partitions", fail)
    assert source.splits(1) == splits
    assert "The brokers are away." in caplog.text


def test_who_reads_a_partition_does_not_depend_on_others(builder):
    source = builder.build()
    split = Split("orders-3", {"topic": "orders", "partition": 3})
    # Flink: ((hash of "orders" * 31) & 0x7FFFFFFF) % 4 + 3, modulo 4.
    assert {source.subtask_of(split, index, 4) for index in range(9)} == {
        ((((-1008770331) * 31) & 0x7FFFFFFF) % 4 + 3) % 4
    }


def test_brokers_that_do_not_answer_are_named(monkeypatch):
    monkeypatch.setattr(
        "millpond.datastream.connectors._kafka.lookup.Lookup.__init__.__defaults__", (0.3,)
    )
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers("127.0.0.1:1")
        .set_topics("t")
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    with pytest.raises(ConnectorError, match=r"bootstrap servers: 127.0.0.1:1\] Check bootstrap"):
        source.splits(1)


# -- settings


def test_discovery_is_every_five_minutes_unless_bounded(builder):
    assert builder.build().discovery_interval_ms == 300_000
    assert bounded(builder).discovery_interval_ms is None


@pytest.mark.parametrize(("value", "interval_ms"), [("10", 10), ("-1", None), ("0", None)])
def test_discovery_can_be_set(builder, value, interval_ms):
    builder.set_property("partition.discovery.interval.ms", value)
    assert builder.build().discovery_interval_ms == interval_ms


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("partition.discovery.interval.ms", "often", "interval.ms is no number"),
        ("commit.offsets.on.checkpoint", "maybe", "checkpoint is true or false"),
        ("no.such.thing", "1", 'refuses its properties: No such .*"no.such.thing"'),
        ("fetch.min.bytes", "many", "fetch.min.bytes"),
    ],
)
def test_properties_that_are_wrong_are_named(builder, name, value, message):
    with pytest.raises(ConfigurationError, match=message):
        builder.set_properties({name: value}).build()


@pytest.mark.parametrize("missing", ["set_bootstrap_servers", "set_topics", "set_value_only"])
def test_what_is_missing_is_named(missing):
    builder = KafkaSource.builder()
    if missing != "set_bootstrap_servers":
        builder.set_bootstrap_servers("127.0.0.1:1")
    if missing != "set_topics":
        builder.set_topics("t")
    if missing != "set_value_only":
        builder.set_value_only_deserializer(SimpleStringSchema())
    with pytest.raises(ConfigurationError, match=f"A Kafka source needs {missing}"):
        builder.build()


def test_what_is_read_is_set_once(builder):
    with pytest.raises(ConfigurationError, match="is set twice"):
        builder.set_topic_pattern("x.*")
    with pytest.raises(ConfigurationError, match="no regular expression"):
        KafkaSource.builder().set_topic_pattern("(")
    with pytest.raises(ConfigurationError, match="is no DeserializationSchema"):
        builder.set_value_only_deserializer("text")


def test_partitions_are_equal_by_name():
    partition = KafkaTopicPartition("t", 1)
    assert partition == KafkaTopicPartition("t", 1)
    assert len({partition, KafkaTopicPartition("t", 1), KafkaTopicPartition("t", 2)}) == 2
    assert pickle.loads(pickle.dumps(partition)) == partition


def test_an_open_source_can_be_pickled(builder, mock_cluster, topic):
    mock_cluster.write(topic, ["a"])
    source = bounded(builder)
    split = begun(source)[0]
    reader = source.open_split(split, None, ManualClock(0))
    assert read_split(pickle.loads(pickle.dumps(source)), split)[0] == ["a"]
    reader.close()


# -- in jobs


def execute(source, mode=RuntimeExecutionMode.STREAMING, parallelism=1, interval_ms=None):
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_runtime_mode(mode)
    env.set_parallelism(parallelism)
    if interval_ms:
        env.enable_checkpointing(interval_ms)
    stream = env.from_source(source, WatermarkStrategy.for_monotonous_timestamps(), "kafka")
    assert stream.get_type() == Types.STRING()
    with stream.execute_and_collect() as results:
        return sorted(results)


@pytest.mark.parametrize("parallelism", [1, 3])
@pytest.mark.parametrize("kind", ["bounded", "batch", "stopping"])
def test_a_job_reads_every_partition_to_its_end(builder, mock_cluster, topic, kind, parallelism):
    for partition in range(3):
        mock_cluster.write(topic, [f"{partition}{n}" for n in range(5)], partition)
    wanted = sorted(f"{partition}{n}" for partition in range(3) for n in range(5))
    if kind == "stopping":
        source = builder.set_unbounded(KafkaOffsetsInitializer.latest()).build()
    else:
        source = bounded(builder)
    mode = RuntimeExecutionMode.BATCH if kind == "batch" else RuntimeExecutionMode.STREAMING
    assert execute(source, mode, parallelism) == wanted


def test_offsets_are_committed_when_a_checkpoint_is_complete(builder, mock_cluster, topic):
    mock_cluster.write(topic, range(5))
    source = bounded(builder.set_group_id(f"job of {topic}"))
    assert execute(source) == ["0", "1", "2", "3", "4"]
    assert mock_cluster.committed(f"job of {topic}", topic) is None
    assert execute(source, interval_ms=10_000) == ["0", "1", "2", "3", "4"]
    assert mock_cluster.committed(f"job of {topic}", topic) == 5


def test_committing_offsets_can_be_left_out(builder, mock_cluster, topic):
    mock_cluster.write(topic, range(2))
    builder.set_group_id(f"job of {topic}").set_property("commit.offsets.on.checkpoint", "false")
    execute(bounded(builder), interval_ms=10_000)
    assert mock_cluster.committed(f"job of {topic}", topic) is None


def test_clients_carry_the_prefix(builder):
    source = builder.set_client_id_prefix("billing").build()
    assert source._clients.properties["client.id"] == "billing-source"
    assert isinstance(source._clients.consumer(), Consumer)
