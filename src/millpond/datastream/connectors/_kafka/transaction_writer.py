"""`TransactionWriter`: holds records until a checkpoint that has them is complete."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, final

from millpond.datastream.connectors._kafka.client import (
    REQUEST_TIMEOUT_S,
    connector_error,
    kafka_package,
)
from millpond.datastream.connectors.sink import Committable, SinkWriter
from millpond.errors import ConnectorError

if TYPE_CHECKING:
    from millpond.clock import Clock
    from millpond.datastream.connectors._kafka.client import Clients
    from millpond.datastream.connectors._kafka.record_serializer import (
        KafkaRecordSerializationSchema,
    )
    from millpond.datastream.connectors._kafka.transaction import Transactions

__all__ = ("TransactionWriter",)

_TRANSACTION_BYTES: Final = 16 << 20
_DEFAULT_MESSAGE_BYTES: Final = 1_000_000
_MAYBE_NEW: Final = frozenset({"UNKNOWN_TOPIC_OR_PART", "LEADER_NOT_AVAILABLE"})
_TOPIC_TRIES: Final = 25
_TOPIC_PAUSE_S: Final = 0.2


@final
class TransactionWriter(SinkWriter):
    """Turns the records between two barriers into committables that hold the records themselves.

    So they are in the checkpoint, and no transaction is open before it is complete. What would make
    a later transaction fail for good is found while the record can still be refused: a topic that
    does not exist, a message that is too large.

    Args:
        transactional_id: of this subtask.
        epoch: a name that no other writer has or had.
    """

    def __init__(
        self,
        clients: Clients,
        serializer: KafkaRecordSerializationSchema,
        transactions: Transactions,
        transactional_id: str,
        epoch: str,
        clock: Clock,
    ) -> None:
        self._clients = clients
        self._serializer = serializer
        self._transactions = transactions
        self._id = transactional_id
        self._epoch = epoch
        self._clock = clock
        self._largest = int(clients.properties.get("message.max.bytes", _DEFAULT_MESSAGE_BYTES))
        self._topics: set[str] = set()
        self._note_topic: str | None = None
        self._number = 0
        self._committables: list[Committable] = []
        self._records: list[Any] = []
        self._size_bytes = 0

    def write(self, values: list[Any], timestamps: list[int] | None) -> None:
        message, topics, largest = self._serializer.message, self._topics, self._largest
        for value, timestamp in zip(values, timestamps or repeat(None), strict=False):
            topic, key, data = message(value)
            if topic not in topics:
                self._check_topic(topic)
            size = len(key or b"") + len(data or b"")
            if size > largest:
                raise ConnectorError(
                    f"A record of {size} bytes is larger than max.request.size.",
                    hint="Raise max.request.size, and the topic's max.message.bytes.",
                    topic=topic,
                    maximum=largest,
                )
            self._records.append((topic, key, data, timestamp))
            self._size_bytes += size
            if self._size_bytes >= _TRANSACTION_BYTES:
                self._finish_transaction()

    def prepare_commit(self, *, end_of_input: bool) -> list[Committable]:
        self._finish_transaction()
        committables, self._committables = self._committables, []
        return committables

    def _finish_transaction(self) -> None:
        records, self._records, self._size_bytes = self._records, [], 0
        if not records:
            return
        if self._note_topic is None:
            self._note_topic = records[0][0]
        self._number += 1
        self._committables.append(
            {
                "id": self._id,
                "epoch": self._epoch,
                "number": self._number,
                "topic": self._note_topic,
                "follows": self._transactions.has_written(self._id, self._epoch),
                "records": records,
            }
        )

    def _check_topic(self, topic: str) -> None:
        # Brokers may create a topic when they are asked for it, and need a moment.
        producer = self._clients.producer()
        try:
            for tries_left in reversed(range(_TOPIC_TRIES)):
                found = producer.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic]
                if found.error is None and found.partitions:
                    self._topics.add(topic)
                    return
                maybe_new = found.error is None or found.error.name() in _MAYBE_NEW
                if not maybe_new or not tries_left:
                    raise connector_error("The topic cannot be written", found.error, topic=topic)
                self._clock.sleep(_TOPIC_PAUSE_S)
        except kafka_package().KafkaException as error:
            raise connector_error("The topic cannot be written", error, topic=topic) from error
        finally:
            producer.close()

    def close(self) -> None:
        self._records.clear()
        self._transactions.close()
