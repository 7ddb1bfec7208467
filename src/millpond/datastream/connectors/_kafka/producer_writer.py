"""`ProducerWriter`: sends records as they come; they are visible at once."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, final

from millpond.datastream.connectors._kafka.client import Clients, connector_error, kafka_package
from millpond.datastream.connectors.sink import Committable, SinkWriter

if TYPE_CHECKING:
    from millpond.datastream.connectors._kafka.record_serializer import (
        KafkaRecordSerializationSchema,
    )

__all__ = ("ProducerWriter", "produce")

_FULL_QUEUE_WAIT_S: Final = 0.05
_CLOSE_TIMEOUT_S: Final = 1.0


@final
class ProducerWriter(SinkWriter):
    """At least once with `flushes`: a barrier passes when brokers have all that came before it.

    A message that cannot be delivered fails the job, at the latest at the next barrier.
    Flink: KafkaWriter.
    """

    def __init__(
        self, clients: Clients, serializer: KafkaRecordSerializationSchema, *, flushes: bool
    ) -> None:
        self._serializer = serializer
        self._flushes = flushes
        self._failure: tuple[Any, Any] | None = None
        self._producer: Any = clients.producer(
            on_delivery=self._delivered, delivery_report_only_error=True
        )

    def write(self, values: list[Any], timestamps: list[int] | None) -> None:
        producer, message = self._producer, self._serializer.message
        for value, timestamp in zip(values, timestamps or repeat(None), strict=False):
            produce(producer, message(value), timestamp)
        producer.poll(0)
        self._check()

    def prepare_commit(self, *, end_of_input: bool) -> list[Committable]:
        if self._flushes or end_of_input:
            self._producer.flush()
        self._check()
        return []

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            if producer.flush(_CLOSE_TIMEOUT_S):
                producer.purge()
            producer.close()

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None and self._failure is None:
            self._failure = error, message.topic()

    def _check(self) -> None:
        if self._failure is not None:
            error, topic = self._failure
            raise connector_error("A record could not be delivered", error, topic=topic)


def produce(
    producer: Any, message: tuple[str, bytes | None, bytes | None], timestamp: int | None
) -> None:
    """Hand a message to a producer, as soon as its queue has room. Raises ConnectorError."""
    topic, key, value = message
    # Java has no timestamp then, and takes the present; to librdkafka that is 0.
    timestamp = timestamp if timestamp is not None and timestamp > 0 else 0
    while True:
        try:
            producer.produce(topic, value, key, timestamp=timestamp)
        except BufferError:
            producer.poll(_FULL_QUEUE_WAIT_S)
        except kafka_package().KafkaException as error:
            raise connector_error("A record could not be sent", error, topic=topic) from error
        else:
            return
