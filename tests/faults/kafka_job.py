"""A job from numbers to Kafka whose worker is killed once, behind a complete checkpoint.

``millpond run kafka_job.py SERVERS TOPIC RECORDS FILE``; the worker dies when the sink is to commit
while FILE is there, which it takes away first.
"""

import os
import signal
import sys
from pathlib import Path

from millpond.common import SimpleStringSchema, Types, WatermarkStrategy
from millpond.datastream import StreamExecutionEnvironment
from millpond.datastream.connectors import DeliveryGuarantee, Sink
from millpond.datastream.connectors.kafka import KafkaRecordSerializationSchema, KafkaSink
from millpond.datastream.connectors.number_seq import NumberSequenceSource


class Dying(Sink):
    def __init__(self, sink, file):
        self._sink, self._file = sink, Path(file)

    def create_writer(self, context, restored):
        return self._sink.create_writer(context, restored)

    def commit(self, committables):
        if self._file.exists():
            self._file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        self._sink.commit(committables)


def main():
    servers, topic, records, file = sys.argv[1:]
    serializer = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(topic)
        .set_value_serialization_schema(SimpleStringSchema())
        .build()
    )
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers(servers)
        .set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .set_transactional_id_prefix(topic)
        .set_record_serializer(serializer)
        .build()
    )
    env = StreamExecutionEnvironment.get_execution_environment()
    numbers = env.from_source(
        NumberSequenceSource(1, int(records)), WatermarkStrategy.no_watermarks(), "numbers"
    )
    numbers.map(str, Types.STRING()).sink_to(Dying(sink, file))
    env.execute("numbers to Kafka")


main()
