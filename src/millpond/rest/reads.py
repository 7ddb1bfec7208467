"""`Reads`: the requests that change nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, final

from millpond import __version__
from millpond.rest import checkpoint_views, job_views, task_views
from millpond.rest.call import Call, HttpError, hexadecimal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from millpond.clock import Clock
    from millpond.rest.job_watch import JobWatch
    from millpond.rest.settings import RestSettings
    from millpond.rest.task_views import Report

__all__ = ("Reads",)

_VERSION = f"millpond-{__version__}"


@final
class Reads:
    """Answers from the reports of jobs; from any thread. All raise HttpError."""

    def __init__(self, watch: JobWatch, settings: RestSettings, clock: Clock) -> None:
        self._watch = watch
        self._settings = settings
        self._clock = clock

    def routes(self) -> Mapping[str, Callable[[Call], Any]]:
        """Return the handlers by path."""
        vertex = "/jobs/{job_id}/vertices/{vertex_id}"
        details = "/jobs/{job_id}/checkpoints/details/{checkpoint_id}"
        return {
            "/overview": lambda _: job_views.overview(self._watch.reports(), _VERSION),
            "/config": self._config,
            "/jobs": lambda _: job_views.jobs(self._watch.reports()),
            "/jobs/overview": lambda _: job_views.jobs_overview(self._watch.reports()),
            "/jobs/{job_id}": lambda call: job_views.job(self._job(call)),
            "/jobs/{job_id}/status": lambda call: {"status": self._job(call)["status"]},
            "/jobs/{job_id}/plan": lambda call: job_views.plan(self._job(call)),
            "/jobs/{job_id}/config": lambda call: job_views.configuration(self._job(call)),
            "/jobs/{job_id}/jobmanager/config": self._effective_configuration,
            "/jobs/{job_id}/exceptions": self._exceptions,
            "/jobs/{job_id}/accumulators": self._accumulators,
            "/jobs/{job_id}/metrics": lambda call: _chosen(
                job_views.metrics(self._job(call)), call
            ),
            vertex: self._vertex,
            f"{vertex}/subtasktimes": self._subtask_times,
            f"{vertex}/watermarks": lambda call: task_views.watermarks(self._found(call)[1]),
            f"{vertex}/metrics": lambda call: _chosen(
                task_views.metrics(self._found(call)[1]), call
            ),
            "/jobs/{job_id}/checkpoints": self._checkpoints,
            "/jobs/{job_id}/checkpoints/config": self._checkpoint_settings,
            details: self._checkpoint,
            f"{details}/subtasks/{{vertex_id}}": self._checkpoint_subtasks,
            "/taskmanagers": self._task_managers,
        }

    def _job(self, call: Call) -> Report:
        return self._watch.report(call.job_id)

    def _found(self, call: Call) -> tuple[Report, dict[str, Any]]:
        report = self._job(call)
        vertex_id = hexadecimal(call.path["vertex_id"], "vertex id")
        for vertex in report["vertices"]:
            if vertex["id"] == vertex_id:
                return report, vertex
        raise HttpError(404, f"No vertex with ID {vertex_id} found.")

    # -- the dashboard itself

    def _config(self, _: Call) -> dict[str, Any]:
        local = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).astimezone()
        offset = local.utcoffset()
        return {
            "refresh-interval": self._settings.refresh_interval_ms,
            "timezone-name": local.tzname() or "",
            "timezone-offset": 0 if offset is None else round(offset.total_seconds() * 1000),
            "flink-version": _VERSION,
            "flink-revision": "",
            "features": {
                "web-submit": False,
                "web-cancel": self._settings.cancel_enabled,
                "web-rescale": False,
                "web-history": False,
            },
        }

    def _task_managers(self, _: Call) -> dict[str, Any]:
        reports = self._watch.reports()
        return task_views.task_managers([one for one in reports if one["ended_ms"] is None])

    # -- jobs

    def _effective_configuration(self, call: Call) -> list[dict[str, str]]:
        return job_views.effective_configuration(self._job(call))

    def _exceptions(self, call: Call) -> dict[str, Any]:
        most = call.query.get("maxExceptions")
        if most is not None and not (most.isascii() and most.isdigit()):
            raise HttpError(400, "Bad request: 'maxExceptions' must be a number.")
        return job_views.exceptions(self._job(call), None if most is None else int(most[:9]))

    def _accumulators(self, call: Call) -> dict[str, Any]:
        self._job(call)
        return job_views.accumulators()

    def _vertex(self, call: Call) -> dict[str, Any]:
        report, vertex = self._found(call)
        return task_views.vertex(vertex, report)

    def _subtask_times(self, call: Call) -> dict[str, Any]:
        report, vertex = self._found(call)
        return task_views.subtask_times(vertex, report)

    # -- checkpoints

    def _checkpoints(self, call: Call) -> dict[str, Any]:
        return checkpoint_views.checkpoints(self._with_checkpoints(call))

    def _checkpoint_settings(self, call: Call) -> dict[str, Any]:
        return checkpoint_views.settings(self._with_checkpoints(call))

    def _with_checkpoints(self, call: Call) -> Report:
        report = self._job(call)
        if not checkpoint_views.is_enabled(report):
            raise HttpError(404, "Checkpointing has not been enabled.")
        return report

    def _one(self, call: Call) -> tuple[Report, dict[str, Any]]:
        text = call.path["checkpoint_id"]
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise HttpError(400, f"Bad request: {text[:64]!r} is no checkpoint id.")
        report = self._with_checkpoints(call)
        one = checkpoint_views.find(report, int(text))
        if one is None:
            raise HttpError(404, f"Could not find checkpointing statistics for checkpoint {text}.")
        return report, one

    def _checkpoint(self, call: Call) -> dict[str, Any]:
        report, one = self._one(call)
        return checkpoint_views.checkpoint(one, report)

    def _checkpoint_subtasks(self, call: Call) -> dict[str, Any]:
        _, one = self._one(call)
        vertex_id = hexadecimal(call.path["vertex_id"], "vertex id")
        found = checkpoint_views.subtasks(one, vertex_id)
        if found is None:
            raise HttpError(404, f"There is no checkpoint statistics for task {vertex_id}.")
        return found


def _chosen(values: Mapping[str, object], call: Call) -> list[dict[str, str]]:
    """Return the names of all metrics, or those that are asked for with their values."""
    wanted = call.query.get("get")
    if wanted is None:
        return [{"id": name} for name in values]
    names = [name for name in wanted.split(",") if name in values]
    return [{"id": name, "value": str(values[name])} for name in names]
