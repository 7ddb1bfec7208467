"""What travels between batches: watermarks, idleness, checkpoint barriers, the end of input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millpond.operators.batch import Batch

if TYPE_CHECKING:
    from millpond.checkpoint.location import CheckpointLocation
    from millpond.state.contract.snapshot import SnapshotOptions

__all__ = ("END_OF_INPUT", "CheckpointBarrier", "Element", "EndOfInput", "Idle", "Watermark")


@dataclass(frozen=True, slots=True)
class Watermark:
    """Event time has reached `timestamp` (ms)."""

    timestamp: int


@dataclass(frozen=True, slots=True)
class Idle:
    """The channel holds event time back no longer, or does again."""

    idle: bool


@dataclass(frozen=True, slots=True)
class CheckpointBarrier:
    """Separates the records before a checkpoint from those after it."""

    checkpoint_id: int
    timestamp_ms: int
    options: SnapshotOptions
    location: CheckpointLocation


@dataclass(frozen=True, slots=True)
class EndOfInput:
    """No more records come; barriers still do."""


END_OF_INPUT = EndOfInput()

Element = Batch | Watermark | Idle | CheckpointBarrier | EndOfInput
