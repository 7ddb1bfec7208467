"""`RuntimeSettings`: what a worker takes from the effective configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millpond.common import execution_options
from millpond.common.configuration import Configuration
from millpond.configuration.options import checkpointing, millpond, state_backend
from millpond.configuration.options.checkpointing import CheckpointingMode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("RuntimeSettings",)


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """`batch_size` in records; `exactly_once` aligns barriers; `sort_memory_bytes` of one sort.

    `auto_watermark_interval_ms`: how often a generator is called while no records come; 0: never.
    `unaligned` lets barriers overtake records when a checkpoint is `aligned_timeout_ms` old; with
    `forced_unaligned` also where custom partitioners are. `local_recovery` keeps copies here.
    """

    batch_size: int
    exactly_once: bool
    auto_watermark_interval_ms: int
    unaligned: bool
    aligned_timeout_ms: int
    forced_unaligned: bool
    sort_memory_bytes: int
    local_recovery: bool
    checkpoint_timeout_ms: int

    @classmethod
    def of(cls, configuration: Mapping[str, str]) -> RuntimeSettings:
        """Read them. Raises ConfigurationError."""
        get = Configuration.from_dict(configuration).get
        return cls(
            batch_size=get(millpond.BATCH_SIZE),
            exactly_once=get(checkpointing.CHECKPOINTING_MODE) is CheckpointingMode.EXACTLY_ONCE,
            auto_watermark_interval_ms=get(execution_options.AUTO_WATERMARK_INTERVAL),
            unaligned=get(checkpointing.UNALIGNED),
            aligned_timeout_ms=get(checkpointing.ALIGNED_CHECKPOINT_TIMEOUT),
            forced_unaligned=get(checkpointing.FORCE_UNALIGNED),
            sort_memory_bytes=get(millpond.SORT_MEMORY),
            checkpoint_timeout_ms=get(checkpointing.CHECKPOINT_TIMEOUT),
            local_recovery=get(state_backend.LOCAL_RECOVERY) or get(state_backend.LOCAL_BACKUP),
        )
