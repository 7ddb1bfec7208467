"""`JobParameters`: what a job manager needs beside the things it works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.configuration.backend_choice import BackendChoice
    from millpond.runtime.checkpoint_settings import CheckpointSettings
    from millpond.runtime.job_graph import JobGraph

__all__ = ("JobParameters",)


@dataclass(frozen=True, slots=True)
class JobParameters:
    """What a job needs beside its graph.

    `finished_at`: the file that says that the job has finished already, so that nothing is to do.
    """

    job_id: str
    graph: JobGraph
    configuration: Mapping[str, str]
    backend: BackendChoice
    settings: CheckpointSettings
    allow_non_restored_state: bool = False
    finished_at: str | None = None

    @property
    def checkpointing_enabled(self) -> bool:
        """Whether checkpoints are taken periodically."""
        return self.settings.interval_ms is not None

    @property
    def ends_with_checkpoint(self) -> bool:
        """Whether sinks commit what a last checkpoint holds, so that a commit can be repeated."""
        return self.checkpointing_enabled or (self.graph.batch and self.graph.commits)
