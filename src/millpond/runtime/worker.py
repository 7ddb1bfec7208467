"""`Worker`: runs all tasks of a job in turn on one thread and answers the job manager."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, final

from millpond.checkpoint.local_copies import LocalCopies, LocalFirstReader
from millpond.checkpoint.reader import SnapshotSource
from millpond.checkpoint.storage_failure import Retry
from millpond.errors import CheckpointDeclinedError, MillpondError
from millpond.filesystem import FileSystemResolver, get_file_system
from millpond.metrics.registry import MetricRegistry
from millpond.operators.batch import MAX_WATERMARK
from millpond.runtime.element import CheckpointBarrier
from millpond.runtime.garbage_collection import CalmCollection, collect_ended_jobs
from millpond.runtime.in_flight import InFlightCodec
from millpond.runtime.local_state import local_state_directory
from millpond.runtime.message import (
    Acknowledge,
    Cancel,
    Collected,
    Decline,
    Deploy,
    Failed,
    Finish,
    Finished,
    FromWorker,
    InputEnded,
    NotifyAborted,
    NotifyComplete,
    Progress,
    Restore,
    Running,
    StopSources,
    TasksProgress,
    ToWorker,
    TriggerCheckpoint,
)
from millpond.runtime.metric_reporters import MetricReporters
from millpond.runtime.restore_progress import RestoreTracker
from millpond.runtime.settings import RuntimeSettings
from millpond.runtime.snapshot_preparation import SnapshotPreparation
from millpond.runtime.source_alignment import SourceAlignment
from millpond.runtime.state_store import open_state_store
from millpond.runtime.task_builder import TaskSurroundings, build_tasks
from millpond.runtime.urgent_checkpoint import UrgentCheckpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from millpond.clock import Clock
    from millpond.runtime.subtask_snapshot import SubtaskSnapshot
    from millpond.runtime.task import Task
    from millpond.state.contract.keyed_backend import StateStore
    from millpond.state.contract.snapshot import SnapshotReader

__all__ = ("Worker",)

_PROGRESS_INTERVAL_SECONDS = 0.1
_TASKS_INTERVAL_SECONDS = 1.0
_TIDY_INTERVAL_MS = 100


@final
class Worker:
    """One attempt of a job. All tasks run on the caller's thread, in topological order.

    A cycle lets every source emit one batch and every other task read all that came; afterwards
    all channels are empty. So the order of all work follows from what the sources hold, and a
    barrier that is sent between two cycles finds every channel aligned.

    `send` takes messages to the job manager; `executor` writes snapshots. With unaligned
    checkpoints the worker looks into `inbox` while it works, and calls `look` before.

    Attributes:
        inbox: messages for `handle` that came while it was working.
        look: lets a job manager on the same thread do its part; None in a process of its own.
        is_working: it is in the middle of a cycle.
        closed: all tasks are closed.
    """

    def __init__(
        self,
        clock: Clock,
        executor: Executor,
        local_directory: Path,
        send: Callable[[FromWorker], None],
        resolve: FileSystemResolver = get_file_system,
        inbox: deque[ToWorker] | None = None,
    ) -> None:
        self._clock = clock
        self._executor = executor
        self._local_directory = local_directory
        self._send = send
        self._resolve = resolve
        self.inbox: deque[ToWorker] = deque() if inbox is None else inbox
        self.look: Callable[[], None] | None = None
        self.is_working = False
        self._urgent: UrgentCheckpoints | None = None
        self._preparation = SnapshotPreparation(clock, RuntimeSettings.of({}).checkpoint_timeout_ms)
        self._codec: InFlightCodec | None = None
        self._copies: LocalCopies | None = None
        self._store: StateStore | None = None
        self._tasks: list[Task] = []
        self._alignment = SourceAlignment(())
        self._writing: list[tuple[SubtaskSnapshot, Future[Acknowledge]]] = []
        self._collection: CalmCollection | None = None
        self._reporters: MetricReporters | None = None
        self._input_ended = False
        self._last_progress = 0.0
        self._last_tasks_progress = 0.0
        self._last_tidy_ms = 0
        self.closed = False

    def handle(self, message: ToWorker) -> None:
        """Act on a message of the job manager; failures are reported, not raised."""
        try:
            self._dispatch(message)
        except Exception as error:  # noqa: BLE001 - the job manager decides what it means
            self._fail(error)

    def step(self) -> bool:
        """Run one cycle; return whether anything moved."""
        if self.closed:
            return False
        try:
            self.is_working = True
            return self._cycle()
        except Exception as error:  # noqa: BLE001 - the job manager decides what it means
            self._fail(error)
            return True
        finally:
            self.is_working = False

    def close(self) -> None:
        """Close everything without commits, for example after a lost job manager."""
        if not self.closed:
            self._close_tasks()

    # -- messages

    def _dispatch(self, message: ToWorker) -> None:
        if isinstance(message, Deploy):
            self._deploy(message)
        elif self.closed:
            return
        elif isinstance(message, TriggerCheckpoint):
            self._trigger(message)
        elif isinstance(message, NotifyComplete):
            if self._copies is not None:
                self._copies.confirm(message.checkpoint_id)
            for task in self._tasks:
                task.notify_checkpoint_complete(message.checkpoint_id)
        elif isinstance(message, NotifyAborted):
            self._abort(message.checkpoint_id)
        elif isinstance(message, StopSources):
            for task in self._tasks:
                if task.source is not None:
                    task.source.stop(drain=message.drain)
        elif isinstance(message, Finish | Cancel):
            self._close_tasks()
            self._send(Finished())

    def _deploy(self, deploy: Deploy) -> None:
        started = self._clock.monotonic()
        collect_ended_jobs(restarted=deploy.attempt > 0)
        settings = RuntimeSettings.of(deploy.configuration)
        nodes = (node for vertex in deploy.graph.vertices for node in vertex.operators)
        if any(node.keyed is not None for node in nodes):
            # A job without keys starts faster for not loading a store.
            self._store = open_state_store(deploy.backend, deploy.configuration)
        restoring = None
        if deploy.restore is not None:
            restoring = RestoreTracker(deploy.restore, self._clock, self._send)
        self._preparation = SnapshotPreparation(self._clock, settings.checkpoint_timeout_ms)
        metrics = MetricRegistry()
        if settings.local_recovery:
            directory = local_state_directory(deploy.configuration, deploy.job_id)
            self._copies = LocalCopies(directory)
        copies = self._copies
        surroundings = TaskSurroundings(
            store=self._store,
            reader=self._reader(deploy.restore, copies, restoring),
            resolve=self._resolve,
            clock=self._clock,
            metrics=metrics,
            local_directories=[self._local_directory],
            batch_size=settings.batch_size,
            auto_watermark_interval_ms=settings.auto_watermark_interval_ms,
            sort_memory_bytes=settings.sort_memory_bytes,
            aligned=settings.exactly_once,
            send_collected=self._send_collected,
        )
        self._tasks = build_tasks(deploy, surroundings)
        for task in self._tasks:
            task.copies = copies
        if restoring is not None:
            restoring.opening()
        # Receivers first: a source may emit as soon as it is open.
        for task in reversed(self._tasks):
            task.open()
        self._alignment = SourceAlignment(self._tasks)
        self._collection = CalmCollection()
        self._reporters = MetricReporters(deploy.configuration, metrics, self._clock)
        # Restored watermarks reach every task before the first record does.
        for task in self._tasks:
            if task.source is None:
                task.resume()
                task.run()
        if UrgentCheckpoints.allowed(settings, deploy.graph):
            self._codec = InFlightCodec(deploy.graph)
            self._urgent = UrgentCheckpoints(
                self._clock,
                self.inbox,
                self._look,
                self._act,
                self._interrupted,
                settings.aligned_timeout_ms,
            )
            self._urgent.set_pace(self._tasks)
        self._send(Running(round((self._clock.monotonic() - started) * 1000)))

    def _reader(
        self,
        restore: Restore | None,
        copies: LocalCopies | None,
        restoring: RestoreTracker | None,
    ) -> SnapshotReader:
        source = SnapshotSource(None, {}) if restore is None else restore.source
        progress = None if restoring is None else restoring.add
        retry = Retry(clock=self._clock)
        reader = source.reader(resolve=self._resolve, retry=retry, progress=progress)
        if copies is None or not source.checksums:
            return reader
        return LocalFirstReader(reader, copies, source.checksums)

    def _send_collected(self, collect_id: str, offset: int, values: Sequence[Any]) -> None:
        self._send(Collected(collect_id, offset, values))

    # -- cycles

    def _cycle(self) -> bool:
        written = self._finish_writing()
        moved = False
        now_ms = self._clock.now_ms()
        self._alignment.update()
        for task in self._tasks:
            task.fire_processing_time(now_ms)
            moved |= task.run()
            if self._urgent is not None:
                self._urgent.interrupt()
        if not moved or now_ms - self._last_tidy_ms >= _TIDY_INTERVAL_MS:
            # Expired state must go where no batch ends, too: subtasks may wait for records.
            self._last_tidy_ms = now_ms
            for task in self._tasks:
                task.end_batch()
        self._start_writing()
        if self._preparation.first is not None:
            moved |= self._prepare()
        self._report_progress()
        ended = bool(self._tasks) and all(task.ended for task in self._tasks)
        if ended and not moved and not self._input_ended:
            self._input_ended = True
            for task in self._tasks:
                task.end_job()
            self._report_progress(force=True)
            self._send(InputEnded())
        return moved or written

    def _report_progress(self, *, force: bool = False) -> None:
        now = self._clock.monotonic()
        if not force and now - self._last_progress < _PROGRESS_INTERVAL_SECONDS:
            return
        self._last_progress = now
        if force or now - self._last_tasks_progress >= _TASKS_INTERVAL_SECONDS:
            self._last_tasks_progress = now
            self._send(TasksProgress(tuple(task.progress() for task in self._tasks)))
        sources = [task.source for task in self._tasks if task.source is not None]
        times = [
            source.event_time_ms
            for source in sources
            if source.event_time_ms not in {None, MAX_WATERMARK}
        ]
        self._send(
            Progress(
                sum(source.records for source in sources),
                min((time for time in times if time is not None), default=None),
            )
        )

    # -- checkpoints

    def _trigger(self, message: TriggerCheckpoint) -> None:
        self._preparation.add(message)
        self._prepare()

    def _prepare(self, urgent: UrgentCheckpoints | None = None) -> bool:
        """Go on preparing, and send the barriers that are due; return whether there are any.

        In the middle of a cycle `urgent` says which may overtake; the others wait for its end.
        """
        preparation = self._preparation
        had_work = False
        while (message := preparation.first) is not None:
            had_work = True
            if not preparation.work(self._tasks):
                break
            if urgent is None:
                self._send_barrier(message)
            elif urgent.is_urgent(message):
                self._overtake(message)
            else:
                break
            preparation.remove(message.checkpoint_id)
        return had_work

    def _send_barrier(self, message: TriggerCheckpoint) -> None:
        barrier = _barrier_of(message)
        # Every channel is empty between cycles: one pass brings the barrier to every task.
        for task in self._tasks:
            if task.source is not None:
                task.process_barrier(barrier)
            else:
                task.run()
        self._start_writing()

    def _look(self) -> None:
        self._finish_writing()
        if self.look is not None:
            self.look()

    def _act(self, message: ToWorker) -> None:
        """Act on an urgent message in the middle of a cycle."""
        if isinstance(message, TriggerCheckpoint):
            # `_interrupted` takes it up at once.
            self._preparation.add(message)
        else:
            self._dispatch(message)

    def _interrupted(self, urgent: UrgentCheckpoints) -> None:
        if self._preparation.first is not None:
            self._prepare(urgent)

    def _overtake(self, message: TriggerCheckpoint) -> None:
        barrier = _barrier_of(message)
        assert self._codec is not None
        for task in self._tasks:
            task.overtake(barrier, self._codec)
        self._start_writing()

    def _start_writing(self) -> None:
        for task in self._tasks:
            for snapshot in task.captured:
                self._writing.append((snapshot, self._executor.submit(snapshot.write)))
            task.captured.clear()

    def _finish_writing(self) -> bool:
        if not self._writing:
            return False
        done = [entry for entry in self._writing if entry[1].done()]
        for snapshot, future in done:
            self._writing.remove((snapshot, future))
            snapshot.release()
            self._report_written(snapshot, future)
        return bool(done)

    def _report_written(self, snapshot: SubtaskSnapshot, future: Future[Acknowledge]) -> None:
        error = future.exception()
        if error is None:
            self._send(future.result())
            return
        if not isinstance(error, MillpondError):
            wrapped = CheckpointDeclinedError(
                f"Writing the snapshot failed: {type(error).__name__}: {error}.",
                checkpoint=snapshot.checkpoint_id,
            )
            wrapped.__cause__ = error
            error = wrapped
        self._send(
            Decline(snapshot.checkpoint_id, snapshot.vertex_id, snapshot.subtask_index, error)
        )

    def _abort(self, checkpoint_id: int) -> None:
        self._preparation.remove(checkpoint_id)
        if self._copies is not None:
            self._copies.give_up(checkpoint_id)
        for snapshot, _ in self._writing:
            if snapshot.checkpoint_id == checkpoint_id:
                snapshot.cancel()
        for task in self._tasks:
            task.notify_checkpoint_aborted(checkpoint_id)

    # -- ends

    def _fail(self, error: Exception) -> None:
        try:
            self._close_tasks()
        except Exception as closing:  # noqa: BLE001 - must not hide the first failure
            error.add_note(f"Closing the tasks failed as well: {closing}")
        self._send(Failed.of(error))

    def _close_tasks(self) -> None:
        self.closed = True
        if self._collection is not None:
            self._collection.close()
        if self._reporters is not None:
            self._reporters.close()
        for snapshot, _ in self._writing:
            snapshot.cancel()
        for snapshot, future in self._writing:
            if future.exception() is None:
                # Written, but nobody will be told of it any more.
                snapshot.discard()
            snapshot.release()
        self._writing.clear()
        failures: list[Exception] = []
        for task in self._tasks:
            try:
                task.close()
            except Exception as error:  # noqa: BLE001 - all are closed before one is raised
                failures.append(error)
        if self._store is not None:
            self._store.close()
        if failures:
            raise failures[0]


def _barrier_of(message: TriggerCheckpoint) -> CheckpointBarrier:
    return CheckpointBarrier(
        message.checkpoint_id, message.timestamp_ms, message.options, message.location
    )
