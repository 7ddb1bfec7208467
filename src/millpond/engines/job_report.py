"""The report of a job: everything there is to see of it, as plain values for another process.

What nobody measures is not in it, or None. Names are Millpond's; who serves Flink's REST API
translates them.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from millpond.common.configuration import Configuration
from millpond.common.execution_options import DEFAULT_PARALLELISM
from millpond.common.job_status import JobStatus
from millpond.configuration.backend_description import StorageKind, Store
from millpond.configuration.options import checkpointing
from millpond.configuration.options import restart_strategy as restarts
from millpond.datastream.partitioning import (
    BroadcastPartitioning,
    CustomPartitioning,
    ForwardPartitioning,
    KeyGroupPartitioning,
    Partitioning,
    RebalancePartitioning,
    RescalePartitioning,
    ShufflePartitioning,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from millpond.runtime.checkpoint_statistics import CheckpointStatistics
    from millpond.runtime.job_graph import JobGraph, JobVertex
    from millpond.runtime.job_history import JobHistory
    from millpond.runtime.job_manager import JobManager
    from millpond.runtime.message import SubtaskProgress

__all__ = ("job_report", "without_secrets")

_HIDDEN: Final = "******"
# Flink's GlobalConfiguration.SENSITIVE_KEYS.
_SECRETS: Final = (
    "password",
    "secret",
    "fs.azure.account.key",
    "apikey",
    "api-key",
    "auth-params",
    "service-key",
    "token",
    "basic-auth",
    "jaas.config",
    "http-headers",
)
_SHIPPING: Final[dict[type[Partitioning], str]] = {
    ForwardPartitioning: "FORWARD",
    RebalancePartitioning: "REBALANCE",
    RescalePartitioning: "RESCALE",
    ShufflePartitioning: "SHUFFLE",
    BroadcastPartitioning: "BROADCAST",
    CustomPartitioning: "CUSTOM",
    KeyGroupPartitioning: "HASH",
}
_STORES: Final = {Store.HEAP: "HashMapStateBackend", Store.ROCKSDB: "EmbeddedRocksDBStateBackend"}
_STORAGES: Final = {
    StorageKind.JOB_MANAGER: "JobManagerCheckpointStorage",
    StorageKind.FILE_SYSTEM: "FileSystemCheckpointStorage",
}


def job_report(
    manager: JobManager, job_id: str, started_ms: int, now_ms: int, *, checkpoints: int
) -> dict[str, Any]:
    """Describe a job with its newest `checkpoints`; from any thread, while the job goes on."""
    graph, history, status = manager.coordinator.graph, manager.history, manager.status
    heard = {(each.vertex_id, each.subtask_index): each for each in history.subtasks}
    configuration = Configuration.from_dict(dict(manager.parameters.configuration))
    return {
        "job_id": job_id,
        "name": graph.name,
        "status": status.name,
        "type": "BATCH" if graph.batch else "STREAMING",
        "process_id": os.getpid(),
        "started_ms": started_ms,
        "ended_ms": history.status_times.get(status.name) if status.is_terminal_state() else None,
        "now_ms": now_ms,
        "status_times": dict(history.status_times),
        "restarts": manager.restarts,
        "records": manager.records,
        "vertices": [_vertex(vertex, graph, history, status, heard) for vertex in graph.vertices],
        "failures": [asdict(failure) for failure in tuple(history.failures)],
        "failure_count": history.failure_count,
        "configuration": without_secrets(manager.parameters.configuration),
        "job_parameters": without_secrets(graph.job_parameters),
        "parallelism": configuration.get(DEFAULT_PARALLELISM),
        "restart_strategy": _restart_strategy(configuration),
        "checkpointing": _settings(manager, configuration),
        "checkpoints": _checkpoints(manager, checkpoints),
    }


def without_secrets(entries: Mapping[str, str]) -> dict[str, str]:
    """Return entries with the values hidden whose keys speak of secrets."""
    return {
        key: _HIDDEN if any(each in key.lower() for each in _SECRETS) else value
        for key, value in sorted(entries.items())
    }


# -- tasks


def _vertex(
    vertex: JobVertex,
    graph: JobGraph,
    history: JobHistory,
    status: JobStatus,
    heard: Mapping[tuple[int, int], SubtaskProgress],
) -> dict[str, Any]:
    failure = history.failures[-1] if history.failures else None
    blamed = {node.name for node in vertex.operators}
    subtasks = []
    for index in range(vertex.parallelism):
        progress = heard.get((vertex.vertex_id, index))
        place = f"{index + 1}/{vertex.parallelism}"
        failed = failure is not None and (
            failure.operator is None
            or (failure.operator in blamed and failure.subtask in {None, place})
        )
        ended = progress is not None and progress.ended
        subtasks.append(
            {
                "index": index,
                "status": _task_status(history, status, ended=ended, failed=failed),
                "records_read": None if progress is None else progress.records_read,
                "records_written": None if progress is None else progress.records_written,
                "watermark_ms": None if progress is None else progress.watermark_ms,
            }
        )
    return {
        "id": _id_of(vertex),
        "name": vertex.name,
        "parallelism": vertex.parallelism,
        "max_parallelism": vertex.max_parallelism,
        "is_source": vertex.is_source,
        "operators": [
            {"id": node.operator_id.hex(), "name": node.name, "uid": node.uid}
            for node in vertex.operators
        ],
        "inputs": [
            {
                "id": _id_of(graph.vertices[edge.source_vertex]),
                "ship_strategy": _SHIPPING[type(edge.partitioning)],
            }
            for edge in graph.inputs_of(vertex.vertex_id)
        ],
        "started_ms": history.attempt_started_ms,
        "running_ms": history.attempt_running_ms,
        "ended_ms": history.attempt_ended_ms,
        "subtasks": subtasks,
    }


def _task_status(history: JobHistory, status: JobStatus, *, ended: bool, failed: bool) -> str:
    """Return Flink's execution state; all tasks of an attempt are opened and closed together."""
    if history.attempt_started_ms is None:
        return "CANCELED" if status.is_terminal_state() else "CREATED"
    if history.attempt_ended_ms is None:
        if history.attempt_running_ms is None:
            return "INITIALIZING"
        if status is JobStatus.CANCELLING:
            return "CANCELING"
        return "FINISHED" if ended else "RUNNING"
    if ended or status is JobStatus.FINISHED:
        return "FINISHED"
    is_failure = status in {JobStatus.FAILED, JobStatus.RESTARTING, JobStatus.RUNNING}
    return "FAILED" if failed and is_failure else "CANCELED"


def _id_of(vertex: JobVertex) -> str:
    # As Flink's JobVertexID: the operator id of the chain's head.
    return vertex.operators[0].operator_id.hex()


# -- settings


def _restart_strategy(configuration: Configuration) -> str:
    get = configuration.get
    name = (get(restarts.RESTART_STRATEGY) or "").strip().lower()
    if (not name and get(checkpointing.CHECKPOINT_INTERVAL) is None) or name in {
        "none",
        "off",
        "disable",
    }:
        return "Restart deactivated."
    if name in {"fixed-delay", "fixeddelay"}:
        attempts = get(restarts.FIXED_DELAY_ATTEMPTS)
        return (
            f"Restart with fixed delay ({get(restarts.FIXED_DELAY)} ms). "
            f"#{attempts} restart attempts."
        )
    if name in {"failure-rate", "failurerate"}:
        return (
            f"Failure rate restart with maximum of {get(restarts.FAILURE_RATE_MAX_FAILURES)} "
            f"failures within interval {get(restarts.FAILURE_RATE_INTERVAL)} ms "
            f"and fixed delay {get(restarts.FAILURE_RATE_DELAY)} ms."
        )
    delays = (
        f"{get(restarts.EXPONENTIAL_INITIAL_BACKOFF)} ms to "
        f"{get(restarts.EXPONENTIAL_MAX_BACKOFF)} ms"
    )
    if name:
        return f"Restart with exponential delay ({delays})."
    return f"Restart with exponential delay ({delays}) while checkpoints complete in between."


def _settings(manager: JobManager, configuration: Configuration) -> dict[str, Any]:
    settings, choice = manager.parameters.settings, manager.parameters.backend
    get = configuration.get
    return {
        "enabled": manager.parameters.checkpointing_enabled,
        "mode": get(checkpointing.CHECKPOINTING_MODE).name,
        "interval_ms": settings.interval_ms,
        "timeout_ms": settings.timeout_ms,
        "min_pause_ms": settings.min_pause_ms,
        "max_concurrent": settings.max_concurrent,
        "tolerable_failures": settings.tolerable_failures,
        "retention": settings.retention.name,
        "unaligned": get(checkpointing.UNALIGNED),
        "aligned_timeout_ms": get(checkpointing.ALIGNED_CHECKPOINT_TIMEOUT),
        "state_backend": _STORES.get(choice.store) or _class_name(choice.custom_store),
        "storage": _STORAGES.get(choice.storage) or _class_name(choice.custom_storage),
        "incremental": choice.is_incremental,
        "directory": choice.checkpoint_directory,
        "savepoint_directory": choice.savepoint_directory,
        "retained": choice.num_retained,
    }


def _class_name(custom: object) -> str:
    """Return the simple name of a class that is given as itself, an instance or an import path."""
    if isinstance(custom, str):
        return custom.rpartition(".")[2]
    return custom.__name__ if isinstance(custom, type) else type(custom).__name__


# -- checkpoints


def _checkpoints(manager: JobManager, newest: int) -> dict[str, Any]:
    statistics, graph = manager.coordinator.statistics, manager.coordinator.graph
    remembered = list(statistics)[-newest:] if newest > 0 else []
    restored = manager.history.restored
    latest = {
        "completed": statistics.latest_completed,
        "savepoint": statistics.latest_savepoint,
        "failed": statistics.latest_failed,
    }
    return {
        "counts": {**asdict(statistics.counts), "restored": manager.history.restored_count},
        "summary": {name: asdict(values) for name, values in statistics.summary().items()},
        "latest": {
            **{name: one and _checkpoint(one, graph) for name, one in latest.items()},
            "restored": restored and asdict(restored),
        },
        "history": [_checkpoint(each, graph) for each in reversed(remembered)],
        "retained": [each.checkpoint_id for each in tuple(manager.coordinator.store.checkpoints)],
    }


def _checkpoint(one: CheckpointStatistics, graph: JobGraph) -> dict[str, Any]:
    acknowledged, metrics = dict(one.acknowledged_ms), dict(one.subtasks)
    return {
        "checkpoint_id": one.checkpoint_id,
        "status": one.status.value,
        "is_savepoint": one.kind.value == "savepoint",
        "savepoint_format": one.savepoint_format and one.savepoint_format.value,
        "incremental": one.incremental,
        "unaligned": one.is_unaligned,
        "trigger_ms": one.trigger_ms,
        "ended_ms": one.end_ms,
        "external_path": one.external_path,
        "failure": one.failure,
        "tasks": [
            {
                "id": _id_of(vertex),
                "subtasks": [
                    None
                    if (vertex.vertex_id, index) not in metrics
                    else {
                        "acknowledged_ms": acknowledged.get((vertex.vertex_id, index)),
                        **asdict(metrics[vertex.vertex_id, index]),
                    }
                    for index in range(vertex.parallelism)
                ],
            }
            for vertex in graph.vertices
        ],
    }
