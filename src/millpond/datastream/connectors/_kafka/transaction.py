"""`Transactions`: writes the records of complete checkpoints, each exactly once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, final

from millpond.datastream.connectors._kafka.client import (
    REQUEST_TIMEOUT_S,
    Clients,
    connector_error,
    kafka_package,
)
from millpond.datastream.connectors._kafka.commit_note import CommitNote
from millpond.datastream.connectors._kafka.producer_writer import produce
from millpond.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("Transactions", "note_group")

_CONNECTION: Final = (
    "bootstrap.", "broker.", "client.", "debug", "enable.ssl.", "metadata.", "reconnect.",
    "retry.", "sasl.", "security.", "socket.", "ssl.", "topic.metadata.",
)  # fmt: skip
"""How the names of properties begin that concern the connection, not what it is used for."""
_TRIES: Final = 5
_logger = logging.getLogger(__name__)


def note_group(transactional_id: str) -> str:
    """Return the consumer group whose committed offset carries the notes of a writer."""
    return f"millpond-{transactional_id}"


@final
class Transactions:
    """The transactions of one sink in this process, by transactional id.

    A committable's records and the note that they were written stand in one Kafka transaction. So
    whoever recovers reads the note, and writes them only if it does not hold them. See decision
    0058. Used by the task thread.
    """

    def __init__(self, clients: Clients, *, strict: bool) -> None:
        self._clients = clients
        self._strict = strict
        self._open: dict[str, _Transaction] = {}

    def commit(self, committable: Mapping[str, Any]) -> None:
        """Write the records, unless that was done. Raises ConnectorError."""
        transactional_id = committable["id"]
        transaction = self._open.get(transactional_id)
        try:
            if transaction is None:
                transaction = _Transaction(self._clients, transactional_id, committable["topic"])
                self._open[transactional_id] = transaction
                transaction.take_over()
            transaction.commit(committable, strict=self._strict)
        except BaseException:
            # Whether it went through is not known: the note will tell who tries again.
            if self._open.pop(transactional_id, None) is not None and transaction is not None:
                transaction.abort()
                transaction.close()
            raise

    def has_written(self, transactional_id: str, epoch: str) -> bool:
        """Return whether a note of this epoch is known to be with the brokers."""
        transaction = self._open.get(transactional_id)
        return transaction is not None and transaction.epoch == epoch

    def close(self) -> None:
        """Close the connections; nothing is under way between two commits."""
        for transaction in self._open.values():
            transaction.close()
        self._open.clear()


@final
class _Transaction:
    def __init__(self, clients: Clients, transactional_id: str, topic: str) -> None:
        self._clients = clients
        self._id = transactional_id
        self._topic = topic
        self._group = note_group(transactional_id)
        self._note: CommitNote | None = None
        self._failure: tuple[Any, str] | None = None
        self._producer: Any = clients.producer(
            transactional_id=transactional_id,
            on_delivery=self._delivered,
            delivery_report_only_error=True,
        )
        connection = {
            name: value
            for name, value in clients.properties.items()
            if name.startswith(_CONNECTION)
        }
        self._reader: Any = Clients(connection).consumer(
            group_id=self._group, isolation_level="read_committed", enable_auto_commit=False
        )

    @property
    def epoch(self) -> str | None:
        """The epoch of the last note, if there is one."""
        return None if self._note is None else self._note.epoch

    def take_over(self) -> None:
        """Abort what a former owner left open, keep it out, then read the last note.

        The order matters: after it a former owner's transaction is either in the note or void.
        """
        self._ask("The transactional id cannot be taken over", self._producer.init_transactions)
        name = self._clients.partition(self._topic, 0, -1001)
        answer = self._ask("The last note cannot be read", self._reader.committed, [name])[0]
        if answer.error is not None:
            raise connector_error("The last note cannot be read", answer.error, group=self._group)
        if answer.offset >= 0:
            self._note = CommitNote.decode(answer.metadata or "", self._group)

    def commit(self, committable: Mapping[str, Any], *, strict: bool) -> None:
        epoch, number, topic = committable["epoch"], committable["number"], committable["topic"]
        if topic != self._topic:
            self._topic, self._note = topic, None
            self.take_over()
        note = self._note
        if note is not None and note.holds(epoch, number):
            return
        if note is None and committable["follows"] and strict:
            raise ConnectorError(
                "Kafka has forgotten which transactions of the sink went through, so records could "
                "come twice.",
                hint="Brokers forget it after offsets.retention.minutes. Start once with "
                "DeliveryGuarantee.AT_LEAST_ONCE to accept that.",
                group=self._group,
            )
        self._write(committable["records"], (note or CommitNote(epoch)).after(epoch, number))

    def _write(self, records: list[Any], note: CommitNote) -> None:
        producer = self._producer
        what = "A transaction failed"
        self._ask(what, producer.begin_transaction, timed=False)
        for topic, key, value, timestamp in records:
            produce(producer, (topic, key, value), timestamp)
        producer.flush()
        if self._failure is not None:
            error, topic = self._failure
            raise connector_error("A record could not be delivered", error, topic=topic)
        offset = self._clients.partition(self._topic, 0, note.floor, note.encode())
        member = self._reader.consumer_group_metadata()
        self._ask(what, producer.send_offsets_to_transaction, [offset], member)
        self._ask(what, producer.commit_transaction)
        self._note = note

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None and self._failure is None:
            self._failure = error, message.topic()

    def abort(self) -> None:
        """Give up what is under way, as far as that is possible; the next owner does it anyway."""
        try:
            self._producer.purge()
            self._producer.abort_transaction(10.0)
        except kafka_package().KafkaException as error:
            _logger.debug("Kafka: %s", error)

    def close(self) -> None:
        self._reader.close()
        self._producer.purge()
        self._producer.close()

    def _ask(self, what: str, call: Callable[..., Any], *arguments: Any, timed: bool = True) -> Any:
        tries_left = _TRIES
        timeout = (REQUEST_TIMEOUT_S,) if timed else ()
        while True:
            try:
                return call(*arguments, *timeout)
            except kafka_package().KafkaException as error:
                tries_left -= 1
                if not tries_left or not error.args[0].retriable():
                    raise connector_error(what, error, transactional_id=self._id) from error
