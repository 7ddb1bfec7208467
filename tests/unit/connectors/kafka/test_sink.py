"""`KafkaSink` against librdkafka's mock cluster; `test_exactly_once.py` has what rests on it."""

from __future__ import annotations

import pytest

pytest.importorskip("confluent_kafka")

from millpond.common import Types, WatermarkStrategy
from millpond.common.serialization import SerializationSchema, SimpleStringSchema
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors import DeliveryGuarantee
from millpond.datastream.connectors._kafka.producer_writer import produce
from millpond.datastream.connectors.collection import CollectionSource
from millpond.datastream.connectors.kafka import (
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaTopicSelector,
)
from millpond.errors import ConfigurationError, ConnectorError, SerializationError

GUARANTEES = list(DeliveryGuarantee)


def serializer(topic):
    return (
        KafkaRecordSerializationSchema.builder()
        .set_topic(topic)
        .set_value_serialization_schema(SimpleStringSchema())
        .build()
    )


@pytest.fixture
def builder(mock_cluster, topic):
    return (
        KafkaSink.builder()
        .set_bootstrap_servers(mock_cluster.servers)
        .set_transactional_id_prefix(topic)
        .set_record_serializer(serializer(topic))
    )


@pytest.fixture
def write(writer_context):
    """Write values with timestamps, and commit them."""

    def write(sink, values, timestamps=None):
        writer = sink.create_writer(writer_context(), ())
        writer.write(values, timestamps)
        sink.commit(writer.prepare_commit(end_of_input=False))
        writer.close()
        writer.close()

    return write


@pytest.mark.parametrize("guarantee", GUARANTEES[:2])
def test_records_carry_their_timestamps(builder, mock_cluster, topic, write, guarantee):
    sink = builder.set_delivery_guarantee(guarantee).build()
    write(sink, ["a", "b"], [1000, 2000])
    found = mock_cluster.read(topic)
    assert {(value, timestamp) for _, _, value, timestamp in found} == {(b"a", 1000), (b"b", 2000)}


def test_records_without_a_timestamp_get_the_present(builder, mock_cluster, topic, write):
    write(builder.set_delivery_guarantee("at-least-once").build(), ["a", "b"], [-5, 0])
    assert all(timestamp > 1_600_000_000_000 for *_, timestamp in mock_cluster.read(topic))


@pytest.mark.parametrize("guarantee", GUARANTEES)
@pytest.mark.parametrize("interval_ms", [None, 10_000])
def test_a_job_writes_all_with_each_guarantee(builder, mock_cluster, topic, guarantee, interval_ms):
    sink = builder.set_delivery_guarantee(guarantee).build()
    env = StreamExecutionEnvironment.get_execution_environment()
    if interval_ms:
        env.enable_checkpointing(interval_ms)
    source = CollectionSource([str(number) for number in range(50)])
    stream = env.from_source(source, WatermarkStrategy.no_watermarks(), "numbers", Types.STRING())
    stream.sink_to(sink)
    env.execute()
    found = sorted(int(value) for _, _, value, _ in mock_cluster.read(topic))
    assert found == list(range(50))


def test_keys_choose_the_partition_as_in_java(builder, mock_cluster, topic, write):
    class FirstLetter(SerializationSchema):
        def serialize(self, element):
            return element[0].encode()

    schema = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(topic)
        .set_key_serialization_schema(FirstLetter())
        .set_value_serialization_schema(SimpleStringSchema())
        .build()
    )
    sink = builder.set_record_serializer(schema).set_delivery_guarantee("at-least-once").build()
    write(sink, ["a1", "b1", "c1", "d1", "a2"])
    found = {value: (partition, key) for partition, key, value, _ in mock_cluster.read(topic)}
    # Utils.toPositive(Utils.murmur2(key)) % 4 of Java's client, computed independently.
    assert found == {
        text.encode(): (_murmur2(text[:1].encode()) % 4, text[:1].encode())
        for text in ["a1", "b1", "c1", "d1", "a2"]
    }


def _murmur2(data):
    """Compute Kafka's hash of a key of one byte."""
    mixing, mask = 0x5BD1E995, 0xFFFFFFFF
    hashed = (0x9747B28C ^ len(data)) & mask
    hashed = ((hashed ^ data[0]) * mixing) & mask
    hashed = ((hashed ^ (hashed >> 13)) * mixing) & mask
    return (hashed ^ (hashed >> 15)) & 0x7FFFFFFF


def test_a_selector_chooses_the_topic(builder, mock_cluster, topic, write):
    class ByParity(KafkaTopicSelector):
        def apply(self, data):
            return f"{topic}-{'odd' if int(data) % 2 else 'even'}"

    for select in (ByParity(), ByParity().apply):
        schema = (
            KafkaRecordSerializationSchema.builder()
            .set_topic_selector(select)
            .set_value_serialization_schema(SimpleStringSchema())
            .build()
        )
        write(builder.set_record_serializer(schema).build(), ["1", "2", "3"])
    odd = [value for _, _, value, _ in mock_cluster.read(f"{topic}-odd")]
    assert sorted(odd) == [b"1", b"1", b"3", b"3"]


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_a_value_of_none_is_a_tombstone(builder, mock_cluster, topic, write, guarantee):
    class Nothing(SerializationSchema):
        def serialize(self, element):
            return None

    schema = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(topic)
        .set_key_serialization_schema(SimpleStringSchema())
        .set_value_serialization_schema(Nothing())
        .build()
    )
    write(builder.set_record_serializer(schema).set_delivery_guarantee(guarantee).build(), ["k"])
    assert [(key, value) for _, key, value, _ in mock_cluster.read(topic)] == [(b"k", None)]


def test_a_record_that_the_client_refuses_fails_the_job(builder, topic, write):
    sink = builder.set_property("max.request.size", "2000").build()
    with pytest.raises(
        ConnectorError, match=rf"could not be sent.*topic: {topic}.*max.request.size"
    ):
        write(sink, ["x" * 3000])


def test_a_record_that_cannot_be_delivered_fails_the_next_barrier(writer_context, topic):
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers("127.0.0.1:1")
        .set_record_serializer(serializer(topic))
        .set_delivery_guarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .set_property("delivery.timeout.ms", "50")
        .set_property("linger.ms", "1")
        .build()
    )
    writer = sink.create_writer(writer_context(), ())
    writer.write(["a"], None)
    with pytest.raises(ConnectorError, match=rf"could not be delivered.*topic: {topic}"):
        writer.prepare_commit(end_of_input=False)
    writer.close()


def test_a_full_queue_is_waited_for():
    class Busy:
        sent, waits = [], 0

        def produce(self, topic, value, key, timestamp):
            if self.waits < 2:
                raise BufferError
            self.sent.append((topic, value, key, timestamp))

        def poll(self, seconds):
            self.waits += 1

    busy = Busy()
    produce(busy, ("t", b"k", b"v"), 7)
    assert busy.sent == [("t", b"v", b"k", 7)]
    assert busy.waits == 2


def test_a_selector_that_names_no_topic_is_refused(builder, write):
    schema = (
        KafkaRecordSerializationSchema.builder()
        .set_topic_selector(lambda value: None)
        .set_value_serialization_schema(SimpleStringSchema())
        .build()
    )
    with pytest.raises(SerializationError, match="returned no topic"):
        write(builder.set_record_serializer(schema).build(), ["a"])


# -- settings


def test_idempotence_is_the_default_unless_something_speaks_against_it(builder):
    assert builder.build()._clients.properties["enable.idempotence"] == "true"
    builder.set_property("acks", "1")
    assert "enable.idempotence" not in builder.build()._clients.properties


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b.set_property("transactional.id", "x"), "is the sink's own"),
        (
            lambda b: b.set_property("no.such.thing", "x"),
            'refuses its properties: .*"no.such.thing"',
        ),
        (lambda b: b.set_transactional_id_prefix("x" * 64_001), "prefix is too long"),
        (lambda b: b.set_record_serializer(SimpleStringSchema()), "no KafkaRecordSerialization"),
        (
            lambda b: b.set_transactional_id_prefix("").set_delivery_guarantee("exactly-once"),
            "EXACTLY_ONCE needs set_transactional_id_prefix",
        ),
    ],
)
def test_settings_that_are_wrong_are_named(builder, change, message):
    with pytest.raises(ConfigurationError, match=message):
        change(builder).build()


def test_what_is_missing_is_named():
    with pytest.raises(ConfigurationError, match=r"needs set_bootstrap_servers"):
        KafkaSink.builder().build()
    with pytest.raises(ConfigurationError, match=r"needs set_record_serializer"):
        KafkaSink.builder().set_bootstrap_servers("127.0.0.1:1").build()
    schema = KafkaRecordSerializationSchema.builder()
    with pytest.raises(ConfigurationError, match=r"needs set_topic\(\) or set_topic_selector"):
        schema.build()
    with pytest.raises(ConfigurationError, match=r"needs set_value_serialization_schema"):
        schema.set_topic("t").build()


def test_a_schema_of_records_refuses_what_is_none():
    schema = KafkaRecordSerializationSchema.builder()
    with pytest.raises(ConfigurationError, match="The topic is no name"):
        schema.set_topic("")
    with pytest.raises(TypeError, match="must be KafkaTopicSelector or a callable"):
        schema.set_topic_selector("t")
    for set_schema in (schema.set_key_serialization_schema, schema.set_value_serialization_schema):
        with pytest.raises(ConfigurationError, match="is no SerializationSchema"):
            set_schema("text")


def test_the_sink_wants_its_input_as_it_is(builder):
    assert builder.build().get_transformer() is None
    assert serializer("t").serialize("ä") == "ä".encode()
