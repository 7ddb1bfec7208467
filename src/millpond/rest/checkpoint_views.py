"""What Flink's REST API says of checkpoints; names and spellings are Flink's.

``checkpointed_size`` is what a checkpoint wrote, ``state_size`` the full state, files of earlier
checkpoints included. Bytes that pass while barriers are aligned are not measured: -1.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from millpond.checkpoint.completed import NOT_ADDRESSABLE
from millpond.runtime.checkpoint_history import Distribution

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from millpond.rest.task_views import Report

__all__ = ("checkpoint", "checkpoints", "find", "is_enabled", "settings", "subtasks")

_NEVER: Final = (1 << 63) - 1
"""What Flink shows as the interval of a job that takes none by itself."""
_UNMEASURED: Final = -1


def is_enabled(report: Report) -> bool:
    """Say whether there is something to show: periodic checkpoints, or one that was asked for."""
    enabled: bool = report["checkpointing"]["enabled"]
    return enabled or report["checkpoints"]["counts"]["total"] > 0


def checkpoints(report: Report) -> dict[str, Any]:
    """Return ``/jobs/{id}/checkpoints``."""
    found = report["checkpoints"]
    summary, latest = found["summary"], found["latest"]
    restored = latest["restored"]
    return {
        "counts": {
            name: found["counts"][name]
            for name in ("restored", "total", "in_progress", "completed", "failed")
        },
        "summary": {
            "checkpointed_size": _summary(summary["checkpointed_bytes"]),
            "state_size": _summary(summary["state_bytes"]),
            "end_to_end_duration": _summary(summary["end_to_end_duration_ms"]),
            "alignment_buffered": _distribution([]),
            "processed_data": _unmeasured(),
            "persisted_data": _summary(summary["persisted_in_flight_bytes"]),
        },
        "latest": {
            "completed": _latest(latest["completed"], report),
            "savepoint": _latest(latest["savepoint"], report),
            "failed": _latest(latest["failed"], report),
            "restored": restored
            and {
                "id": restored["checkpoint_id"],
                "restore_timestamp": restored["timestamp_ms"],
                "is_savepoint": restored["is_savepoint"],
                "external_path": restored["external_path"],
            },
        },
        "history": [_item(one, report) | {"tasks": {}} for one in found["history"]],
    }


def settings(report: Report) -> dict[str, Any]:
    """Return ``/jobs/{id}/checkpoints/config``."""
    found = report["checkpointing"]
    return {
        "mode": found["mode"].lower(),
        "interval": _NEVER if found["interval_ms"] is None else found["interval_ms"],
        "timeout": found["timeout_ms"],
        "min_pause": found["min_pause_ms"],
        "max_concurrent": found["max_concurrent"],
        "externalization": {
            "enabled": found["retention"] != "NO_EXTERNALIZED_CHECKPOINTS",
            "delete_on_cancellation": found["retention"] != "RETAIN_ON_CANCELLATION",
        },
        "state_backend": found["state_backend"],
        "checkpoint_storage": found["storage"],
        "unaligned_checkpoints": found["unaligned"],
        "tolerable_failed_checkpoints": found["tolerable_failures"],
        "aligned_checkpoint_timeout": found["aligned_timeout_ms"],
        "checkpoints_after_tasks_finish": True,
        "state_changelog_enabled": False,
        "changelog_storage": None,
        "changelog_periodic_materialization_interval": -1,
    }


def find(report: Report, checkpoint_id: int) -> dict[str, Any] | None:
    """Return what is known of a checkpoint, if it is remembered."""
    found = report["checkpoints"]
    latest = [found["latest"][name] for name in ("completed", "savepoint", "failed")]
    for one in (*found["history"], *latest):
        if one is not None and one["checkpoint_id"] == checkpoint_id:
            checked: dict[str, Any] = one
            return checked
    return None


def checkpoint(one: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return ``/jobs/{id}/checkpoints/details/{cid}``."""
    return _item(one, report) | {"tasks": {task["id"]: _task(task, one) for task in one["tasks"]}}


def subtasks(one: dict[str, Any], vertex_id: str) -> dict[str, Any] | None:
    """Return ``/jobs/{id}/checkpoints/details/{cid}/subtasks/{vid}``; None: no such vertex."""
    task = next((each for each in one["tasks"] if each["id"] == vertex_id), None)
    if task is None:
        return None
    known = [each for each in task["subtasks"] if each is not None]

    def of(name: str) -> dict[str, float]:
        return _distribution([each[name] for each in known])

    return _task(task, one) | {
        "summary": {
            "checkpointed_size": of("checkpointed_bytes"),
            "state_size": of("state_bytes"),
            "end_to_end_duration": _distribution([_duration(each, one) for each in known]),
            "checkpoint_duration": {"sync": of("synchronous_ms"), "async": of("asynchronous_ms")},
            "alignment": {
                "buffered": _distribution([]),
                "processed": _unmeasured(),
                "persisted": of("persisted_in_flight_bytes"),
                "duration": of("alignment_ms"),
            },
            "start_delay": of("start_delay_ms"),
        },
        "subtasks": [_subtask(index, each, one) for index, each in enumerate(task["subtasks"])],
    }


def _subtask(index: int, each: dict[str, Any] | None, one: dict[str, Any]) -> dict[str, Any]:
    if each is None:
        return {"index": index, "status": "pending_or_failed"}
    return {
        "index": index,
        "status": "completed",
        "ack_timestamp": each["acknowledged_ms"],
        "end_to_end_duration": _duration(each, one),
        "state_size": each["state_bytes"],
        "checkpointed_size": each["checkpointed_bytes"],
        "checkpoint": {
            "sync": round(each["synchronous_ms"]),
            "async": round(each["asynchronous_ms"]),
        },
        "alignment": {
            "buffered": 0,
            "processed": _UNMEASURED,
            "persisted": each["persisted_in_flight_bytes"],
            "duration": round(each["alignment_ms"]),
        },
        "start_delay": round(each["start_delay_ms"]),
        "unaligned_checkpoint": each["is_unaligned"],
        "aborted": one["status"] == "FAILED",
    }


def _duration(subtask: dict[str, Any], one: dict[str, Any]) -> int:
    at = subtask["acknowledged_ms"]
    return -1 if at is None else at - one["trigger_ms"]


def _task(task: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    known = [each for each in task["subtasks"] if each is not None]
    complete = len(known) == len(task["subtasks"])
    return {
        "id": one["checkpoint_id"],
        "status": "COMPLETED" if complete else one["status"],
        **_sizes(known, one["trigger_ms"]),
        "num_subtasks": len(task["subtasks"]),
        "num_acknowledged_subtasks": len(known),
    }


def _sizes(known: Sequence[dict[str, Any]], trigger_ms: int) -> dict[str, Any]:
    last_ms = max((each["acknowledged_ms"] or -1 for each in known), default=-1)
    return {
        "latest_ack_timestamp": last_ms,
        "checkpointed_size": sum(each["checkpointed_bytes"] for each in known),
        "state_size": sum(each["state_bytes"] for each in known),
        "end_to_end_duration": -1 if last_ms == -1 else last_ms - trigger_ms,
        "alignment_buffered": 0,
        "processed_data": _UNMEASURED,
        "persisted_data": sum(each["persisted_in_flight_bytes"] for each in known),
    }


def _item(one: dict[str, Any], report: Report) -> dict[str, Any]:
    every = [each for task in one["tasks"] for each in task["subtasks"]]
    known = [each for each in every if each is not None]
    status = one["status"]
    savepoint_format = one["savepoint_format"]
    item = {
        "@class": status.lower(),
        "id": one["checkpoint_id"],
        "status": status,
        "is_savepoint": one["is_savepoint"],
        "savepointFormat": savepoint_format and savepoint_format.upper(),
        "trigger_timestamp": one["trigger_ms"],
        **_sizes(known, one["trigger_ms"]),
        "num_subtasks": len(every),
        "num_acknowledged_subtasks": len(known),
        "checkpoint_type": _type(one),
    }
    if one["ended_ms"] is not None:
        item["end_to_end_duration"] = one["ended_ms"] - one["trigger_ms"]
    if status == "COMPLETED":
        retained = one["checkpoint_id"] in report["checkpoints"]["retained"]
        item["external_path"] = one["external_path"] or NOT_ADDRESSABLE
        item["discarded"] = not one["is_savepoint"] and not retained
    elif status == "FAILED":
        item["failure_timestamp"] = one["ended_ms"]
        item["failure_message"] = one["failure"]
    return item


def _type(one: dict[str, Any]) -> str:
    if one["is_savepoint"]:
        return "SAVEPOINT"
    return "UNALIGNED_CHECKPOINT" if one["unaligned"] else "CHECKPOINT"


def _latest(one: dict[str, Any] | None, report: Report) -> dict[str, Any] | None:
    return None if one is None else _item(one, report) | {"tasks": {}}


# -- summaries


def _summary(values: dict[str, float]) -> dict[str, float]:
    """Return Flink's names for a distribution of the report."""
    return {
        "min": round(values["minimum"]),
        "max": round(values["maximum"]),
        "avg": round(values["average"]),
        **{name: values[name] for name in ("p50", "p90", "p95", "p99", "p999")},
    }


def _distribution(values: Iterable[float]) -> dict[str, float]:
    return _summary(asdict(Distribution.of(values)))


def _unmeasured() -> dict[str, float]:
    return dict.fromkeys(("min", "max", "avg", "p50", "p90", "p95", "p99", "p999"), _UNMEASURED)
