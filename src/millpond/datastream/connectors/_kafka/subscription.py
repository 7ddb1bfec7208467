"""What a source reads: topics by name or pattern, or partitions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol, final

from millpond.datastream.connectors._kafka.topic_partition import KafkaTopicPartition
from millpond.errors import ConfigurationError, ConnectorError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ("Partitions", "Subscription", "TopicPattern", "Topics")


class Subscription(Protocol):
    """Finds partitions among all that the brokers have."""

    def find(self, topics: Mapping[str, Collection[int]]) -> Sequence[KafkaTopicPartition]:
        """Return partitions in a stable order. Raises ConnectorError."""
        ...


def _all_of(
    names: Collection[str], topics: Mapping[str, Collection[int]]
) -> Sequence[KafkaTopicPartition]:
    return [KafkaTopicPartition(name, partition) for name in names for partition in topics[name]]


@final
class Topics:
    """All partitions of the named topics, which must exist."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = sorted(set(names))

    def find(self, topics: Mapping[str, Collection[int]]) -> Sequence[KafkaTopicPartition]:
        """Return the partitions. Raises ConnectorError."""
        missing = [name for name in self._names if name not in topics]
        if missing:
            raise ConnectorError(
                "A topic does not exist.",
                hint="Create it first; set_topic_pattern() reads topics that come later.",
                topics=", ".join(missing),
            )
        return _all_of(self._names, topics)


@final
class TopicPattern:
    """All partitions of topics whose whole name matches a regular expression.

    Raises:
        ConfigurationError: it is none.
    """

    def __init__(self, pattern: str) -> None:
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise ConfigurationError(
                f"The topic pattern is no regular expression: {error}.", pattern=pattern
            ) from error

    def find(self, topics: Mapping[str, Collection[int]]) -> Sequence[KafkaTopicPartition]:
        """Return the partitions; none if no topic matches."""
        return _all_of(sorted(filter(self._pattern.fullmatch, topics)), topics)


@final
class Partitions:
    """Named partitions, which must exist."""

    def __init__(self, partitions: Collection[KafkaTopicPartition]) -> None:
        self._partitions = sorted(set(partitions), key=lambda each: (each.topic, each.partition))

    def find(self, topics: Mapping[str, Collection[int]]) -> Sequence[KafkaTopicPartition]:
        """Return the partitions. Raises ConnectorError."""
        missing = [
            str(each)
            for each in self._partitions
            if each.partition not in topics.get(each.topic, ())
        ]
        if missing:
            raise ConnectorError(
                "A partition does not exist.",
                hint="Create it first; set_topics() reads all that a topic has.",
                partitions=", ".join(missing),
            )
        return self._partitions
