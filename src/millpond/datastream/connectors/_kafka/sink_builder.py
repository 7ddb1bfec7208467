"""`KafkaSinkBuilder`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self, final

from millpond.datastream.connectors._kafka.client import Clients
from millpond.datastream.connectors._kafka.properties import property_text, translate
from millpond.datastream.connectors._kafka.record_serializer import KafkaRecordSerializationSchema
from millpond.datastream.connectors._kafka.sink import KafkaSink, KafkaSinkSettings
from millpond.datastream.connectors.base import DeliveryGuarantee
from millpond.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("KafkaSinkBuilder",)

_MAXIMUM_PREFIX_BYTES: Final = 64_000
# Java's clients put a key into the same partition, and order and repeat messages likewise.
_DEFAULTS: Final = {"partitioner": "murmur2_random"}
_AGAINST_IDEMPOTENCE: Final = frozenset(
    {
        "acks",
        "request.required.acks",
        "retries",
        "max.in.flight.requests.per.connection",
        "enable.idempotence",
        "message.send.max.retries",
        "max.in.flight",
    }
)


@final
class KafkaSinkBuilder:
    """Builds a `KafkaSink`; bootstrap servers and a record serializer are needed."""

    def __init__(self) -> None:
        self._properties: dict[str, str] = {}
        self._guarantee = DeliveryGuarantee.NONE
        self._prefix: str | None = None
        self._serializer: KafkaRecordSerializationSchema | None = None

    def set_bootstrap_servers(self, bootstrap_servers: str) -> Self:
        """Set the brokers to ask first: ``host:port``, separated by commas."""
        return self.set_property("bootstrap.servers", bootstrap_servers)

    def set_delivery_guarantee(self, delivery_guarantee: DeliveryGuarantee) -> Self:
        """Set how often a record comes out when the job fails; NONE promises nothing."""
        self._guarantee = DeliveryGuarantee(delivery_guarantee)
        return self

    def set_transactional_id_prefix(self, transactional_id_prefix: str) -> Self:
        """Set how the transactional ids begin; each sink and each job needs one of its own.

        It must remain the same over restarts: the notes of what was written are found by it.

        Raises:
            ConfigurationError: it is longer than 64 000 bytes.
        """
        if len(transactional_id_prefix.encode()) > _MAXIMUM_PREFIX_BYTES:
            raise ConfigurationError(
                "The transactional id prefix is too long.", maximum_bytes=_MAXIMUM_PREFIX_BYTES
            )
        self._prefix = transactional_id_prefix
        return self

    def set_record_serializer(self, record_serializer: KafkaRecordSerializationSchema) -> Self:
        """Set what makes messages of records. Raises ConfigurationError."""
        if not isinstance(record_serializer, KafkaRecordSerializationSchema):
            raise ConfigurationError(
                f"{record_serializer!r} is no KafkaRecordSerializationSchema.",
                hint="Use KafkaRecordSerializationSchema.builder().",
            )
        self._serializer = record_serializer
        return self

    def set_property(self, key: str, value: str) -> Self:
        """Set a property of the producer, under Java's or librdkafka's name."""
        self._properties[key] = property_text(value)
        return self

    def build(self) -> KafkaSink:
        """Return the sink; no broker is asked yet.

        Raises:
            ConfigurationError: something is missing, or a property is unknown or malformed.
            MissingDependencyError: confluent-kafka is not installed.
        """
        if "bootstrap.servers" not in self._properties:
            raise ConfigurationError("A Kafka sink needs set_bootstrap_servers().")
        if self._serializer is None:
            raise ConfigurationError("A Kafka sink needs set_record_serializer().")
        if self._guarantee is DeliveryGuarantee.EXACTLY_ONCE and not self._prefix:
            raise ConfigurationError(
                "A Kafka sink with EXACTLY_ONCE needs set_transactional_id_prefix().",
                hint="Choose one that no other sink and no other job uses.",
            )
        if "transactional.id" in self._properties:
            raise ConfigurationError(
                "The property transactional.id is the sink's own.",
                hint="Call set_transactional_id_prefix().",
            )
        clients = Clients({**_DEFAULTS, **_idempotent(translate(self._properties))})
        clients.producer().close()
        return KafkaSink(
            clients, KafkaSinkSettings(self._serializer, self._guarantee, self._prefix or "")
        )


def _idempotent(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the properties with Java's default: idempotent, unless something speaks against it."""
    if _AGAINST_IDEMPOTENCE.isdisjoint(properties):
        return {"enable.idempotence": "true", **properties}
    return dict(properties)
