"""`JobWatch`: the jobs of this user, running or seen to end, by their reports."""

from __future__ import annotations

import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, final

from millpond.engines.control_client import ask_exactly, job_ids
from millpond.errors import JobNotFoundError, JobRequestError

if TYPE_CHECKING:
    from millpond.clock import Clock

__all__ = ("JobWatch",)

_logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_ANSWER_SECONDS = 5.0
_FRESH_SECONDS = 0.2
_AT_ONCE = 8
_END_SECONDS = 2.0
_REMEMBERED = 50
_GONE = "The job's process ended without a word. Its last checkpoint is where it can go on."


@final
class _Watched:
    """One run of a job; `ended` is set when nothing more will come of it.

    `before` is an earlier run, which is what there is to see if this one turns out to be none.
    `asking` is held by who asks for a report; others take what comes of it, until `fresh_until`.
    """

    def __init__(self, before: _Watched | None) -> None:
        self.before = before
        self.ended = threading.Event()
        self.asking = threading.Lock()
        self.fresh_until = 0.0
        self.report: dict[str, Any] | None = None


@final
class JobWatch:
    """Asks jobs through their sockets; from any thread.

    For every job a thread waits for its last report, which the job sends when it is over; the
    newest 50 of jobs that are over are remembered. A job whose process died is SUSPENDED: another
    process may go on with it. A job is asked five times a second at most, however many look, and
    one that does not answer in 5 s is shown as it was.

    Args:
        clock: tells when a process was found dead.
        checkpoints: how many of its newest ones a job is asked for.
    """

    def __init__(self, clock: Clock, *, checkpoints: int) -> None:
        self._clock = clock
        self._checkpoints = checkpoints
        self._lock = threading.Lock()
        self._jobs: dict[str, _Watched] = {}
        self._stopped = threading.Event()

    def start(self) -> None:
        """Look for new jobs once a second, so that one is seen that nobody asks for."""
        threading.Thread(target=self._look, name="millpond-jobs", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _look(self) -> None:
        while not self._stopped.is_set():
            try:
                self.discover()
                self._ask_new_ones()
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                _logger.warning("Cannot look for running jobs: %s", error)
            self._stopped.wait(_LOOK_SECONDS)

    def _ask_new_ones(self) -> None:
        """Have a report of every job, should its process die before somebody asks."""
        with self._lock:
            new = [job_id for job_id, each in self._jobs.items() if each.report is None]
        for job_id in new:
            with contextlib.suppress(JobNotFoundError, JobRequestError):
                self.report(job_id)

    def discover(self) -> None:
        """Watch jobs that are new.

        Raises:
            ConfigurationError: the directory of sockets is not this user's alone.
        """
        found = job_ids()
        with self._lock:
            for job_id in sorted(found):
                known = self._jobs.get(job_id)
                if known is not None and not known.ended.is_set():
                    continue
                watched = _Watched(self._jobs.pop(job_id, None))
                self._jobs[job_id] = watched
                threading.Thread(
                    target=self._await_end,
                    args=(job_id, watched),
                    name=f"millpond-watch-{job_id[:8]}",
                    daemon=True,
                ).start()
            over = [job_id for job_id, each in self._jobs.items() if each.ended.is_set()]
            for job_id in over[: max(0, len(over) - _REMEMBERED)]:
                del self._jobs[job_id]

    def _await_end(self, job_id: str, watched: _Watched) -> None:
        try:
            last: dict[str, Any] | None = self._ask(job_id, None, at="end")
        except FileNotFoundError:
            # It was over, in good order, before it was asked.
            last = None
        except (OSError, ValueError, JobRequestError):
            with self._lock:
                seen = watched.report
            last = None if seen is None else _lost(seen, self._clock.now_ms())
        with self._lock:
            watched.report = last
            if last is None and self._jobs.get(job_id) is watched:
                del self._jobs[job_id]
                if watched.before is not None:
                    self._jobs[job_id] = watched.before
            watched.before = None
            watched.ended.set()

    def _ask(self, job_id: str, timeout_seconds: float | None, *, at: str) -> dict[str, Any]:
        request = {"command": "report", "checkpoints": self._checkpoints, "at": at}
        return ask_exactly(job_id, request, timeout_seconds)

    def report(self, job_id: str) -> dict[str, Any]:
        """Return the report of a job: of now, or the last one of a job that is over.

        Raises:
            JobNotFoundError: no such job runs, or ran while somebody watched.
            JobRequestError: the job does not answer.
        """
        self.discover()
        with self._lock:
            watched = self._jobs.get(job_id)
        if watched is None:
            raise JobNotFoundError(f"Job {job_id} not found")
        with watched.asking:
            if not watched.ended.is_set() and self._clock.monotonic() >= watched.fresh_until:
                self._refresh(job_id, watched)
        with self._lock:
            last = self._jobs.get(job_id, watched).report
        if last is None:
            raise JobNotFoundError(f"Job {job_id} not found")
        return last

    def _refresh(self, job_id: str, watched: _Watched) -> None:
        try:
            report = self._ask(job_id, _ANSWER_SECONDS, at="now")
        except TimeoutError as error:
            # A process that is stopped is not gone: it is shown as it was.
            if watched.report is None:
                raise JobRequestError("The job does not answer in time.") from error
        except (OSError, ValueError) as error:
            # It is over by now, or about to be.
            if not watched.ended.wait(_END_SECONDS):
                raise JobRequestError(f"The job does not answer: {error}.") from error
            return
        else:
            with self._lock:
                if not watched.ended.is_set():
                    watched.report = report
        watched.fresh_until = self._clock.monotonic() + _FRESH_SECONDS

    def reports(self) -> list[dict[str, Any]]:
        """Return the reports of all jobs, the newest first; one that never answered is left out."""
        self.discover()
        with self._lock:
            ids = list(self._jobs)
        if not ids:
            return []
        with ThreadPoolExecutor(min(_AT_ONCE, len(ids))) as executor:
            found = [report for report in executor.map(self._report_or_none, ids) if report]
        return sorted(found, key=lambda report: -int(report["started_ms"]))

    def _report_or_none(self, job_id: str) -> dict[str, Any] | None:
        try:
            return self.report(job_id)
        except (JobNotFoundError, JobRequestError) as error:
            _logger.debug("Job %s is left out: %s", job_id, error)
            return None

    def ask(self, job_id: str, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request to a running job and wait for its answer.

        Raises:
            JobRequestError: the job refused, failed meanwhile, or went away.
        """
        try:
            return ask_exactly(job_id, request, None)
        except (OSError, ValueError) as error:
            raise JobRequestError(f"The job does not answer: {error}.", job=job_id) from error
        finally:
            with self._lock:
                if (watched := self._jobs.get(job_id)) is not None:
                    # Who asks next sees what came of it.
                    watched.fresh_until = 0.0


def _lost(report: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """Return the last report of a job whose process is gone."""
    failure = {
        "timestamp_ms": now_ms,
        "class_name": "millpond.errors.JobRequestError",
        "text": _GONE,
        "traceback": _GONE,
        "operator": None,
        "subtask": None,
    }
    vertices = [
        {
            **vertex,
            "ended_ms": vertex["ended_ms"] or now_ms,
            "subtasks": [
                {**each, "status": each["status"] if each["status"] == "FINISHED" else "FAILED"}
                for each in vertex["subtasks"]
            ],
        }
        for vertex in report["vertices"]
    ]
    return {
        **report,
        "status": "SUSPENDED",
        "ended_ms": now_ms,
        "now_ms": now_ms,
        "status_times": {**report["status_times"], "SUSPENDED": now_ms},
        "failures": [*report["failures"], failure],
        "failure_count": report["failure_count"] + 1,
        "vertices": vertices,
    }
