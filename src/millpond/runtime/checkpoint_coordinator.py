"""`CheckpointCoordinator`: when checkpoints are taken, when they are complete, when they failed."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from millpond.errors import CheckpointError, CheckpointTimeoutError
from millpond.runtime.checkpoint_history import CheckpointHistory
from millpond.runtime.checkpoint_statistics import CheckpointStatistics, CheckpointStatus
from millpond.runtime.message import (
    Acknowledge,
    Decline,
    NotifyAborted,
    NotifyComplete,
    ToWorker,
    TriggerCheckpoint,
)
from millpond.runtime.pending_checkpoint import PendingCheckpoint, subtasks_of
from millpond.state.contract.snapshot import SnapshotKind, SnapshotOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.checkpoint.completed import CompletedCheckpoint
    from millpond.checkpoint.completed_store import CompletedCheckpointStore
    from millpond.checkpoint.location import CheckpointLocation
    from millpond.clock import Clock
    from millpond.runtime.checkpoint_settings import CheckpointSettings
    from millpond.runtime.job_graph import JobGraph

__all__ = ("CheckpointCoordinator",)

_logger = logging.getLogger(__name__)

# Tasks answer in order, so that nothing comes for checkpoints that were given up long ago.
_MOST_LATE = 100
_SUSPENDED = "The job is being cancelled with a savepoint."


@dataclass(slots=True)
class _Request:
    """A checkpoint or savepoint that somebody asked for."""

    options: SnapshotOptions
    target_directory: str | None
    future: Future[CompletedCheckpoint] = field(default_factory=Future)


def _is_savepoint(request: _Request) -> bool:
    return request.options.kind is SnapshotKind.SAVEPOINT


@final
class CheckpointCoordinator:
    """Runs on the job manager's thread; `request` alone may be called there too.

    `send` reaches the worker; `fail_job` is called when more checkpoints in a row have failed
    than may (Flink's CheckpointFailureManager). Where acknowledgements hold the state itself,
    `frame_size_bytes` bounds one of them, as Flink's RPC does, and `memory_size_bytes` all of a
    checkpoint; None where states are files.

    Attributes:
        graph: the job as it is deployed; restoring may change its max parallelism.
        statistics: of the checkpoints and savepoints so far, oldest first.
    """

    def __init__(
        self,
        graph: JobGraph,
        settings: CheckpointSettings,
        store: CompletedCheckpointStore,
        clock: Clock,
        send: Callable[[ToWorker], None],
        fail_job: Callable[[CheckpointError], None],
        *,
        incremental: bool = False,
        frame_size_bytes: int | None = None,
        memory_size_bytes: int | None = None,
    ) -> None:
        self.graph = graph
        self._settings = settings
        self._incremental = incremental
        self._frame_size_bytes = frame_size_bytes
        self._memory_size_bytes = memory_size_bytes
        self.store = store
        self._clock = clock
        self._send = send
        self._fail_job = fail_job
        self._next_id = store.next_checkpoint_id
        self._pending: dict[int, PendingCheckpoint] = {}
        self._requests: list[_Request] = []
        self._running = False
        self._suspended = False
        self._next_periodic = 0.0
        self._last_end = float("-inf")
        self._failures_in_a_row = 0
        self._late_locations: dict[int, CheckpointLocation] = {}
        self.statistics = CheckpointHistory()

    # -- life of an attempt

    def start(self) -> None:
        """All tasks run: checkpoints may be taken."""
        self._running = True
        self._suspended = False
        self._late_locations.clear()
        if self._settings.interval_ms is not None:
            self._next_periodic = self._clock.monotonic() + self._settings.interval_ms / 1000

    def stop(self, reason: str) -> None:
        """The attempt has ended: give up what is pending, keep the counter."""
        self._running = False
        for pending in list(self._pending.values()):
            self._abort(pending, CheckpointError(reason, checkpoint=pending.checkpoint_id))
        requests, self._requests = self._requests, []
        for request in requests:
            request.future.set_exception(CheckpointError(reason))

    # -- triggers

    def request(
        self, snapshot_options: SnapshotOptions, target_directory: str | None = None
    ) -> Future[CompletedCheckpoint]:
        """Ask for a checkpoint or savepoint; it is triggered at the next `tick`.

        Savepoints go first, and wait for no pause (Flink's CheckpointRequestDecider).
        """
        request = _Request(snapshot_options, target_directory)
        if self._suspended and not _is_savepoint(request):
            request.future.set_exception(CheckpointError(_SUSPENDED))
            return request.future
        self._requests.append(request)
        self._requests.sort(key=lambda each: not _is_savepoint(each))
        return request.future

    def check_savepoint_place(self, target_directory: str | None) -> None:
        """Make the directory of a savepoint and remove it again.

        Raises:
            CheckpointError: no target is given and none is configured, or it cannot be made.
        """
        storage = self.store.storage
        storage.discard(storage.savepoint_location(self._next_id, target_directory))

    def request_last(
        self,
        snapshot_options: SnapshotOptions | None = None,
        target_directory: str | None = None,
    ) -> Future[CompletedCheckpoint]:
        """Ask for the one that the attempt ends with: no periodic one is triggered any more."""
        self._next_periodic = float("inf")
        return self.request(snapshot_options or self.checkpoint_options(), target_directory)

    def suspend(self) -> None:
        """Give up checkpoints, but no savepoints, and take none until `resume` or `start`.

        A checkpoint after a savepoint that the job ends with would let sinks commit what a job
        that starts from the savepoint commits again (Flink's stopCheckpointScheduler).
        """
        self._suspended = True
        for request in [each for each in self._requests if not _is_savepoint(each)]:
            self._requests.remove(request)
            request.future.set_exception(CheckpointError(_SUSPENDED))
        for pending in list(self._pending.values()):
            if pending.options.kind is SnapshotKind.CHECKPOINT:
                error = CheckpointError(_SUSPENDED, checkpoint=pending.checkpoint_id)
                self._abort(pending, error)

    def resume(self) -> None:
        """Take checkpoints again."""
        self._suspended = False

    def tick(self) -> None:
        """Trigger what is due and give up what takes too long."""
        if not self._running:
            return
        now = self._clock.monotonic()
        for pending in list(self._pending.values()):
            if now >= pending.deadline:
                self._expire(pending)
        if len(self._pending) >= self._settings.max_concurrent:
            return
        if self._requests:
            self._trigger(self._requests.pop(0))
        elif self._periodic_is_due(now):
            interval_ms = self._settings.interval_ms
            assert interval_ms is not None
            self._next_periodic = now + interval_ms / 1000
            self._trigger(_Request(self.checkpoint_options(), None))

    def _periodic_is_due(self, now: float) -> bool:
        return (
            self._settings.interval_ms is not None
            and not self._suspended
            and now >= self._next_periodic
            and now >= self._last_end + self._settings.min_pause_ms / 1000
        )

    def checkpoint_options(self) -> SnapshotOptions:
        """Return what the job's checkpoints are like."""
        return SnapshotOptions(incremental=self._incremental)

    def _trigger(self, request: _Request) -> None:
        checkpoint_id = self._next_id
        self._next_id += 1
        now_ms = self._clock.now_ms()
        savepoint = _is_savepoint(request)
        statistics = CheckpointStatistics(
            checkpoint_id,
            request.options.kind,
            request.options.incremental,
            now_ms,
            savepoint_format=request.options.format if savepoint else None,
        )
        self.statistics.append(statistics)
        try:
            location = (
                self.store.storage.savepoint_location(checkpoint_id, request.target_directory)
                if savepoint
                else self.store.storage.location(checkpoint_id)
            )
        except CheckpointError as error:
            request.future.set_exception(error)
            self._record_failure(statistics, error)
            self._count_failure(savepoint=savepoint, error=error)
            return
        latest = self.store.latest
        self._pending[checkpoint_id] = PendingCheckpoint(
            checkpoint_id,
            request.options,
            location,
            self._clock.monotonic() + self._settings.timeout_ms / 1000,
            statistics,
            subtasks_of(self.graph),
            builds_on=0 if latest is None else latest.checkpoint_id,
            futures=(request.future,),
        )
        self._send(TriggerCheckpoint(checkpoint_id, now_ms, request.options, location))

    # -- answers

    def acknowledge(self, message: Acknowledge) -> None:
        """One subtask has written its part; parts of checkpoints given up are deleted."""
        pending = self._pending.get(message.checkpoint_id)
        if pending is None:
            # It came too late: its files belong to nobody.
            location = self._late_locations.get(message.checkpoint_id)
            if location is not None:
                self.store.abort(location, message.checksums)
            return
        complete = pending.acknowledge(message, self._clock.now_ms())
        too_large = self._over_limit(pending, message.metrics.checkpointed_bytes)
        if too_large is not None:
            self._decline(pending, too_large)
        elif complete:
            self._complete(pending)

    def _over_limit(self, pending: PendingCheckpoint, size: int) -> CheckpointError | None:
        """Return the error for an acknowledgement of this size that the memory does not take."""
        frame, memory = self._frame_size_bytes, self._memory_size_bytes
        if frame is not None and size > frame:
            return CheckpointError(
                f"The acknowledgement of a subtask holds {size} bytes of state; the frame "
                f"size is {frame}.",
                hint="Use FsStateBackend or RocksDBStateBackend, or raise pekko.framesize.",
                checkpoint=pending.checkpoint_id,
            )
        total = pending.statistics.checkpointed_bytes
        if memory is not None and total > memory:
            return CheckpointError(
                f"The state of all subtasks comes to {total} bytes and more; the job manager's "
                f"memory takes {memory}.",
                hint="Use FsStateBackend or RocksDBStateBackend, or raise "
                "jobmanager.memory.heap.size.",
                checkpoint=pending.checkpoint_id,
            )
        return None

    def decline(self, message: Decline) -> None:
        """One subtask could not write its part."""
        pending = self._pending.get(message.checkpoint_id)
        if pending is None:
            return
        error = message.error
        if not isinstance(error, CheckpointError):
            declined = CheckpointError(
                f"Checkpoint {message.checkpoint_id} was declined: {error}",
                vertex=self.graph.vertices[message.vertex_id].name,
                subtask=message.subtask_index + 1,
            )
            declined.__cause__ = error
            error = declined
        self._decline(pending, error)

    def _decline(self, pending: PendingCheckpoint, error: CheckpointError) -> None:
        self._abort(pending, error)
        savepoint = pending.options.kind is SnapshotKind.SAVEPOINT
        self._count_failure(savepoint=savepoint, error=error)

    def _complete(self, pending: PendingCheckpoint) -> None:
        try:
            completed = self.store.complete(
                pending.location,
                pending.metadata(self.graph),
                pending.checksums,
                min((other.builds_on for other in self._pending.values()), default=None),
            )
        except CheckpointError as error:
            self._decline(pending, error)
            return
        del self._pending[pending.checkpoint_id]
        self._last_end = self._clock.monotonic()
        self._failures_in_a_row = 0
        statistics = pending.statistics
        statistics.status = CheckpointStatus.COMPLETED
        statistics.end_ms = self._clock.now_ms()
        statistics.external_path = pending.location.directory
        self.statistics.ended(statistics)
        if not completed.is_savepoint:
            self._subsume(pending.checkpoint_id)
            # A savepoint is no point to recover to: sinks that committed at it would do so again
            # after a failure. Only the one that stops the job is announced, by the job manager.
            self._send(NotifyComplete(pending.checkpoint_id))
        for future in pending.futures:
            future.set_result(completed)

    def _subsume(self, checkpoint_id: int) -> None:
        """Give up older checkpoints, but no savepoints, that are still pending."""
        for pending in list(self._pending.values()):
            older = pending.checkpoint_id < checkpoint_id
            if older and pending.options.kind is SnapshotKind.CHECKPOINT:
                self._abort(
                    pending,
                    CheckpointError("A newer checkpoint is complete.", checkpoint=checkpoint_id),
                )

    # -- failures

    def _expire(self, pending: PendingCheckpoint) -> None:
        waiting = sorted(
            f"{self.graph.vertices[vertex].name} ({index + 1})" for vertex, index in pending.missing
        )
        self._decline(
            pending,
            CheckpointTimeoutError(
                f"Checkpoint {pending.checkpoint_id} expired before completing.",
                waiting_for="; ".join(waiting),
                timeout_ms=self._settings.timeout_ms,
            ),
        )

    def _abort(self, pending: PendingCheckpoint, error: CheckpointError) -> None:
        self._pending.pop(pending.checkpoint_id, None)
        late = self._late_locations
        late[pending.checkpoint_id] = pending.location
        if len(late) > _MOST_LATE:
            del late[next(iter(late))]
        self._record_failure(pending.statistics, error)
        self._last_end = self._clock.monotonic()
        if self._running:
            self._send(NotifyAborted(pending.checkpoint_id))
        self.store.abort(pending.location, pending.checksums)
        for future in pending.futures:
            future.set_exception(error)

    def _record_failure(self, statistics: CheckpointStatistics, error: CheckpointError) -> None:
        statistics.status = CheckpointStatus.FAILED
        statistics.end_ms = self._clock.now_ms()
        statistics.failure = str(error)
        self.statistics.ended(statistics)
        # One that was cut off by the end of its attempt is no failure of its own.
        level = logging.WARNING if self._running else logging.DEBUG
        _logger.log(level, "Checkpoint %d failed: %s", statistics.checkpoint_id, error)

    def _count_failure(self, *, savepoint: bool, error: CheckpointError) -> None:
        if savepoint:
            return
        self._failures_in_a_row += 1
        if self._failures_in_a_row > self._settings.tolerable_failures:
            failure = CheckpointError(
                f"Exceeded checkpoint tolerable failure threshold: {error}",
                hint="Raise execution.checkpointing.tolerable-failed-checkpoints to go on without.",
            )
            failure.__cause__ = error
            self._failures_in_a_row = 0
            self._fail_job(failure)
