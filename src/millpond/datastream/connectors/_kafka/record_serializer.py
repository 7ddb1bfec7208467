"""`KafkaRecordSerializationSchema`: from a record to topic, key and value of a message."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self, final

from millpond.common.serialization import SerializationSchema
from millpond.errors import ConfigurationError, SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = (
    "KafkaRecordSerializationSchema",
    "KafkaRecordSerializationSchemaBuilder",
    "KafkaTopicSelector",
)


class KafkaTopicSelector(ABC):
    """Chooses the topic of each record; derive from it, or use a function."""

    @abstractmethod
    def apply(self, data: Any) -> str:
        """Return the topic's name."""


@final
class KafkaRecordSerializationSchema(SerializationSchema):
    """Makes messages of records; get one from `builder`."""

    def __init__(
        self,
        topic: str | None,
        select_topic: Callable[[Any], str] | None,
        key: SerializationSchema | None,
        value: SerializationSchema,
    ) -> None:
        self._topic = topic
        self._select_topic = select_topic
        self._key = key
        self._value = value

    @staticmethod
    def builder() -> KafkaRecordSerializationSchemaBuilder:
        """Return a builder."""
        return KafkaRecordSerializationSchemaBuilder()

    def serialize(self, element: Any) -> bytes:
        """Return the message's value. Raises SerializationError."""
        return self._value.serialize(element)

    def message(self, element: Any) -> tuple[str, bytes | None, bytes | None]:
        """Return topic, key and value; a value of None is a tombstone.

        Raises:
            SerializationError: a schema does not take the record, or no topic was selected.
        """
        topic = self._topic
        if self._select_topic is not None:
            topic = self._select_topic(element)
        if not isinstance(topic, str) or not topic:
            raise SerializationError("The topic selector returned no topic.", topic=repr(topic))
        key = self._key
        return (
            topic,
            None if key is None else key.serialize(element),
            self._value.serialize(element),
        )


@final
class KafkaRecordSerializationSchemaBuilder:
    """Builds a `KafkaRecordSerializationSchema`; a topic and a schema of values are needed."""

    def __init__(self) -> None:
        self._topic: str | None = None
        self._select_topic: Callable[[Any], str] | None = None
        self._key: SerializationSchema | None = None
        self._value: SerializationSchema | None = None

    def set_topic(self, topic: str) -> Self:
        """Write all records to one topic."""
        if not isinstance(topic, str) or not topic:
            raise ConfigurationError("The topic is no name.", topic=repr(topic))
        self._topic, self._select_topic = topic, None
        return self

    def set_topic_selector(self, topic_selector: Callable[[Any], str] | KafkaTopicSelector) -> Self:
        """Choose the topic for each record.

        Raises:
            TypeError: it is neither a KafkaTopicSelector nor callable.
        """
        if isinstance(topic_selector, KafkaTopicSelector):
            topic_selector = topic_selector.apply
        if not callable(topic_selector):
            raise TypeError("topic_selector must be KafkaTopicSelector or a callable")
        self._topic, self._select_topic = None, topic_selector
        return self

    def set_key_serialization_schema(self, key_serialization_schema: SerializationSchema) -> Self:
        """Set what makes keys; without one messages have none. Raises ConfigurationError."""
        self._key = _checked(key_serialization_schema)
        return self

    def set_value_serialization_schema(
        self, value_serialization_schema: SerializationSchema
    ) -> Self:
        """Set what makes values. Raises ConfigurationError."""
        self._value = _checked(value_serialization_schema)
        return self

    def build(self) -> KafkaRecordSerializationSchema:
        """Return the schema.

        Raises:
            ConfigurationError: the topic or the schema of values is missing.
        """
        if self._topic is None and self._select_topic is None:
            raise ConfigurationError("A Kafka record needs set_topic() or set_topic_selector().")
        if self._value is None:
            raise ConfigurationError("A Kafka record needs set_value_serialization_schema().")
        return KafkaRecordSerializationSchema(
            self._topic, self._select_topic, self._key, self._value
        )


def _checked(schema: SerializationSchema) -> SerializationSchema:
    if not isinstance(schema, SerializationSchema):
        raise ConfigurationError(f"{schema!r} is no SerializationSchema.")
    return schema
