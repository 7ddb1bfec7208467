"""`ControlServer`: other processes of the same user steer a running job through a socket file."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, Self, final

from millpond.clock import SystemClock
from millpond.engines.control_directory import control_directory, is_own_peer
from millpond.engines.savepoint_limits import savepoint_limits
from millpond.errors import CheckpointError, ConfigurationError, MillpondError
from millpond.state.contract.snapshot import SavepointFormat, SnapshotKind, SnapshotOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path
    from types import TracebackType

    from millpond.clock import Clock
    from millpond.runtime.job_manager import JobManager

__all__ = ("ControlServer",)

_logger = logging.getLogger(__name__)
_MAX_REQUEST_BYTES = 1 << 16
_LAST_ANSWERS_SECONDS = 10.0
_READ_SECONDS = 2.0
_CHECKPOINTS = 10


@final
class ControlServer:
    """Answers requests for one job while it is entered: a line of JSON each, answered by one.

    The socket has mode 0600 in a directory of mode 0700, and a peer of another user is refused.
    A job that cannot have one runs all the same; a warning says why.

    Every request is answered by a thread of its own, since a savepoint takes its time. Leaving
    waits for these answers, at most `_LAST_ANSWERS_SECONDS`: whoever stops the job gets the path.
    """

    def __init__(
        self, manager: JobManager, job_id: str, started_ms: int, clock: Clock | None = None
    ) -> None:
        self._manager = manager
        self._job_id = job_id
        self._started_ms = started_ms
        self._clock = clock or SystemClock()
        self._over = threading.Event()
        self._socket: socket.socket | None = None
        self._path: Path | None = None
        self._answering = 0
        self._answered = threading.Condition()

    def __enter__(self) -> Self:
        try:
            self._listen()
        except (OSError, ConfigurationError, AttributeError) as error:
            _logger.warning("The job cannot be steered by other processes: %s", error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        if self._socket is not None:
            # Closing alone does not wake the thread that waits for connections.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        with self._answered:
            self._answered.wait_for(lambda: self._answering == 0, _LAST_ANSWERS_SECONDS)

    def _listen(self) -> None:
        path = control_directory(create=True) / f"{self._job_id}.sock"
        if _is_answered(path):
            raise ConfigurationError("a job with this id runs already.", job=self._job_id)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(8)
        except OSError:
            listener.close()
            raise
        self._socket, self._path = listener, path
        threading.Thread(
            target=self._accept, args=(listener,), name="millpond-control", daemon=True
        ).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self._serve, args=(connection,), name="millpond-request", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rwb") as stream:
            if not is_own_peer(connection):
                return
            line = stream.readline(_MAX_REQUEST_BYTES)
            if not line:
                return
            with self._last_answers():
                try:
                    answer = self._answer(json.loads(line))
                except MillpondError as error:
                    answer = {"error": error.message, "hint": error.hint, "context": _texts(error)}
                except Exception as error:  # noqa: BLE001 - a bad request must not end the job
                    answer = {"error": f"{type(error).__name__}: {error}"}
                # Nobody who does not read may hold up the end of the job.
                connection.settimeout(_READ_SECONDS)
                stream.write(json.dumps(answer).encode() + b"\n")
                stream.flush()

    @contextlib.contextmanager
    def _last_answers(self) -> Iterator[None]:
        with self._answered:
            self._answering += 1
        try:
            yield
        finally:
            with self._answered:
                self._answering -= 1
                self._answered.notify_all()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        answers: dict[Any, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "status": self._status,
            "report": self._report,
            "savepoint": self._savepoint,
            "checkpoint": self._checkpoint,
            "stop": self._stop,
            "cancel": self._cancel,
        }
        command = request.get("command")
        if command not in answers:
            raise CheckpointError(f"There is no command {command!r}.")
        return answers[command](request)

    def _savepoint(self, request: dict[str, Any]) -> dict[str, Any]:
        options = SnapshotOptions(SnapshotKind.SAVEPOINT, SavepointFormat(request["format"]))
        path = _path(self._manager.savepoint(request["directory"], options))
        return {"path": path, "limits": self._limits(path, options)}

    def _checkpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        completed = self._manager.checkpoint().result()
        return {"path": completed.external_path, "checkpoint_id": completed.checkpoint_id}

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        stopped = self._manager.stop(
            request["directory"],
            drain=bool(request["drain"]),
            savepoint_format=SavepointFormat(request["format"]),
        )
        return {"path": stopped.result()}

    def _cancel(self, request: dict[str, Any]) -> dict[str, Any]:
        if not request.get("savepoint"):
            self._manager.cancel()
            return {}
        # As for "stop" without what Flink cannot use: the process ends, and does not wait until a
        # large savepoint is read. Its log has said it.
        savepoint_format = SavepointFormat(request["format"])
        cancelled = self._manager.cancel_with_savepoint(request["directory"], savepoint_format)
        return {"path": cancelled.result()}

    def _limits(self, path: str, options: SnapshotOptions) -> list[str]:
        if options.format is not SavepointFormat.CANONICAL:
            return []
        try:
            return savepoint_limits(self._manager.coordinator.graph, path)
        except MillpondError as error:
            # The savepoint is complete; what is said about it is not worth an error.
            _logger.warning("What Flink cannot use of the savepoint is not known: %s", error)
            return []

    def _report(self, request: dict[str, Any]) -> dict[str, Any]:
        """Describe the job, now or as it is when it is over."""
        from millpond.engines.job_report import job_report

        if request.get("at") == "end":
            self._over.wait()
        return job_report(
            self._manager,
            self._job_id,
            self._started_ms,
            self._clock.now_ms(),
            checkpoints=int(request.get("checkpoints", _CHECKPOINTS)),
        )

    def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        latest = self._manager.coordinator.store.latest
        return {
            "job_id": self._job_id,
            "name": self._manager.coordinator.graph.name,
            "status": self._manager.status.name,
            "process_id": os.getpid(),
            "started_ms": self._started_ms,
            "latest_checkpoint": None if latest is None else latest.checkpoint_id,
        }


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            # Nobody, or what a process left that is gone.
            return False
    return True


def _path(savepoint: Future[Any]) -> str:
    path: str = savepoint.result().location.directory
    return path


def _texts(error: MillpondError) -> dict[str, str]:
    return {name: str(value) for name, value in error.context.items()}
