"""`CheckpointSettings`: what the coordinator takes from the effective configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millpond.checkpoint.retention import CheckpointRetention
from millpond.configuration.options import checkpointing as options

if TYPE_CHECKING:
    from millpond.common.configuration import Configuration

__all__ = ("CheckpointSettings",)


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """Times in ms; `interval_ms` None: no periodic checkpoints.

    `tolerable_failures` checkpoints in a row may fail before the job does. `retention` says what
    becomes of checkpoints when the job ends.
    """

    interval_ms: int | None = None
    timeout_ms: int = 600_000
    min_pause_ms: int = 0
    max_concurrent: int = 1
    tolerable_failures: int = 0
    retention: CheckpointRetention = CheckpointRetention.NO_EXTERNALIZED_CHECKPOINTS

    @classmethod
    def of(cls, configuration: Configuration) -> CheckpointSettings:
        """Read them; a minimum pause allows one checkpoint at a time, as in Flink.

        Raises:
            ConfigurationError: a value is out of its range.
        """
        get = configuration.get
        min_pause_ms = get(options.MIN_PAUSE)
        return cls(
            interval_ms=get(options.CHECKPOINT_INTERVAL),
            timeout_ms=get(options.CHECKPOINT_TIMEOUT),
            min_pause_ms=min_pause_ms,
            max_concurrent=1 if min_pause_ms else get(options.MAX_CONCURRENT_CHECKPOINTS),
            tolerable_failures=get(options.TOLERABLE_FAILED_CHECKPOINTS),
            retention=CheckpointRetention[get(options.EXTERNALIZED_RETENTION).name],
        )
