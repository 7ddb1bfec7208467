"""What Flink's REST API says of a job's vertices and their subtasks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = (
    "Report",
    "execution_states",
    "io_metrics",
    "metrics",
    "slots",
    "subtask_times",
    "task_managers",
    "vertex",
    "vertex_status",
    "vertex_times",
    "watermarks",
)

Report: TypeAlias = dict[str, Any]
"""What `millpond.engines.job_report.job_report` returns."""

_STATES: Final = (
    "CREATED",
    "SCHEDULED",
    "DEPLOYING",
    "RUNNING",
    "FINISHED",
    "CANCELING",
    "CANCELED",
    "FAILED",
    "RECONCILING",
    "INITIALIZING",
)
_OVER: Final = {"FINISHED", "CANCELED", "FAILED"}


def execution_states() -> tuple[str, ...]:
    """Return the states of a task, in Flink's order."""
    return _STATES


def vertex_status(vertex: dict[str, Any]) -> str:
    """Return the state of a vertex by those of its subtasks (ExecutionJobVertex)."""
    states = {subtask["status"] for subtask in vertex["subtasks"]}
    for state in ("FAILED", "CANCELING", "CANCELED", "INITIALIZING", "RUNNING"):
        if state in states:
            return state
    if states == {"FINISHED"}:
        return "FINISHED"
    return "RUNNING" if "FINISHED" in states else "CREATED"


def vertex_times(vertex: dict[str, Any], now_ms: int) -> dict[str, int]:
    """Return when the tasks of the latest attempt began and ended: all together, here."""
    started, ended = vertex["started_ms"], vertex["ended_ms"]
    return {
        "start-time": -1 if started is None else started,
        "end-time": -1 if ended is None else ended,
        "duration": -1 if started is None else (now_ms if ended is None else ended) - started,
    }


def io_metrics(subtasks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the numbers of one task or several; bytes and busy times are not measured."""

    def total(name: str) -> int:
        known = [each[name] for each in subtasks if each[name] is not None]
        return sum(known) if known else -1

    def complete(name: str) -> bool:
        return all(each[name] is not None for each in subtasks)

    return {
        "read-bytes": -1,
        "read-bytes-complete": False,
        "write-bytes": -1,
        "write-bytes-complete": False,
        "read-records": total("records_read"),
        "read-records-complete": complete("records_read"),
        "write-records": total("records_written"),
        "write-records-complete": complete("records_written"),
        "accumulated-backpressured-time": -1,
        "accumulated-idle-time": -1,
        "accumulated-busy-time": -1,
    }


def slots(report: Report) -> int:
    """Return how many slots a job takes: all its operators share them."""
    return max((vertex["parallelism"] for vertex in report["vertices"]), default=0)


def vertex(found: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return ``/jobs/{id}/vertices/{vid}``."""
    times = vertex_times(found, report["now_ms"])
    return {
        "id": found["id"],
        "name": found["name"],
        "parallelism": found["parallelism"],
        "maxParallelism": found["max_parallelism"],
        "now": report["now_ms"],
        "subtasks": [
            {
                "subtask": subtask["index"],
                "status": subtask["status"],
                "attempt": report["restarts"],
                "endpoint": None,
                **times,
                "metrics": io_metrics([subtask]),
                "taskmanager-id": report["job_id"],
                "start_time": times["start-time"],
            }
            for subtask in found["subtasks"]
        ],
    }


def subtask_times(found: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return ``/jobs/{id}/vertices/{vid}/subtasktimes``."""
    times = vertex_times(found, report["now_ms"])
    subtasks = []
    for subtask in found["subtasks"]:
        timestamps = dict.fromkeys(_STATES, 0)
        timestamps["INITIALIZING"] = found["started_ms"] or 0
        timestamps["RUNNING"] = found["running_ms"] or 0
        if subtask["status"] in _OVER:
            timestamps[subtask["status"]] = found["ended_ms"] or 0
        subtasks.append(
            {
                "subtask": subtask["index"],
                "endpoint": None,
                "duration": times["duration"],
                "timestamps": timestamps,
            }
        )
    return {
        "id": found["id"],
        "name": found["name"],
        "now": report["now_ms"],
        "subtasks": subtasks,
    }


def watermarks(found: dict[str, Any]) -> list[dict[str, str]]:
    """Return ``/jobs/{id}/vertices/{vid}/watermarks``; a source has no input to speak of."""
    return [
        {"id": name, "value": str(value)}
        for name, value in metrics(found).items()
        if name.endswith(".currentInputWatermark")
    ]


def metrics(found: dict[str, Any]) -> dict[str, object]:
    """Return the metrics of a vertex by Flink's names, each behind the index of its subtask."""
    kind = "Output" if found["is_source"] else "Input"
    names = {
        "numRecordsIn": "records_read",
        "numRecordsOut": "records_written",
        f"current{kind}Watermark": "watermark_ms",
    }
    return {
        f"{subtask['index']}.{name}": subtask[known]
        for subtask in found["subtasks"]
        for name, known in names.items()
        if subtask[known] is not None
    }


def task_managers(reports: list[Report]) -> dict[str, Any]:
    """Return ``/taskmanagers``: a running job has one worker, and its id is the job's."""
    return {
        "taskmanagers": [
            {
                "id": report["job_id"],
                "path": f"job manager in process {report['process_id']}",
                "dataPort": -1,
                "jmxPort": -1,
                "timeSinceLastHeartbeat": report["now_ms"],
                "slotsNumber": slots(report),
                "freeSlots": 0,
                "hardware": {
                    "cpuCores": os.cpu_count() or -1,
                    "physicalMemory": -1,
                    "freeMemory": -1,
                    "managedMemory": -1,
                },
            }
            for report in reports
        ]
    }
