"""`KafkaSourceBuilder`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self, final

from millpond.common.serialization import DeserializationSchema
from millpond.datastream.connectors._kafka.client import Clients
from millpond.datastream.connectors._kafka.offsets_initializer import KafkaOffsetsInitializer
from millpond.datastream.connectors._kafka.properties import property_text, translate
from millpond.datastream.connectors._kafka.source import KafkaSource, KafkaSourceSettings
from millpond.datastream.connectors._kafka.subscription import (
    Partitions,
    Subscription,
    TopicPattern,
    Topics,
)
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from millpond.datastream.connectors._kafka.topic_partition import KafkaTopicPartition

__all__ = ("KafkaSourceBuilder",)

_COMMITS: Final = "commit.offsets.on.checkpoint"
_DISCOVERY: Final = "partition.discovery.interval.ms"
_CLIENT_ID_PREFIX: Final = "client.id.prefix"
_FIVE_MINUTES_MS: Final = 300_000
_DEFAULTS: Final = {
    "enable.auto.commit": "false",
    "isolation.level": "read_uncommitted",
    # The end of a partition, and a partition that is added, are noticed with the next answer.
    "fetch.wait.max.ms": "100",
}


@final
class KafkaSourceBuilder:
    """Builds a `KafkaSource`; bootstrap servers, what to read and a deserializer are needed."""

    def __init__(self) -> None:
        self._properties: dict[str, str] = {}
        self._subscription: Subscription | None = None
        self._starting = KafkaOffsetsInitializer.earliest()
        self._stopping: KafkaOffsetsInitializer | None = None
        self._bounded = False
        self._schema: DeserializationSchema | None = None

    def set_bootstrap_servers(self, bootstrap_servers: str) -> Self:
        """Set the brokers to ask first: ``host:port``, separated by commas."""
        return self.set_property("bootstrap.servers", bootstrap_servers)

    def set_group_id(self, group_id: str) -> Self:
        """Set the consumer group, whose offsets are committed when checkpoints are complete."""
        return self.set_property("group.id", group_id)

    def set_topics(self, *topics: str) -> Self:
        """Read these topics, which must exist. Raises ConfigurationError."""
        return self._subscribe(Topics(topics))

    def set_topic_pattern(self, topic_pattern: str) -> Self:
        """Read topics whose whole name matches, also those that come later.

        It is a regular expression of Python. Raises ConfigurationError.
        """
        return self._subscribe(TopicPattern(topic_pattern))

    def set_partitions(self, partitions: Collection[KafkaTopicPartition]) -> Self:
        """Read these partitions, which must exist. Raises ConfigurationError."""
        return self._subscribe(Partitions(partitions))

    def _subscribe(self, subscription: Subscription) -> Self:
        if self._subscription is not None:
            raise ConfigurationError(
                "What a Kafka source reads is set twice.",
                hint="Call one of set_topics(), set_topic_pattern() and set_partitions(), once.",
            )
        self._subscription = subscription
        return self

    def set_starting_offsets(self, starting_offsets_initializer: KafkaOffsetsInitializer) -> Self:
        """Set where to start without a checkpoint; the earliest offsets by default."""
        self._starting = starting_offsets_initializer
        return self

    def set_unbounded(self, stopping_offsets_initializer: KafkaOffsetsInitializer) -> Self:
        """Stop at these offsets, but remain an unbounded source: BATCH mode refuses it."""
        self._stopping, self._bounded = stopping_offsets_initializer, False
        return self

    def set_bounded(self, stopping_offsets_initializer: KafkaOffsetsInitializer) -> Self:
        """Stop at these offsets, as a bounded source; partitions are read one after the other."""
        self._stopping, self._bounded = stopping_offsets_initializer, True
        return self

    def set_value_only_deserializer(self, deserialization_schema: DeserializationSchema) -> Self:
        """Set what makes records of the messages' values; keys are ignored.

        Raises:
            ConfigurationError: it is no DeserializationSchema.
        """
        if not isinstance(deserialization_schema, DeserializationSchema):
            raise ConfigurationError(f"{deserialization_schema!r} is no DeserializationSchema.")
        self._schema = deserialization_schema
        return self

    def set_client_id_prefix(self, prefix: str) -> Self:
        """Set how the names begin that brokers know the source's clients by."""
        return self.set_property(_CLIENT_ID_PREFIX, prefix)

    def set_property(self, key: str, value: str) -> Self:
        """Set a property of the consumer, under Java's or librdkafka's name, or one of Flink's.

        Flink's are ``partition.discovery.interval.ms`` (300000; 0 or less: never),
        ``commit.offsets.on.checkpoint`` (true) and ``client.id.prefix``.
        """
        self._properties[key] = property_text(value)
        return self

    def set_properties(self, props: Mapping[str, Any]) -> Self:
        """Set several properties."""
        for key, value in props.items():
            self.set_property(key, value)
        return self

    def build(self) -> KafkaSource:
        """Return the source; no broker is asked yet.

        Raises:
            ConfigurationError: something is missing, or a property is unknown or malformed.
            MissingDependencyError: confluent-kafka is not installed.
        """
        if "bootstrap.servers" not in self._properties:
            raise ConfigurationError("A Kafka source needs set_bootstrap_servers().")
        if self._subscription is None:
            raise ConfigurationError(
                "A Kafka source needs set_topics(), set_topic_pattern() or set_partitions()."
            )
        if self._schema is None:
            raise ConfigurationError("A Kafka source needs set_value_only_deserializer().")
        has_group = "group.id" in self._properties
        stopping = self._stopping
        if not has_group and (
            self._starting.needs_group or (stopping is not None and stopping.needs_group)
        ):
            raise ConfigurationError(
                "Committed offsets are those of a group.", hint="Call set_group_id()."
            )
        properties = dict(self._properties)
        commits = _flag(_COMMITS, properties.pop(_COMMITS, "true")) and has_group
        interval_ms = _whole(_DISCOVERY, properties.pop(_DISCOVERY, str(_FIVE_MINUTES_MS)))
        prefix = properties.pop(_CLIENT_ID_PREFIX, None)
        if prefix is not None:
            properties["client.id"] = f"{prefix}-source"
        clients = Clients(
            {
                **_DEFAULTS,
                "group.id": "millpond-without-group",
                **translate(properties),
                "enable.partition.eof": "true",
                "auto.offset.reset": self._starting.reset_strategy.property_value,
            }
        )
        clients.consumer().close()
        return KafkaSource(
            clients,
            KafkaSourceSettings(
                self._subscription,
                self._schema,
                self._starting,
                stopping,
                bounded=self._bounded,
                discovery_interval_ms=None if self._bounded or interval_ms <= 0 else interval_ms,
                commits=commits,
            ),
        )


def _flag(name: str, value: str) -> bool:
    if value.lower() not in {"true", "false"}:
        raise ConfigurationError(f"The property {name} is true or false.", value=value)
    return value.lower() == "true"


def _whole(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise ConfigurationError(f"The property {name} is no number.", value=value) from error
