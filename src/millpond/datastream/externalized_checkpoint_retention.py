"""PyFlink's name of what becomes of retained checkpoints."""

from __future__ import annotations

from millpond.configuration.options.checkpointing import ExternalizedCheckpointRetention

__all__ = ("ExternalizedCheckpointRetention",)
