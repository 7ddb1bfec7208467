"""`Changes`: the requests that do something; most begin an operation that is polled."""

from __future__ import annotations

import secrets
import traceback
from typing import TYPE_CHECKING, Any, Final, final

from millpond.checkpoint.disposal import dispose_savepoint
from millpond.filesystem.path import scheme_of
from millpond.rest.call import Call, HttpError, hexadecimal
from millpond.rest.java_throwable import serialized_throwable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from millpond.rest.job_watch import JobWatch
    from millpond.rest.operations import Operations
    from millpond.rest.task_views import Report

__all__ = ("Changes",)

_DISPOSAL: Final = "savepoint-disposal"
_FORMATS: Final = ("CANONICAL", "NATIVE")
_TYPES: Final = ("CONFIGURED", "FULL", "INCREMENTAL")


@final
class Changes:
    """Asks jobs for what is wanted, deletes savepoints; from any thread. All raise HttpError."""

    def __init__(self, watch: JobWatch, operations: Operations) -> None:
        self._watch = watch
        self._operations = operations

    def routes(self) -> Mapping[tuple[str, str], tuple[int, Callable[[Call], Any]]]:
        """Return status and handler by method and path."""
        return {
            ("POST", "/jobs/{job_id}/savepoints"): (202, self._savepoint),
            ("GET", "/jobs/{job_id}/savepoints/{trigger_id}"): (200, self._savepoint_status),
            ("POST", "/jobs/{job_id}/stop"): (202, self._stop),
            ("POST", "/jobs/{job_id}/checkpoints"): (202, self._checkpoint),
            ("GET", "/jobs/{job_id}/checkpoints/{trigger_id}"): (200, self._checkpoint_status),
            ("PATCH", "/jobs/{job_id}"): (202, self._cancel),
            ("POST", "/savepoint-disposal"): (202, self._disposal),
            ("GET", "/savepoint-disposal/{trigger_id}"): (200, self._disposal_status),
        }

    def _running(self, call: Call) -> Report:
        report = self._watch.report(call.job_id)
        if report["ended_ms"] is not None:
            raise HttpError(404, f"Job {call.job_id} is not running: it is {report['status']}.")
        return report

    def _begin(self, call: Call, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        given = call.text("triggerId")
        trigger_id = secrets.token_hex(16) if given is None else hexadecimal(given, "trigger id")
        key = (kind, call.job_id, trigger_id)
        if self._operations.find(key) is None:
            # A request that is repeated may come when the job is over.
            self._running(call)
            self._operations.begin(key, lambda: self._watch.ask(call.job_id, request))
        return {"request-id": trigger_id}

    def _savepoint(self, call: Call) -> dict[str, Any]:
        directory = self._target(call, "target-directory")
        request = {
            "command": "cancel" if call.flag("cancel-job") else "savepoint",
            "savepoint": True,
            "directory": directory,
            "format": call.choice("formatType", _FORMATS).lower(),
        }
        return self._begin(call, "savepoint", request)

    def _stop(self, call: Call) -> dict[str, Any]:
        directory = self._target(call, "targetDirectory")
        request = {
            "command": "stop",
            "directory": directory,
            "drain": call.flag("drain"),
            "format": call.choice("formatType", _FORMATS).lower(),
        }
        return self._begin(call, "savepoint", request)

    def _target(self, call: Call, name: str) -> str | None:
        directory = call.text(name)
        if directory is None:
            report = self._watch.report(call.job_id)
            if report["checkpointing"]["savepoint_directory"] is None:
                raise HttpError(
                    400,
                    "Config key [state.savepoints.dir] is not set. Property "
                    f"[{name}] must be provided.",
                )
        return directory

    def _checkpoint(self, call: Call) -> dict[str, Any]:
        wanted = call.choice("checkpointType", _TYPES)
        report = self._watch.report(call.job_id)
        own = "INCREMENTAL" if report["checkpointing"]["incremental"] else "FULL"
        if wanted not in {"CONFIGURED", own}:
            raise HttpError(
                400, f"Bad request: the job is configured for {own} checkpoints, not {wanted}."
            )
        return self._begin(call, "checkpoint", {"command": "checkpoint"})

    def _cancel(self, call: Call) -> dict[str, Any]:
        mode = call.query.get("mode", "cancel").lower()
        if mode != "cancel":
            raise HttpError(400, "Bad request: the mode must be cancel; to stop, POST to stop.")
        report = self._watch.report(call.job_id)
        if report["ended_ms"] is not None:
            raise HttpError(
                409,
                "Job cancellation failed because the job has already reached another terminal "
                f"state ({report['status']}).",
            )
        self._watch.ask(call.job_id, {"command": "cancel"})
        return {}

    def _disposal(self, call: Call) -> dict[str, Any]:
        path = call.text("savepoint-path")
        if not path:
            raise HttpError(400, "Field savepoint-path must not be omitted or be null.")
        if not path.startswith("/") and not scheme_of(path):
            # The directory that the dashboard was started in is not the caller's.
            raise HttpError(400, f"Bad request: {path[:200]!r} is no absolute path, and no URL.")
        trigger_id = secrets.token_hex(16)
        self._operations.begin((_DISPOSAL, "", trigger_id), lambda: dispose_savepoint(path))
        return {"request-id": trigger_id}

    # -- polling

    def _savepoint_status(self, call: Call) -> dict[str, Any]:
        return self._status(
            call, "savepoint", lambda answer: {"location": answer["path"]}, "failure-cause"
        )

    def _checkpoint_status(self, call: Call) -> dict[str, Any]:
        return self._status(
            call,
            "checkpoint",
            lambda answer: {"checkpointId": answer["checkpoint_id"]},
            "failureCause",
        )

    def _disposal_status(self, call: Call) -> dict[str, Any]:
        return self._status(call, _DISPOSAL, lambda _: {"failure-cause": None}, "failure-cause")

    def _status(
        self, call: Call, kind: str, result: Callable[[Any], dict[str, Any]], failure: str
    ) -> dict[str, Any]:
        trigger_id = hexadecimal(call.path["trigger_id"], "trigger id")
        job_id = "" if kind == _DISPOSAL else call.job_id
        operation = self._operations.find((kind, job_id, trigger_id))
        if operation is None:
            of_job = f" for job {job_id}" if job_id else ""
            raise HttpError(
                404, f"There is no {kind} operation with triggerId={trigger_id}{of_job}."
            )
        if not operation.done.is_set():
            return {"status": {"id": "IN_PROGRESS"}, "operation": None}
        if operation.failure is not None:
            found = {failure: _cause(operation.failure)}
        else:
            found = result(operation.result)
        return {"status": {"id": "COMPLETED"}, "operation": found}


def _cause(error: BaseException) -> dict[str, str]:
    kind = type(error)
    class_name = f"{kind.__module__}.{kind.__qualname__}"
    text = "".join(traceback.format_exception_only(error)).rstrip()
    return {
        "class": class_name,
        "stack-trace": text,
        "serialized-throwable": serialized_throwable(class_name, str(error), text),
    }
