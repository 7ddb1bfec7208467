"""`RollingPolicy`: when a part file ends and the next one begins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from millpond.errors import ConfigurationError

__all__ = ("DefaultRollingPolicy", "OnCheckpointRollingPolicy", "PartProgress", "RollingPolicy")


@dataclass(frozen=True, slots=True)
class PartProgress:
    """What a policy decides on."""

    size_bytes: int
    created_ms: int
    written_ms: int


class RollingPolicy(ABC):
    """Decides when a part file ends."""

    @abstractmethod
    def should_roll_on_checkpoint(self, part: PartProgress) -> bool:
        """Whether a part ends at a barrier; otherwise it is gone on with."""

    @abstractmethod
    def should_roll_on_batch(self, part: PartProgress) -> bool:
        """Whether a part ends before the next batch of records is written to it."""

    @abstractmethod
    def should_roll_on_time(self, part: PartProgress, now_ms: int) -> bool:
        """Whether a part has been open for too long; asked at batches and barriers."""

    @staticmethod
    def default_rolling_policy(
        part_size: int = 128 * 1024 * 1024,
        rollover_interval: int = 60 * 1000,
        inactivity_interval: int = 60 * 1000,
    ) -> DefaultRollingPolicy:
        """Return a policy by size in bytes, age in ms and time without records in ms."""
        return DefaultRollingPolicy(part_size, rollover_interval, inactivity_interval)

    @staticmethod
    def on_checkpoint_rolling_policy() -> OnCheckpointRollingPolicy:
        """Return the policy that ends every part at every checkpoint."""
        return OnCheckpointRollingPolicy()


@final
@dataclass(frozen=True, slots=True)
class DefaultRollingPolicy(RollingPolicy):
    """Ends a part by size, age or silence, whichever comes first.

    The size is looked at once a batch, so a part may be larger by one batch.
    Flink: DefaultRollingPolicy.

    Raises:
        ConfigurationError: a limit is not positive.
    """

    part_size_bytes: int
    rollover_interval_ms: int
    inactivity_interval_ms: int

    def __post_init__(self) -> None:
        if min(self.part_size_bytes, self.rollover_interval_ms, self.inactivity_interval_ms) <= 0:
            raise ConfigurationError(
                "Part size and intervals of a rolling policy must be positive.",
                part_size=self.part_size_bytes,
                rollover_interval=self.rollover_interval_ms,
                inactivity_interval=self.inactivity_interval_ms,
            )

    def should_roll_on_checkpoint(self, part: PartProgress) -> bool:
        """Whether a part is full."""
        return part.size_bytes > self.part_size_bytes

    def should_roll_on_batch(self, part: PartProgress) -> bool:
        """Whether a part is full."""
        return part.size_bytes > self.part_size_bytes

    def should_roll_on_time(self, part: PartProgress, now_ms: int) -> bool:
        """Whether a part is too old, or has had no record for too long."""
        return (
            now_ms - part.created_ms >= self.rollover_interval_ms
            or now_ms - part.written_ms >= self.inactivity_interval_ms
        )


@final
@dataclass(frozen=True, slots=True)
class OnCheckpointRollingPolicy(RollingPolicy):
    """Ends every part at every checkpoint. Flink: OnCheckpointRollingPolicy."""

    def should_roll_on_checkpoint(self, part: PartProgress) -> bool:
        """Always."""
        return True

    def should_roll_on_batch(self, part: PartProgress) -> bool:
        """Never."""
        return False

    def should_roll_on_time(self, part: PartProgress, now_ms: int) -> bool:
        """Never."""
        return False
