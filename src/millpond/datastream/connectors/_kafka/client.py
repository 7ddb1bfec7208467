"""Clients of the package confluent-kafka: opening them, and turning their errors into ours."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from millpond.errors import ConfigurationError, ConnectorError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = (
    "REQUEST_TIMEOUT_S",
    "Clients",
    "connector_error",
    "kafka_package",
)

REQUEST_TIMEOUT_S: Final = 60.0
"""How long a call waits for a broker: Java's default.api.timeout.ms."""

_logger = logging.getLogger("millpond.kafka")

_HINTS: Final = {
    "_ALL_BROKERS_DOWN": "Check bootstrap.servers, and that the brokers can be reached.",
    "_TRANSPORT": "Check bootstrap.servers, and that the brokers can be reached.",
    "_TIMED_OUT": "Check bootstrap.servers, and that the brokers can be reached.",
    "_RESOLVE": "Check the host names in bootstrap.servers.",
    "_AUTHENTICATION": "Check security.protocol and the sasl.* properties.",
    "SASL_AUTHENTICATION_FAILED": "Check security.protocol and the sasl.* properties.",
    "_SSL": "Check security.protocol and the ssl.* properties.",
    "TOPIC_AUTHORIZATION_FAILED": "Give the user the right to the topic.",
    "GROUP_AUTHORIZATION_FAILED": "Give the user the right to the consumer group.",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "Give the user the right to the transactional id.",
    "UNKNOWN_TOPIC_OR_PART": "Create the topic first.",
    "_UNKNOWN_TOPIC": "Create the topic first.",
    "_UNKNOWN_PARTITION": "The topic has no such partition.",
    "_AUTO_OFFSET_RESET": "Its records are deleted, or the topic was made anew: start from other "
    "offsets, or choose a KafkaOffsetResetStrategy.",
    "MSG_SIZE_TOO_LARGE": "Raise max.request.size, and the topic's max.message.bytes.",
    "_FENCED": "Another producer has taken over the transactional id: give each sink and job a "
    "transactional id prefix of its own.",
    "INVALID_PRODUCER_EPOCH": "Another producer has taken over the transactional id: give each "
    "sink and job a transactional id prefix of its own.",
}


def kafka_package() -> Any:
    """Return the module `confluent_kafka`. Raises MissingDependencyError."""
    try:
        import confluent_kafka
    except ImportError as error:
        raise MissingDependencyError(
            "Kafka needs the package confluent-kafka.", hint="pip install 'millpond[kafka]'"
        ) from error
    return confluent_kafka


def connector_error(what: str, error: Any, **context: object) -> ConnectorError:
    """Return what a Kafka error means to a user; takes a `KafkaError` or a `KafkaException`."""
    reason = error.args[0] if isinstance(error, BaseException) and error.args else error
    name = reason.name() if hasattr(reason, "name") else type(error).__name__
    text = reason.str() if hasattr(reason, "str") else str(error)
    return ConnectorError(f"{what}: {text.rstrip('.')} ({name}).", hint=_HINTS.get(name), **context)


class Clients:
    """Opens clients with one set of librdkafka's properties.

    Everything that talks to Kafka gets its clients here, so tests may put others in their place.
    It is pickled with its source or sink; the clients are not.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self.properties = dict(properties)

    def with_default(self, name: str, value: Any) -> Clients:
        """Return clients for which a property has a value where none was set."""
        return Clients({name: value, **self.properties})

    def consumer(self, on_error: Callable[[Any], None] | None = None, **properties: Any) -> Any:
        """Return a consumer; `properties` are spelled with underscores.

        Raises:
            ConfigurationError: a property is unknown or has a wrong value.
        """
        return self._open(kafka_package().Consumer, properties, on_error)

    def producer(self, on_error: Callable[[Any], None] | None = None, **properties: Any) -> Any:
        """Return a producer; `properties` are spelled with underscores.

        Raises:
            ConfigurationError: a property is unknown or has a wrong value.
        """
        return self._open(kafka_package().Producer, properties, on_error)

    def partition(self, topic: str, partition: int, offset: int, metadata: str = "") -> Any:
        """Return the client's name for a partition, with an offset."""
        return kafka_package().TopicPartition(topic, partition, offset, metadata)

    @staticmethod
    def log(error: Any) -> None:
        """Log an error that passes by itself, or harms nothing."""
        _logger.warning("Kafka: %s", error)

    @staticmethod
    def log_commit(error: Any, _partitions: Any) -> None:
        """Log that committing offsets failed: recovery does not need them."""
        if error is not None:
            _logger.warning("Kafka's offsets could not be committed: %s", error)

    def _open(
        self, kind: Any, properties: Mapping[str, Any], on_error: Callable[[Any], None] | None
    ) -> Any:
        merged = {
            **self.properties,
            **{
                name if name.startswith("on_") else name.replace("_", "."): value
                for name, value in properties.items()
            },
            "error_cb": on_error or self.log,
        }
        try:
            return kind(merged, logger=_logger)
        except kafka_package().KafkaException as error:
            text = error.args[0].str()
            raise ConfigurationError(
                f"Kafka's client refuses its properties: {text}.",
                hint="Names are those of librdkafka's CONFIGURATION.md; many Java names are "
                "translated.",
            ) from error
