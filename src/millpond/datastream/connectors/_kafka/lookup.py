"""`Lookup`: asks brokers for topics, partitions and offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

from millpond.datastream.connectors._kafka.client import (
    REQUEST_TIMEOUT_S,
    Clients,
    connector_error,
    kafka_package,
)
from millpond.datastream.connectors._kafka.topic_partition import KafkaTopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ("Lookup",)


@final
class Lookup:
    """A short talk with the brokers; use it as a context manager.

    All methods raise ConnectorError when the brokers do not answer in time.
    """

    def __init__(self, clients: Clients, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self._clients = clients
        self._timeout_s = timeout_s
        self._failure: Any = None

    def __enter__(self) -> Self:
        self._consumer = self._clients.consumer(self._failed)
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def _failed(self, error: Any) -> None:
        # The first says why; those that follow say that there is no broker left.
        self._failure = self._failure or error

    def partitions(self) -> Mapping[str, Collection[int]]:
        """Return the partitions of all topics, except for those that have none."""
        metadata = self._ask("The topics cannot be listed", self._consumer.list_topics)
        return {
            name: sorted(topic.partitions)
            for name, topic in metadata.topics.items()
            if topic.error is None and topic.partitions
        }

    def earliest(
        self, partitions: Collection[KafkaTopicPartition]
    ) -> dict[KafkaTopicPartition, int]:
        """Return the offsets of the oldest records."""
        return {each: self._bounds(each)[0] for each in partitions}

    def latest(self, partitions: Collection[KafkaTopicPartition]) -> dict[KafkaTopicPartition, int]:
        """Return the offsets behind the newest records."""
        return {each: self._bounds(each)[1] for each in partitions}

    def at_time(
        self, partitions: Collection[KafkaTopicPartition], timestamp_ms: int
    ) -> dict[KafkaTopicPartition, int]:
        """Return the offsets of the first records of that time or later, or behind the newest."""
        what = "Offsets cannot be looked up by time"
        found = self._of(
            self._ask(
                what, self._consumer.offsets_for_times, self._named(partitions, timestamp_ms)
            ),
            what,
        )
        return {**found, **self.latest([each for each in partitions if each not in found])}

    def committed(
        self, partitions: Collection[KafkaTopicPartition]
    ) -> dict[KafkaTopicPartition, int]:
        """Return the group's committed offsets, for partitions that have one."""
        if not partitions:
            return {}
        what = "The committed offsets cannot be read"
        return self._of(self._ask(what, self._consumer.committed, self._named(partitions)), what)

    def commit(self, offsets: Mapping[KafkaTopicPartition, int]) -> None:
        """Commit offsets of the group."""
        named = [
            self._clients.partition(each.topic, each.partition, offset)
            for each, offset in offsets.items()
        ]
        try:
            self._consumer.commit(offsets=named, asynchronous=False)
        except kafka_package().KafkaException as error:
            raise connector_error("The offsets cannot be committed", error) from error

    def _bounds(self, partition: KafkaTopicPartition) -> tuple[int, int]:
        what = "The offsets of a partition cannot be read"
        name = self._clients.partition(partition.topic, partition.partition, -1)
        bounds = self._ask(what, self._consumer.get_watermark_offsets, name, partition=partition)
        return bounds[0], bounds[1]

    def _named(self, partitions: Collection[KafkaTopicPartition], offset: int = -1001) -> list[Any]:
        return [self._clients.partition(each.topic, each.partition, offset) for each in partitions]

    @staticmethod
    def _of(answers: Collection[Any], what: str) -> dict[KafkaTopicPartition, int]:
        found = {}
        for answer in answers:
            partition = KafkaTopicPartition(answer.topic, answer.partition)
            if answer.error is not None:
                raise connector_error(what, answer.error, partition=partition)
            if answer.offset >= 0:
                found[partition] = answer.offset
        return found

    def _ask(self, what: str, call: Callable[..., Any], *arguments: Any, **context: object) -> Any:
        try:
            return call(*arguments, timeout=self._timeout_s)
        except kafka_package().KafkaException as error:
            servers = self._clients.properties.get("bootstrap.servers")
            raise connector_error(
                what, self._failure or error, bootstrap_servers=servers, **context
            ) from error
