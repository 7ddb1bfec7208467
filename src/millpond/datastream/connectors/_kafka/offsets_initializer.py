"""`KafkaOffsetsInitializer`: where reading starts or stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.datastream.connectors._kafka.topic_partition import (
    KafkaOffsetResetStrategy,
    KafkaTopicPartition,
)
from millpond.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from millpond.datastream.connectors._kafka.lookup import Lookup

    Offsets = dict[KafkaTopicPartition, int]

__all__ = ("KafkaOffsetsInitializer",)


@final
class KafkaOffsetsInitializer:
    """Finds an offset for each partition, once, before it is first read.

    What it found is in every checkpoint. Get one from the static methods.
    Flink: OffsetsInitializer.
    """

    def __init__(
        self,
        find: Callable[[Lookup, Collection[KafkaTopicPartition]], Offsets],
        reset_strategy: KafkaOffsetResetStrategy,
        *,
        needs_group: bool = False,
    ) -> None:
        self._find = find
        self._reset_strategy = reset_strategy
        self._needs_group = needs_group

    @property
    def reset_strategy(self) -> KafkaOffsetResetStrategy:
        """What to do when an offset is out of range while reading."""
        return self._reset_strategy

    @property
    def needs_group(self) -> bool:
        """Whether a source with it must have a group id."""
        return self._needs_group

    def offsets_of(
        self, lookup: Lookup, partitions: Collection[KafkaTopicPartition]
    ) -> Mapping[KafkaTopicPartition, int]:
        """Return an offset for each of the partitions. Raises ConnectorError."""
        return self._find(lookup, partitions) if partitions else {}

    @staticmethod
    def committed_offsets(
        offset_reset_strategy: KafkaOffsetResetStrategy = KafkaOffsetResetStrategy.NONE,
    ) -> KafkaOffsetsInitializer:
        """Return one for the group's committed offsets, and by the strategy where none are."""
        return KafkaOffsetsInitializer(
            _Given({}, offset_reset_strategy), offset_reset_strategy, needs_group=True
        )

    @staticmethod
    def timestamp(timestamp: int) -> KafkaOffsetsInitializer:
        """Return one for the first records of that time (ms) or later, else behind the newest."""
        return KafkaOffsetsInitializer(_AtTime(timestamp), KafkaOffsetResetStrategy.NONE)

    @staticmethod
    def earliest() -> KafkaOffsetsInitializer:
        """Return one for the oldest records."""
        return KafkaOffsetsInitializer(_earliest, KafkaOffsetResetStrategy.EARLIEST)

    @staticmethod
    def latest() -> KafkaOffsetsInitializer:
        """Return one that stands behind the newest records."""
        return KafkaOffsetsInitializer(_latest, KafkaOffsetResetStrategy.LATEST)

    @staticmethod
    def offsets(
        offsets: Mapping[KafkaTopicPartition, int],
        offset_reset_strategy: KafkaOffsetResetStrategy = KafkaOffsetResetStrategy.EARLIEST,
    ) -> KafkaOffsetsInitializer:
        """Return one for given offsets.

        Partitions that are not in it have the group's committed offsets, and by the strategy where
        none are.
        """
        return KafkaOffsetsInitializer(
            _Given(dict(offsets), offset_reset_strategy), offset_reset_strategy
        )


def _earliest(lookup: Lookup, partitions: Collection[KafkaTopicPartition]) -> Offsets:
    return lookup.earliest(partitions)


def _latest(lookup: Lookup, partitions: Collection[KafkaTopicPartition]) -> Offsets:
    return lookup.latest(partitions)


@final
class _AtTime:
    def __init__(self, timestamp_ms: int) -> None:
        self._timestamp_ms = timestamp_ms

    def __call__(self, lookup: Lookup, partitions: Collection[KafkaTopicPartition]) -> Offsets:
        return lookup.at_time(partitions, self._timestamp_ms)


@final
class _Given:
    def __init__(self, offsets: Offsets, strategy: KafkaOffsetResetStrategy) -> None:
        self._offsets = offsets
        self._strategy = strategy

    def __call__(self, lookup: Lookup, partitions: Collection[KafkaTopicPartition]) -> Offsets:
        found = {each: self._offsets[each] for each in partitions if each in self._offsets}
        found.update(lookup.committed([each for each in partitions if each not in found]))
        left = [each for each in partitions if each not in found]
        if not left:
            return found
        if self._strategy is KafkaOffsetResetStrategy.NONE:
            raise ConnectorError(
                "Partitions have no committed offset, and the offset reset strategy is NONE.",
                hint="Choose KafkaOffsetResetStrategy.EARLIEST or LATEST.",
                partitions=", ".join(map(str, left)),
            )
        earliest = self._strategy is KafkaOffsetResetStrategy.EARLIEST
        return {**found, **(lookup.earliest(left) if earliest else lookup.latest(left))}
