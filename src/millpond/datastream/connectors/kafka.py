"""PyFlink's module path for Kafka; the private package beside it holds the parts.

Needs the extra ``millpond[kafka]``.
"""

from __future__ import annotations

from millpond.datastream.connectors._kafka.offsets_initializer import KafkaOffsetsInitializer
from millpond.datastream.connectors._kafka.record_serializer import (
    KafkaRecordSerializationSchema,
    KafkaRecordSerializationSchemaBuilder,
    KafkaTopicSelector,
)
from millpond.datastream.connectors._kafka.sink import KafkaSink
from millpond.datastream.connectors._kafka.sink_builder import KafkaSinkBuilder
from millpond.datastream.connectors._kafka.source import KafkaSource
from millpond.datastream.connectors._kafka.source_builder import KafkaSourceBuilder
from millpond.datastream.connectors._kafka.topic_partition import (
    KafkaOffsetResetStrategy,
    KafkaTopicPartition,
)

__all__ = (
    # sources
    "KafkaOffsetResetStrategy",
    "KafkaOffsetsInitializer",
    "KafkaSource",
    "KafkaSourceBuilder",
    "KafkaTopicPartition",
    # sinks
    "KafkaRecordSerializationSchema",
    "KafkaRecordSerializationSchemaBuilder",
    "KafkaSink",
    "KafkaSinkBuilder",
    "KafkaTopicSelector",
)
