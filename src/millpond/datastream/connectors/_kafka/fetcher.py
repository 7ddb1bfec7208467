"""`Fetcher`: one consumer that reads for all splits of a source in this process."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, final

from millpond.datastream.connectors._kafka.client import connector_error, kafka_package

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.datastream.connectors._kafka.client import Clients
    from millpond.datastream.connectors._kafka.topic_partition import KafkaTopicPartition

__all__ = ("Fetched", "Fetcher")

_MESSAGES_AT_ONCE: Final = 4096
_FULL_MESSAGES: Final = 20_000
_FULL_BYTES: Final = 16 << 20
_FATAL: Final = frozenset({"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "_FATAL"})


@final
class Fetched:
    """What has come of one partition and was not taken yet.

    Attributes:
        messages: in the order of their offsets.
        end: where the consumer last found the partition's end, -1 before.
    """

    __slots__ = ("end", "messages", "name", "partition", "paused", "size_bytes")

    def __init__(self, partition: KafkaTopicPartition, name: Any) -> None:
        self.partition = partition
        self.name = name
        self.messages: deque[Any] = deque()
        self.end = -1
        self.size_bytes = 0
        self.paused = False

    def take(self) -> Any:
        """Remove and return the next message."""
        message = self.messages.popleft()
        self.size_bytes -= len(message)
        return message


@final
class Fetcher:
    """Belongs to the task thread. Errors that do not pass by themselves raise ConnectorError.

    A partition whose messages are not taken is paused, so that memory is bounded: 20 000 messages
    or 16 MiB each, and what librdkafka itself holds (``queued.max.messages.kbytes``).
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._failure: Any = None
        self._consumer = clients.consumer(self._on_error, on_commit=clients.log_commit)
        self._open: dict[tuple[str, int], Fetched] = {}

    @property
    def is_idle(self) -> bool:
        """Whether it reads no partition."""
        return not self._open

    def open(self, partition: KafkaTopicPartition, offset: int) -> Fetched:
        """Begin to read a partition."""
        name = self._clients.partition(partition.topic, partition.partition, offset)
        fetched = Fetched(partition, name)
        try:
            self._consumer.incremental_assign([name])
        except kafka_package().KafkaException as error:
            raise connector_error("Reading cannot begin", error, partition=partition) from error
        self._open[partition.topic, partition.partition] = fetched
        return fetched

    def close(self, fetched: Fetched) -> None:
        """Read a partition no more; may be called twice."""
        partition = fetched.partition
        if self._open.pop((partition.topic, partition.partition), None) is not None:
            self._consumer.incremental_unassign([fetched.name])

    def close_consumer(self) -> None:
        """Close the connections; commits under way are waited for."""
        self._open.clear()
        self._consumer.close()

    def poll(self) -> None:
        """Take what has come, without waiting."""
        open_partitions = self._open
        for message in self._consumer.consume(_MESSAGES_AT_ONCE, timeout=0):
            fetched = open_partitions.get((message.topic(), message.partition()))
            error = message.error()
            if error is None:
                if fetched is not None:
                    fetched.messages.append(message)
                    fetched.size_bytes += len(message)
            elif error.name() == "_PARTITION_EOF":
                if fetched is not None:
                    fetched.end = message.offset()
            elif fetched is not None or message.topic() is None:
                self._raise(error, None if fetched is None else fetched.partition)
        if self._failure is not None:
            self._raise(self._failure, None)
        for fetched in open_partitions.values():
            if not fetched.paused and _is_full(fetched):
                self._consumer.pause([fetched.name])
                fetched.paused = True

    def resume(self, fetched: Fetched) -> None:
        """Go on reading a partition whose messages were taken."""
        if fetched.paused:
            self._consumer.resume([fetched.name])
            fetched.paused = False

    def high_watermark(self, fetched: Fetched) -> int:
        """Return the partition's end as the last answer of the broker told it."""
        bounds = self._consumer.get_watermark_offsets(fetched.name, cached=True)
        return -1 if bounds is None else int(bounds[1])

    def commit(self, offsets: Mapping[KafkaTopicPartition, int]) -> None:
        """Tell the brokers how far the group is, without waiting; failures are logged."""
        self._consumer.commit(
            offsets=[
                self._clients.partition(each.topic, each.partition, offset)
                for each, offset in offsets.items()
            ],
            asynchronous=True,
        )

    def _on_error(self, error: Any) -> None:
        if error.fatal() or error.name() in _FATAL:
            self._failure = self._failure or error
        else:
            self._clients.log(error)

    @staticmethod
    def _raise(error: Any, partition: KafkaTopicPartition | None) -> None:
        context = {} if partition is None else {"partition": partition}
        raise connector_error("Kafka cannot be read", error, **context)


def _is_full(fetched: Fetched) -> bool:
    return len(fetched.messages) >= _FULL_MESSAGES or fetched.size_bytes >= _FULL_BYTES
