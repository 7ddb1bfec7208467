"""`FailureHandling`: whether a failed job starts another attempt, when, and from where."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, final

from millpond.errors import (
    ConfigurationError,
    InvalidProgramError,
    MissingDependencyError,
    RestoreError,
    SnapshotCorruptedError,
    StateTypeError,
    UnsupportedOperationError,
)

if TYPE_CHECKING:
    from millpond.checkpoint.completed_store import CompletedCheckpointStore
    from millpond.clock import Clock
    from millpond.runtime.job_listener import JobListener
    from millpond.runtime.restart_strategy import RestartStrategy

__all__ = ("FailureHandling",)

_logger = logging.getLogger(__name__)

_FATAL = (
    ConfigurationError,
    InvalidProgramError,
    MissingDependencyError,
    RestoreError,
    StateTypeError,
    UnsupportedOperationError,
)
"""What another attempt would meet again (Flink's SuppressRestartsException)."""


@final
class FailureHandling:
    """Decides after every failed attempt (Flink's ExecutionFailureHandler).

    `commits`: the job has sinks that make results visible, so it never goes back behind them.

    Attributes:
        attempt: how many attempts have failed and were followed by another.
    """

    def __init__(
        self,
        strategy: RestartStrategy,
        store: CompletedCheckpointStore,
        clock: Clock,
        listener: JobListener,
        *,
        commits: bool,
    ) -> None:
        self._strategy = strategy
        self._store = store
        self._clock = clock
        self._listener = listener
        self._commits = commits
        self._latest_at_failure = store.latest
        self.attempt = 0

    def restart_delay_ms(self, failure: BaseException) -> int | None:
        """Return how long to wait before the next attempt; None if there is none."""
        if isinstance(failure, _FATAL):
            return None
        latest = self._store.latest
        progressed = latest is not self._latest_at_failure
        self._latest_at_failure = latest
        return self._strategy.after_failure(self._clock.now_ms(), progressed=progressed)

    def announce_restart(self, failure: BaseException, delay_ms: int) -> None:
        """Count the attempt, and say what it failed of and where the next one starts."""
        self.attempt += 1
        latest = self._store.latest
        checkpoint_id = None if latest is None else latest.checkpoint_id
        _logger.warning(
            "Attempt %d failed, restarting in %d ms from %s: %s",
            self.attempt,
            delay_ms,
            "the beginning" if checkpoint_id is None else f"checkpoint {checkpoint_id}",
            str(failure),  # a handler that keeps it would keep the state of its frames
        )
        self._listener.on_restart(failure, self.attempt, checkpoint_id)

    def fall_back(self, failure: BaseException) -> bool:
        """Reject a damaged checkpoint when an older one is there; return whether it is.

        For attempts that failed before they ran. Never behind what a sink has made visible: the
        results would come twice.
        """
        latest = self._store.latest
        if not isinstance(failure, SnapshotCorruptedError) or latest is None or self._commits:
            return False
        if len(self._store.checkpoints) < 2:
            return False
        older = self._store.reject(latest)
        _logger.error("Checkpoint %d is damaged: %s", latest.checkpoint_id, failure)
        self._listener.on_restart(failure, self.attempt, older.checkpoint_id if older else None)
        return True
