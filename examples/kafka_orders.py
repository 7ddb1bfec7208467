"""Kafka: totals of orders by customer, from one topic to another, exactly once.

Without arguments it talks to a cluster of librdkafka's that lives in this process; name brokers to
use real ones: ``python kafka_orders.py localhost:9092``. Needs ``pip install 'millpond[kafka]'``.
"""

import sys

from confluent_kafka import Producer

from millpond.common import Row, SimpleStringSchema, Types, WatermarkStrategy
from millpond.datastream import RuntimeExecutionMode, StreamExecutionEnvironment
from millpond.datastream.connectors import DeliveryGuarantee
from millpond.datastream.connectors.kafka import (
    KafkaOffsetsInitializer,
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaSource,
)
from millpond.datastream.formats.json import (
    JsonRowDeserializationSchema,
    JsonRowSerializationSchema,
)

ORDER = Types.ROW_NAMED(["customer", "amount"], [Types.STRING(), Types.INT()])
ORDERS = [("Ada", 30), ("Bo", 5), ("Ada", 12), ("Cy", 8), ("Bo", 20), ("Ada", 1)]


def source(servers, topic, schema):
    return (
        KafkaSource.builder()
        .set_bootstrap_servers(servers)
        .set_topics(topic)
        .set_group_id("totals")
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_bounded(KafkaOffsetsInitializer.latest())
        .set_value_only_deserializer(schema)
        .build()
    )


def write_totals(servers):
    env = StreamExecutionEnvironment.get_execution_environment()
    env.enable_checkpointing(1000)
    orders = env.from_source(
        source(servers, "orders", JsonRowDeserializationSchema.builder().type_info(ORDER).build()),
        WatermarkStrategy.for_monotonous_timestamps(),
        "orders",
    )
    totals = orders.key_by(lambda order: order.customer, Types.STRING()).reduce(
        lambda a, b: Row(customer=a.customer, amount=a.amount + b.amount)
    )
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers(servers)
        .set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .set_transactional_id_prefix("totals")
        .set_record_serializer(
            KafkaRecordSerializationSchema.builder()
            .set_topic("totals")
            .set_value_serialization_schema(
                JsonRowSerializationSchema.builder().with_type_info(ORDER).build()
            )
            .build()
        )
        .build()
    )
    totals.sink_to(sink)
    env.execute("totals")


def print_totals(servers):
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_runtime_mode(RuntimeExecutionMode.BATCH)
    totals = env.from_source(
        source(servers, "totals", SimpleStringSchema()), WatermarkStrategy.no_watermarks(), "totals"
    )
    with totals.execute_and_collect() as lines:
        print(*sorted(lines), sep="\n")


def main():
    cluster = None
    if len(sys.argv) > 1:
        servers = sys.argv[1]
    else:
        cluster = Producer(
            {"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0}
        )
        brokers = cluster.list_topics(timeout=30).brokers.values()
        servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    for customer, amount in ORDERS:
        value = f'{{"customer": "{customer}", "amount": {amount}}}'
        producer.produce("orders", value, customer, partition=0)
    producer.flush()
    write_totals(servers)
    print_totals(servers)
    producer.close()


if __name__ == "__main__":
    main()
