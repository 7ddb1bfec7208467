"""`KafkaTopicPartition`, and what to do where an offset is not there any more."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import final

__all__ = ("KafkaOffsetResetStrategy", "KafkaTopicPartition")


@final
@dataclass(frozen=True, slots=True, init=False)
class KafkaTopicPartition:
    """A partition of a topic."""

    _topic: str
    _partition: int

    def __init__(self, topic: str, partition: int) -> None:
        object.__setattr__(self, "_topic", topic)
        object.__setattr__(self, "_partition", partition)

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._topic

    @property
    def partition(self) -> int:
        """Its number, from 0."""
        return self._partition

    def __str__(self) -> str:
        return f"{self._topic}-{self._partition}"


@final
class KafkaOffsetResetStrategy(Enum):
    """Where to go on when an offset is not there."""

    LATEST = 0
    EARLIEST = 1
    NONE = 2

    @property
    def property_value(self) -> str:
        """The value of librdkafka's ``auto.offset.reset``."""
        return "error" if self is KafkaOffsetResetStrategy.NONE else self.name.lower()
