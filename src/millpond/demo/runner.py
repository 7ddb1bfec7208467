"""`SupervisedRunner`: runs the flights job on Millpond's engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from millpond.datastream.engine import Launch, LaunchWith
from millpond.demo.progress import Backend, CheckpointRow, JobProgress, JobReport
from millpond.runtime.checkpoint_statistics import CheckpointStatus
from millpond.runtime.job_manager import JobListener

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.clock import Clock
    from millpond.datastream import StreamExecutionEnvironment
    from millpond.datastream.state_backend import StateBackend
    from millpond.demo.progress import JobRequest, JobWatcher
    from millpond.runtime.checkpoint_coordinator import CheckpointCoordinator
    from millpond.runtime.message import Progress

__all__ = ("SupervisedRunner",)

_JOB_NAME = "flights of 2013"
_RESTARTS = 10
_RESTART_DELAY_MS = 100


@final
class SupervisedRunner:
    """Runs the job in a worker process that it replaces, or calmly in this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def run_supervised(self, request: JobRequest, watcher: JobWatcher) -> JobReport:
        """Run the job in a worker process that is replaced when it dies. Raises its failure."""
        from millpond.common import RestartStrategies
        from millpond.engines.supervised import SupervisedEngine

        listener = _Listener(watcher)
        engine = SupervisedEngine(
            clock=self._clock,
            listener=listener,
            job_id=request.job_id,
            resume=request.resume,
            inherited=() if request.lock is None else (request.lock,),
        )
        listener.kill_worker = engine.kill_worker
        with LaunchWith(Launch(engine=engine)):
            environment = _environment(request)
            environment.set_state_backend(_state_backend(request))
            environment.enable_checkpointing(request.checkpoint_interval_ms)
            environment.set_restart_strategy(
                RestartStrategies.fixed_delay_restart(_RESTARTS, _RESTART_DELAY_MS)
            )
            environment.execute(_JOB_NAME)
        return listener.report()

    def run_calm(self, request: JobRequest) -> None:
        """Run the job in this process: on the heap, without checkpoints. Raises its failure."""
        from millpond.datastream.state_backend import HashMapStateBackend

        with LaunchWith(Launch()):
            environment = _environment(request)
            environment.set_state_backend(HashMapStateBackend())
            environment.execute(_JOB_NAME)


def _environment(request: JobRequest) -> StreamExecutionEnvironment:
    from millpond.common import Configuration
    from millpond.configuration.options.millpond import BATCH_SIZE
    from millpond.datastream import StreamExecutionEnvironment
    from millpond.demo.flights import build_flights_job

    environment = StreamExecutionEnvironment.get_execution_environment()
    environment.set_parallelism(request.parallelism)
    configuration = Configuration()
    configuration.set_integer(BATCH_SIZE.key, request.batch_size)
    environment.configure(configuration)
    build_flights_job(
        environment,
        request.flights_file,
        request.results,
        lateness_hours=request.lateness_hours,
    )
    return environment


def _state_backend(request: JobRequest) -> StateBackend:
    from millpond.datastream import FsStateBackend, MemoryStateBackend, RocksDBStateBackend

    url = request.checkpoints.as_uri()
    if request.backend is Backend.MEMORY:
        return MemoryStateBackend(url)
    if request.backend is Backend.FILESYSTEM:
        return FsStateBackend(url)
    return RocksDBStateBackend(url, enable_incremental_checkpointing=True)


@final
class _Listener(JobListener):
    """Tells the demo's watcher what the job manager says."""

    def __init__(self, watcher: JobWatcher) -> None:
        self._watcher = watcher
        self.kill_worker: Callable[[], object] = lambda: None
        self._records = 0
        self._event_time_ms: int | None = None
        self._restarts = 0
        self._checkpoints: dict[int, CheckpointRow] = {}

    def on_progress(self, progress: Progress) -> None:
        """Pass it on with the last checkpoint; kill the worker if the demo wants it."""
        self._records = progress.records
        self._event_time_ms = progress.event_time_ms
        latest = self._checkpoints[max(self._checkpoints)] if self._checkpoints else None
        kill = self._watcher.on_progress(
            JobProgress(
                self._records,
                self._event_time_ms,
                None if latest is None else latest.number,
                0 if latest is None else latest.checkpointed_bytes,
            )
        )
        if kill:
            self.kill_worker()

    def on_restart(self, error: BaseException, attempt: int, from_checkpoint: int | None) -> None:
        """Count it and pass it on."""
        del error, attempt
        self._restarts += 1
        self._watcher.on_restart(from_checkpoint)

    def on_checkpoints(self, coordinator: CheckpointCoordinator) -> None:
        """Keep the statistics of those that are complete."""
        for statistics in coordinator.statistics:
            if (
                statistics.status is CheckpointStatus.COMPLETED
                and statistics.checkpoint_id not in self._checkpoints
            ):
                self._checkpoints[statistics.checkpoint_id] = CheckpointRow(
                    statistics.checkpoint_id,
                    statistics.type_name,
                    statistics.duration_ms or 0,
                    statistics.checkpointed_bytes,
                    statistics.state_bytes,
                )

    def report(self) -> JobReport:
        """Return how the run went."""
        rows = [self._checkpoints[number] for number in sorted(self._checkpoints)]
        return JobReport(self._records, self._restarts, rows)
