"""A worker in a process of its own: the program that the process runs, and its connection.

The job manager starts ``python -m millpond.runtime.worker_process <descriptor>`` and talks over a
socket pair. When the job manager dies its end of the socket closes, and the worker exits at once,
whatever it is doing: nothing that it would still write could be acknowledged.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from millpond.clock import SystemClock
from millpond.errors import JobExecutionError, MillpondError, WorkerLostError
from millpond.filesystem.owner import make_owned_directory, remove_owned
from millpond.runtime.message import Failed, FromWorker, ToWorker
from millpond.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ("ProcessConnection", "main")

_POLL_SECONDS = 0.02
_IDLE_SECONDS = 0.002
_SNAPSHOT_THREADS = 2


@final
class ProcessConnection:
    """The job manager's end; making it starts the process.

    Descriptors in `inherited` stay open in the worker, for example one that holds a lock: then
    nobody else gets the lock while the worker lives.
    """

    def __init__(
        self,
        temporary_root: Path | None,
        inherited: Sequence[int] = (),
        python_path: Sequence[str] = (),
    ) -> None:
        self._directory = make_owned_directory("millpond-worker-", temporary_root)
        ours, theirs = Pipe()
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(
            [*python_path, *(path for path in sys.path if path)]
        )
        self._connection = ours
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            [
                sys.executable,
                "-m",
                "millpond.runtime.worker_process",
                str(theirs.fileno()),
                str(self._directory),
            ],
            pass_fds=(theirs.fileno(), *inherited),
            env=environment,
        )
        theirs.close()

    @property
    def process_id(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def kill(self) -> None:
        """Kill the process without warning, as a crash would."""
        self._process.kill()

    def send(self, message: ToWorker) -> None:
        """Send a message; one to a lost worker is dropped, `receive` reports the loss."""
        from millpond.serialization.program_pickle import pickle_program

        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._connection.send_bytes(pickle_program(message))

    def receive(self) -> Sequence[FromWorker]:
        """Return what came; wait some ms for the first message."""
        messages: list[FromWorker] = []
        try:
            if not self._connection.poll(_POLL_SECONDS):
                return messages
            while self._connection.poll(0):
                messages.append(pickle.loads(self._connection.recv_bytes()))
        except (EOFError, ConnectionResetError, BrokenPipeError) as error:
            if messages:
                return messages
            raise self._lost() from error
        return messages

    def while_working(self, look: Callable[[], None]) -> None:
        """Nothing to do: the worker keeps no thread of this process busy."""

    def take(self) -> Sequence[FromWorker]:
        """Return nothing; `receive` does."""
        return ()

    def _lost(self) -> WorkerLostError:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        how = f"exited with code {code}"
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        return WorkerLostError(f"The worker process {how}.", process_id=self._process.pid)

    def close(self) -> None:
        """End the process and remove its local directory."""
        with contextlib.suppress(OSError):
            self._connection.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        remove_owned(self._directory)


@final
class _Outbox:
    """Sends messages to the job manager; one that cannot be pickled is sent as text."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, message: FromWorker) -> None:
        """Send; a job manager that is gone ends this process."""
        try:
            data = _encode(message)
        except Exception as error:  # noqa: BLE001 - whatever user classes do when pickled
            data = self._encode_otherwise(message, error)
        try:
            self._connection.send_bytes(data)
        except (BrokenPipeError, ConnectionResetError):
            os._exit(1)

    @staticmethod
    def _encode_otherwise(message: FromWorker, error: Exception) -> bytes:
        if isinstance(message, Failed):
            with contextlib.suppress(Exception):
                return _encode_failure(message)
        return _encode(_as_text(message, error))


def _encode(message: FromWorker) -> bytes:
    from millpond.serialization.program_pickle import pickle_program

    data = pickle_program(message)
    # What cannot be read back would break the job manager instead of this worker.
    pickle.loads(data)
    return data


def _encode_failure(failed: Failed) -> bytes:
    """Encode exceptions by class, arguments and attributes, whatever their `__init__` wants."""
    from millpond.serialization.program_pickle import ProgramPickler

    class Pickler(ProgramPickler):
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, BaseException) and not isinstance(obj, MillpondError):
                return _rebuild, (type(obj), obj.args, dict(vars(obj)))
            return super().reducer_override(obj)

    buffer = io.BytesIO()
    Pickler(buffer).dump(failed)
    pickle.loads(buffer.getvalue())
    return buffer.getvalue()


def _rebuild(
    kind: type[BaseException], arguments: tuple[Any, ...], attributes: dict[str, Any]
) -> BaseException:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    vars(error).update(attributes)
    return error


def _as_text(message: FromWorker, error: Exception) -> Failed:
    if isinstance(message, Failed):
        text = f"{type(message.error).__name__}: {message.error}"
        return Failed(JobExecutionError(text), None, message.traceback)
    return Failed(JobExecutionError(f"A message to the job manager cannot be pickled: {error}"))


def main(arguments: Sequence[str]) -> None:
    """Serve one job manager until it says so or goes away."""
    descriptor, directory = int(arguments[0]), Path(arguments[1])
    connection = Connection(descriptor)
    # They reach the whole process group or unit; only the job manager acts on them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    inbox: deque[Any] = deque()
    threading.Thread(
        target=_listen, args=(connection, inbox, directory), name="millpond-inbox", daemon=True
    ).start()
    clock = SystemClock()
    with ThreadPoolExecutor(_SNAPSHOT_THREADS, thread_name_prefix="millpond-snapshot") as executor:
        worker = Worker(clock, executor, directory, _Outbox(connection).send, inbox=inbox)
        while True:
            while inbox:
                worker.handle(inbox.popleft())
            if worker.closed:
                return
            if not worker.step():
                clock.sleep(_IDLE_SECONDS)


def _listen(connection: Connection, inbox: deque[Any], directory: Path) -> None:
    """Read messages; when the job manager is gone, this process must not go on."""
    while True:
        try:
            data = connection.recv_bytes()
        except (EOFError, OSError):
            remove_owned(directory)
            os._exit(1)
        inbox.append(pickle.loads(data))


if __name__ == "__main__":
    main(sys.argv[1:])
