"""The demo from its first line to the proof: resume or start, crash, recover, compare."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, final

from millpond.checkpoint.listing import find_latest
from millpond.demo.directory import DemoDirectory, DemoRecord
from millpond.demo.flight_source import count_flights
from millpond.demo.presentation import Proof, checkpoint_table, result_tables
from millpond.demo.progress import Backend, JobRequest
from millpond.demo.results import digest, highlights, read_lines
from millpond.errors import ConfigurationError, JobExecutionError

if TYPE_CHECKING:
    from millpond.checkpoint.listing import ListedCheckpoint
    from millpond.clock import Clock
    from millpond.demo.presentation import Presentation
    from millpond.demo.progress import JobProgress, JobReport, JobRunner

__all__ = ("DemoSettings", "run_demo")

_CRASH_AT = 0.6


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the command line says."""

    flights_file: Path
    directory: Path
    backend: Backend = Backend.ROCKSDB
    parallelism: int = 1
    crash: bool = True
    lateness_hours: float = 24
    fresh: bool = False


def run_demo(
    settings: DemoSettings, runner: JobRunner, presentation: Presentation, clock: Clock
) -> None:
    """Run the demo, or go on with an earlier run in the same directory.

    Raises:
        ConfigurationError: the directory belongs to a run with other settings, or to none.
        CheckpointStorageError: the directory cannot be written, or another run uses it.
        JobExecutionError: the job failed, or an interrupted run gave another answer.
    """
    with DemoDirectory(settings.directory, clock) as directory:
        if settings.fresh:
            directory.clear()
        record = directory.read()
        if record is not None:
            _check_settings(settings, record)
        if record is not None and record.digest is not None:
            presentation.say(
                f"This run has finished; its results are in {directory.results}. "
                "Use --fresh to start over."
            )
        else:
            record = _Demo(settings, directory, record, runner, presentation).run()
        if record.interrupted and record.calm_digest is None:
            presentation.say("The same job once more, calmly: on the heap, without a crash …")
            record = replace(record, calm_digest=_calm_digest(settings, runner))
            directory.write(record)
        _show(directory, record, presentation)


@final
class _Demo:
    """One call of the command; the watcher of its job."""

    def __init__(
        self,
        settings: DemoSettings,
        directory: DemoDirectory,
        record: DemoRecord | None,
        runner: JobRunner,
        presentation: Presentation,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._earlier = record
        self._record = (
            DemoRecord(
                settings.backend,
                settings.lateness_hours,
                str(settings.flights_file),
                uuid.uuid4().hex,
            )
            if record is None
            else replace(record, runs=record.runs + 1)
        )
        self._runner = runner
        self._presentation = presentation
        self._total = count_flights(settings.flights_file)
        self._crash_wanted = settings.crash and not self._record.crashed

    def run(self) -> DemoRecord:
        """Run the job to its end and return what was recorded of it."""
        directory, presentation = self._directory, self._presentation
        latest = find_latest(str(directory.checkpoints), self._record.job_id)
        if latest is None:
            # Whatever an earlier run wrote without a checkpoint would come twice.
            directory.clear_results()
        directory.write(self._record)
        self._introduce(latest)
        report = self._run_job(resume=latest is not None)
        if self._crash_wanted:
            self._presentation.say("The job ended before its first checkpoint: there was no crash.")
        record = replace(
            self._record,
            digest=digest(read_lines(directory.results)),
            interrupted=self._record.crashed or self._record.runs > 1 or report.restarts > 0,
        )
        directory.write(record)
        if report.checkpoints:
            presentation.table(checkpoint_table(report.checkpoints))
        return record

    def _introduce(self, latest: ListedCheckpoint | None) -> None:
        settings, presentation = self._settings, self._presentation
        presentation.say(
            f"The {self._total:,} flights that left New York in 2013, as a stream: "
            f"backend {settings.backend}, parallelism {settings.parallelism}, "
            f"watermark {settings.lateness_hours:g} h behind, in {settings.directory}"
        )
        if latest is not None:
            presentation.say(f"Going on from checkpoint {latest.checkpoint_id}: {latest.path}")
        elif self._earlier is not None:
            presentation.say("The earlier run left no checkpoint: starting over.")

    def _run_job(self, *, resume: bool) -> JobReport:
        settings, directory = self._settings, self._directory
        request = JobRequest(
            settings.flights_file,
            directory.results,
            directory.checkpoints,
            self._record.job_id,
            settings.backend,
            settings.parallelism,
            settings.lateness_hours,
            resume=resume,
            lock=directory.lock,
        )
        self._presentation.start(self._total, 0)
        try:
            return self._runner.run_supervised(request, self)
        finally:
            self._presentation.stop()

    def on_progress(self, progress: JobProgress) -> bool:
        self._presentation.progress(progress)
        due = progress.records >= _CRASH_AT * self._total and progress.checkpoint_id is not None
        if not (self._crash_wanted and due):
            return False
        self._crash_wanted = False
        # Recorded before it happens: given again after a kill, the command does not crash twice.
        self._record = replace(self._record, crashed=True)
        self._directory.write(self._record)
        self._presentation.say(
            f"Killing the worker process (SIGKILL) after {progress.records:,} flights …"
        )
        return True

    def on_restart(self, from_checkpoint: int | None) -> None:
        where = "the beginning" if from_checkpoint is None else f"checkpoint {from_checkpoint}"
        self._presentation.say(f"The worker is lost; a new one goes on from {where}.")


def _calm_digest(settings: DemoSettings, runner: JobRunner) -> str:
    with tempfile.TemporaryDirectory(prefix="millpond-demo-") as temporary:
        directory = Path(temporary)
        runner.run_calm(
            JobRequest(
                settings.flights_file,
                directory / "results",
                directory / "checkpoints",
                uuid.uuid4().hex,
                lateness_hours=settings.lateness_hours,
            )
        )
        return digest(read_lines(directory / "results"))


def _check_settings(settings: DemoSettings, record: DemoRecord) -> None:
    for name, earlier, now in (
        ("backend", str(record.backend), str(settings.backend)),
        ("lateness", f"{record.lateness_hours:g}", f"{settings.lateness_hours:g}"),
        ("data", record.flights_file, str(settings.flights_file)),
    ):
        if earlier != now:
            raise ConfigurationError(
                f"The directory belongs to a run with --{name} {earlier}, not {now}.",
                hint="Start over with --fresh, or give another directory: --directory DIR.",
                path=str(settings.directory),
            )


def _show(directory: DemoDirectory, record: DemoRecord, presentation: Presentation) -> None:
    lines = read_lines(directory.results)
    found = highlights(lines)
    for table in result_tables(found):
        presentation.table(table)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.counts.items())
    presentation.say(f"\n{len(lines):,} results ({kinds}) in {directory.results}")
    if found.late:
        presentation.say(
            f"{found.late:,} flights came too late for their hour and are missing from its report; "
            "a longer --lateness counts them."
        )
    now = digest(lines)
    if now != record.digest:
        raise JobExecutionError(
            "The results were changed after the run had finished.",
            hint="Start over with --fresh.",
            path=str(directory.results),
            digest=now,
            recorded_digest=record.digest,
        )
    proof = Proof(len(lines), now, record.calm_digest)
    presentation.proof(proof)
    if not proof.holds:
        raise JobExecutionError(
            "The interrupted run gave another answer than the calm one.",
            hint="This is a defect of Millpond: please report it with the directory.",
            path=str(directory.path),
        )
