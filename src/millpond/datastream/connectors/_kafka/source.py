"""`KafkaSource`: a split is a partition, its position an offset."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from millpond.datastream.connectors._kafka.fetcher import Fetched, Fetcher
from millpond.datastream.connectors._kafka.lookup import Lookup
from millpond.datastream.connectors._kafka.offsets_initializer import KafkaOffsetsInitializer
from millpond.datastream.connectors._kafka.split_reader import PartitionReader
from millpond.datastream.connectors._kafka.topic_partition import KafkaTopicPartition
from millpond.datastream.connectors.source import Source, Split, SplitReader
from millpond.errors import ConnectorError
from millpond.serialization.java_hash import hash_string

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from millpond.clock import Clock
    from millpond.common.serialization import DeserializationSchema
    from millpond.common.typeinfo import TypeInformation
    from millpond.datastream.connectors._kafka.client import Clients
    from millpond.datastream.connectors._kafka.source_builder import KafkaSourceBuilder
    from millpond.datastream.connectors._kafka.subscription import Subscription

__all__ = ("KafkaSource", "KafkaSourceSettings")

_DISCOVERY_TIMEOUT_S: Final = 5.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KafkaSourceSettings:
    """What a builder gathered.

    Attributes:
        starting: offsets of partitions that are there at the start; later ones are read whole.
        stopping: where partitions end, or None.
        discovery_interval_ms: how often new partitions are looked for; None: only at the start.
        commits: tell the brokers the offsets of complete checkpoints.
    """

    subscription: Subscription
    schema: DeserializationSchema
    starting: KafkaOffsetsInitializer
    stopping: KafkaOffsetsInitializer | None
    bounded: bool
    discovery_interval_ms: int | None
    commits: bool


@final
class KafkaSource(Source):
    """Reads partitions of topics; get one from `builder`.

    Offsets are part of the job's checkpoints, and recovery uses nothing else. When a checkpoint is
    complete they are committed to the brokers as well, for others to see. Partitions belong to
    subtasks by Flink's rule, whatever else is read. Flink: KafkaSource.
    """

    has_timestamps = True

    def __init__(self, clients: Clients, settings: KafkaSourceSettings) -> None:
        self._clients = clients
        self._settings = settings
        self.bounded = settings.bounded
        self.stops = settings.stopping is not None
        self._listed: Sequence[KafkaTopicPartition] | None = None
        self._fetcher: Fetcher | None = None

    @staticmethod
    def builder() -> KafkaSourceBuilder:
        """Return a builder."""
        from millpond.datastream.connectors._kafka.source_builder import KafkaSourceBuilder

        return KafkaSourceBuilder()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fetcher": None}

    def splits(self, parallelism: int) -> Sequence[Split]:
        """Return the partitions that are there now.

        Later looks that fail are logged and repeated: what is known goes on being read.

        Raises:
            ConnectorError: a topic does not exist, or the brokers do not answer, at the start.
        """
        first = self._listed is None
        try:
            with self._lookup(first=first) as lookup:
                self._listed = self._settings.subscription.find(lookup.partitions())
        except ConnectorError as error:
            if first:
                raise
            _logger.warning("New partitions could not be looked for: %s", error)
        return tuple(
            Split(str(each), {"topic": each.topic, "partition": each.partition})
            for each in self._listed or ()
        )

    def _lookup(self, *, first: bool) -> Lookup:
        return Lookup(self._clients) if first else Lookup(self._clients, _DISCOVERY_TIMEOUT_S)

    def subtask_of(self, split: Split, index: int, parallelism: int) -> int:
        """Return the subtask by topic and partition; Flink: KafkaSourceEnumerator."""
        first = (hash_string(split.payload["topic"]) * 31) & 0x7FFFFFFF
        return (first % parallelism + int(split.payload["partition"])) % parallelism

    def begin(self, splits: Sequence[Split], *, first: bool) -> Sequence[Split]:
        """Find out where partitions start and stop. Raises ConnectorError.

        Partitions that came later are read from their beginning, so that nothing is missed.
        """
        if not splits:
            return splits
        settings = self._settings
        partitions = [_partition_of(split) for split in splits]
        starting = settings.starting if first else KafkaOffsetsInitializer.earliest()
        with Lookup(self._clients) as lookup:
            starts = starting.offsets_of(lookup, partitions)
            stopping = settings.stopping
            stops = {} if stopping is None else stopping.offsets_of(lookup, partitions)
        return [
            Split(
                split.split_id,
                {**split.payload, "start": starts[each], "stop": stops.get(each)},
            )
            for split, each in zip(splits, partitions, strict=True)
        ]

    def open_split(
        self, split: Split, position: Mapping[str, Any] | None, clock: Clock
    ) -> SplitReader:
        """Read on at the next offset. Raises ConnectorError."""
        settings = self._settings
        partition = _partition_of(split)
        start = split.payload["start"] if position is None else position["next"]
        stop = split.payload["stop"] if position is None else position["stop"]
        if settings.stopping is None:
            stop = None
        elif stop is None:
            # The checkpoint comes from a job that did not stop.
            with Lookup(self._clients) as lookup:
                stop = settings.stopping.offsets_of(lookup, [partition])[partition]
        if self._fetcher is None:
            self._fetcher = Fetcher(self._clients)
        return PartitionReader(
            self._fetcher,
            self._fetcher.open(partition, start),
            settings.schema,
            start,
            stop,
            clock,
            self._close,
            bounded=self.bounded,
        )

    def _close(self, fetched: Fetched) -> None:
        fetcher = self._fetcher
        if fetcher is not None:
            fetcher.close(fetched)
            if fetcher.is_idle:
                self._fetcher = None
                fetcher.close_consumer()

    def checkpoint_complete(self, positions: Sequence[tuple[Split, Mapping[str, Any]]]) -> None:
        """Commit the offsets to the brokers; a failure is logged."""
        if not self._settings.commits:
            return
        offsets = {_partition_of(split): position["next"] for split, position in positions}
        if self._fetcher is not None:
            self._fetcher.commit(offsets)
            return
        try:
            with self._lookup(first=False) as lookup:
                lookup.commit(offsets)
        except ConnectorError as error:
            _logger.warning("%s", error)

    @property
    def discovery_interval_ms(self) -> int | None:
        """How often new partitions are looked for; None: only at the start."""
        return self._settings.discovery_interval_ms

    def produced_type(self) -> TypeInformation | None:
        """Return the type of the schema's values."""
        return self._settings.schema.get_produced_type()


def _partition_of(split: Split) -> KafkaTopicPartition:
    return KafkaTopicPartition(split.payload["topic"], split.payload["partition"])
