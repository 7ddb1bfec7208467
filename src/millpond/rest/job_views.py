"""What Flink's REST API says of jobs, made from their reports; names and spellings are Flink's.

-1 stands for what is not known or not measured, as in Flink.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from millpond.rest.task_views import (
    execution_states,
    io_metrics,
    slots,
    vertex_status,
    vertex_times,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from millpond.rest.task_views import Report

__all__ = (
    "accumulators",
    "configuration",
    "effective_configuration",
    "exceptions",
    "job",
    "jobs",
    "jobs_overview",
    "metrics",
    "overview",
    "plan",
)

JOB_STATES: Final = (
    "INITIALIZING",
    "CREATED",
    "RUNNING",
    "FAILING",
    "FAILED",
    "CANCELLING",
    "CANCELED",
    "FINISHED",
    "RESTARTING",
    "SUSPENDED",
    "RECONCILING",
)
_OVER: Final = {"FAILED", "CANCELED", "FINISHED", "SUSPENDED"}


def overview(reports: Sequence[Report], version: str) -> dict[str, Any]:
    """Return ``/overview``; a running job has a worker of its own, with the slots that it uses."""
    running = [report for report in reports if report["status"] not in _OVER]

    def count(status: str) -> int:
        return sum(report["status"] == status for report in reports)

    return {
        "taskmanagers": len(running),
        "slots-total": sum(map(slots, running)),
        "slots-available": 0,
        "jobs-running": len(running),
        "jobs-finished": count("FINISHED"),
        "jobs-cancelled": count("CANCELED"),
        "jobs-failed": count("FAILED"),
        "flink-version": version,
        "flink-commit": "",
    }


def jobs(reports: Iterable[Report]) -> dict[str, Any]:
    """Return ``/jobs``."""
    return {"jobs": [{"id": each["job_id"], "status": each["status"]} for each in reports]}


def jobs_overview(reports: Iterable[Report]) -> dict[str, Any]:
    """Return ``/jobs/overview``."""
    found = []
    for report in reports:
        tasks = {state.lower(): 0 for state in execution_states()}
        for vertex in report["vertices"]:
            for subtask in vertex["subtasks"]:
                tasks[subtask["status"].lower()] += 1
        found.append(
            {
                "jid": report["job_id"],
                "name": report["name"],
                **_times(report),
                "state": report["status"],
                "last-modification": max(report["status_times"].values()),
                "tasks": {"total": sum(tasks.values()), **tasks},
                "pending-operators": 0,
            }
        )
    return {"jobs": found}


def job(report: Report) -> dict[str, Any]:
    """Return ``/jobs/{id}``."""
    vertices = [_vertex(vertex, report["now_ms"]) for vertex in report["vertices"]]
    counts = dict.fromkeys(execution_states(), 0)
    for vertex in vertices:
        counts[vertex["status"]] += 1
    timestamps = dict.fromkeys(JOB_STATES, 0) | report["status_times"]
    return {
        "jid": report["job_id"],
        "name": report["name"],
        "isStoppable": False,
        "state": report["status"],
        "job-type": report["type"],
        **_times(report),
        "maxParallelism": -1,
        "now": report["now_ms"],
        "timestamps": timestamps,
        "vertices": vertices,
        "status-counts": counts,
        "pending-operators": 0,
        "plan": plan(report)["plan"],
    }


def _times(report: Report) -> dict[str, int]:
    ended = report["ended_ms"]
    return {
        "start-time": report["started_ms"],
        "end-time": -1 if ended is None else ended,
        "duration": (report["now_ms"] if ended is None else ended) - report["started_ms"],
    }


def _vertex(vertex: dict[str, Any], now_ms: int) -> dict[str, Any]:
    tasks = dict.fromkeys(execution_states(), 0)
    for subtask in vertex["subtasks"]:
        tasks[subtask["status"]] += 1
    return {
        "id": vertex["id"],
        "name": vertex["name"],
        "maxParallelism": vertex["max_parallelism"],
        "parallelism": vertex["parallelism"],
        "status": vertex_status(vertex),
        **vertex_times(vertex, now_ms),
        "tasks": tasks,
        "metrics": io_metrics(vertex["subtasks"]),
    }


def plan(report: Report) -> dict[str, Any]:
    """Return ``/jobs/{id}/plan``."""
    exchange = "blocking" if report["type"] == "BATCH" else "pipelined"
    nodes = []
    for vertex in report["vertices"]:
        node = {
            "id": vertex["id"],
            "parallelism": vertex["parallelism"],
            "operator": "",
            "operator_strategy": "",
            "description": vertex["name"],
            "optimizer_properties": {},
        }
        if vertex["inputs"]:
            node["inputs"] = [
                {"num": number, **edge, "exchange": exchange}
                for number, edge in enumerate(vertex["inputs"])
            ]
        nodes.append(node)
    return {
        "plan": {
            "jid": report["job_id"],
            "name": report["name"],
            "type": report["type"],
            "nodes": nodes,
        }
    }


def configuration(report: Report) -> dict[str, Any]:
    """Return ``/jobs/{id}/config``."""
    reuse = report["configuration"].get("pipeline.object-reuse", "false")
    return {
        "jid": report["job_id"],
        "name": report["name"],
        "execution-config": {
            "execution-mode": "BATCH" if report["type"] == "BATCH" else "PIPELINED",
            "restart-strategy": report["restart_strategy"],
            "job-parallelism": report["parallelism"],
            "object-reuse-mode": reuse.strip().lower() == "true",
            "user-config": report["job_parameters"],
        },
    }


def effective_configuration(report: Report) -> list[dict[str, str]]:
    """Return ``/jobs/{id}/jobmanager/config``: the options that are set, secrets hidden."""
    return [{"key": key, "value": value} for key, value in report["configuration"].items()]


def exceptions(report: Report, most: int | None = None) -> dict[str, Any]:
    """Return ``/jobs/{id}/exceptions``, with the fields of Flink 1.12 and later, newest first."""
    failures = report["failures"][::-1]
    shown = failures if most is None else failures[: max(0, most)]
    truncated = report["failure_count"] > len(shown)
    newest = failures[0] if failures else None
    return {
        "root-exception": newest and newest["traceback"],
        "timestamp": newest and newest["timestamp_ms"],
        "all-exceptions": [
            {
                "exception": each["traceback"],
                "task": _task_name(each),
                "location": None,
                "timestamp": each["timestamp_ms"],
                "taskManagerId": None,
            }
            for each in shown
        ],
        "truncated": truncated,
        "exceptionHistory": {
            "entries": [
                {
                    "exceptionName": each["class_name"],
                    "stacktrace": each["traceback"],
                    "timestamp": each["timestamp_ms"],
                    "taskName": _task_name(each),
                    "endpoint": None,
                    "taskManagerId": None,
                    "failureLabels": {},
                    "concurrentExceptions": [],
                }
                for each in shown
            ],
            "truncated": truncated,
        },
    }


def _task_name(failure: dict[str, Any]) -> str | None:
    name, subtask = failure["operator"], failure["subtask"]
    return name if name is None or subtask is None else f"{name} ({subtask})"


def accumulators() -> dict[str, Any]:
    """Return ``/jobs/{id}/accumulators``: Python functions have none, as in PyFlink."""
    return {
        "job-accumulators": [],
        "user-task-accumulators": [],
        "serialized-user-task-accumulators": {},
    }


def metrics(report: Report) -> dict[str, object]:
    """Return the metrics of a job by Flink's names."""
    counts, latest = report["checkpoints"]["counts"], report["checkpoints"]["latest"]
    completed, restored = latest["completed"], latest["restored"]
    subtasks = [
        each
        for task in (completed["tasks"] if completed else ())
        for each in task["subtasks"]
        if each is not None
    ]
    runs = report["status"] == "RUNNING"
    since = report["status_times"].get("RUNNING", report["now_ms"])
    duration = completed["ended_ms"] - completed["trigger_ms"] if completed else -1

    def size(name: str) -> int:
        return sum(each[name] for each in subtasks) if completed else -1

    return {
        "fullRestarts": report["restarts"],
        "lastCheckpointDuration": duration,
        "lastCheckpointExternalPath": (completed["external_path"] if completed else None) or "n/a",
        "lastCheckpointFullSize": size("state_bytes"),
        "lastCheckpointPersistedData": size("persisted_in_flight_bytes"),
        "lastCheckpointRestoreTimestamp": restored["timestamp_ms"] if restored else -1,
        "lastCheckpointSize": size("checkpointed_bytes"),
        "numRestarts": report["restarts"],
        "numberOfCompletedCheckpoints": counts["completed"],
        "numberOfFailedCheckpoints": counts["failed"],
        "numberOfInProgressCheckpoints": counts["in_progress"],
        "totalNumberOfCheckpoints": counts["total"],
        "uptime": report["now_ms"] - since if runs else (-1 if report["status"] in _OVER else 0),
    }
