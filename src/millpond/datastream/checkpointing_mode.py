"""PyFlink's name of the checkpointing mode."""

from __future__ import annotations

from millpond.configuration.options.checkpointing import CheckpointingMode

__all__ = ("CheckpointingMode",)
