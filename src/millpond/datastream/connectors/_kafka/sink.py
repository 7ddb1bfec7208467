"""`KafkaSink`: records as messages of topics, with any of the three delivery guarantees."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from millpond.datastream.connectors._kafka.producer_writer import ProducerWriter
from millpond.datastream.connectors._kafka.transaction import Transactions
from millpond.datastream.connectors._kafka.transaction_writer import TransactionWriter
from millpond.datastream.connectors.base import (
    DeliveryGuarantee,
    StreamTransformer,
    SupportsPreprocessing,
)
from millpond.datastream.connectors.sink import Committable, Sink, SinkWriter, SinkWriterContext

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from millpond.datastream.connectors._kafka.client import Clients
    from millpond.datastream.connectors._kafka.record_serializer import (
        KafkaRecordSerializationSchema,
    )
    from millpond.datastream.connectors._kafka.sink_builder import KafkaSinkBuilder

__all__ = ("KafkaSink", "KafkaSinkSettings")

_DELIVERY_TIMEOUT: Final = "delivery.timeout.ms"
_JAVA_DELIVERY_TIMEOUT_MS: Final = 120_000


def _unique_name() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class KafkaSinkSettings:
    """What a builder gathered."""

    serializer: KafkaRecordSerializationSchema
    guarantee: DeliveryGuarantee
    transactional_id_prefix: str


@final
class KafkaSink(Sink, SupportsPreprocessing):
    """Writes messages; get one from `builder`.

    - NONE: records are sent; some may be lost or come twice after a failure.
    - AT_LEAST_ONCE: a checkpoint waits until the brokers have all records before it.
    - EXACTLY_ONCE: records are kept in the checkpoint, and written in a Kafka transaction when it
      is complete. Whoever reads with ``isolation.level=read_committed`` sees each exactly once,
      wherever the job, or the machine, stopped. See decision 0058.

    Flink: KafkaSink.
    """

    def __init__(
        self,
        clients: Clients,
        settings: KafkaSinkSettings,
        *,
        new_name: Callable[[], str] = _unique_name,
    ) -> None:
        self._clients = clients
        self._settings = settings
        self._new_name = new_name
        self._transactions: Transactions | None = None

    @staticmethod
    def builder() -> KafkaSinkBuilder:
        """Return a builder."""
        from millpond.datastream.connectors._kafka.sink_builder import KafkaSinkBuilder

        return KafkaSinkBuilder()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_transactions": None}

    def get_transformer(self) -> StreamTransformer | None:
        """Return None: records are written as they come."""
        return None

    def create_writer(self, context: SinkWriterContext, restored: Sequence[Any]) -> SinkWriter:
        """Make the writer of one subtask. Raises ConnectorError."""
        transactions = self._opened()
        # After a rescale another subtask may own the ids that the restored commits used.
        transactions.close()
        settings = self._settings
        if settings.guarantee is DeliveryGuarantee.EXACTLY_ONCE:
            return TransactionWriter(
                self._clients,
                settings.serializer,
                transactions,
                f"{settings.transactional_id_prefix}-{context.subtask_index}",
                self._new_name(),
                context.clock,
            )
        at_least_once = settings.guarantee is DeliveryGuarantee.AT_LEAST_ONCE
        clients = self._clients.with_default(_DELIVERY_TIMEOUT, _JAVA_DELIVERY_TIMEOUT_MS)
        return ProducerWriter(clients, settings.serializer, flushes=at_least_once)

    def commit(self, committables: Sequence[Committable]) -> None:
        """Write the records of complete checkpoints, unless that was done. Raises ConnectorError.

        Committables are written whatever the guarantee is now: they are in the checkpoint.
        """
        transactions = self._opened()
        for committable in committables:
            transactions.commit(committable)

    def _opened(self) -> Transactions:
        if self._transactions is None:
            strict = self._settings.guarantee is DeliveryGuarantee.EXACTLY_ONCE
            self._transactions = Transactions(self._clients, strict=strict)
        return self._transactions
