"""`DemoDirectory`: what a run of the demo leaves on disk, and that only one run uses it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, final

from millpond.demo.progress import Backend
from millpond.errors import CheckpointStorageError, ConfigurationError
from millpond.filesystem import get_file_system

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from millpond.clock import Clock

__all__ = ("DemoDirectory", "DemoRecord")

_RECORD = "demo.json"
_LOCK = "lock"
_LOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class DemoRecord:
    """What must be known when the same command is given again.

    Attributes:
        runs: how often the command was given for these results, this time included.
        crashed: the crash of the demo has happened.
        interrupted: the job has finished, and something had interrupted it before.
        digest: of all results, when the job has finished.
        calm_digest: of the same job without a crash, when it was computed.
    """

    backend: Backend
    lateness_hours: float
    flights_file: str
    job_id: str
    runs: int = 1
    crashed: bool = False
    interrupted: bool = False
    digest: str | None = None
    calm_digest: str | None = None


@final
class DemoDirectory:
    """The directory of a demo run, locked as long as the context is entered.

    The lock is that of an open file which the worker process inherits: a worker that outlives a
    killed job manager for a moment keeps the next run waiting until it is gone.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._lock: int | None = None

    @property
    def results(self) -> Path:
        """Where part files appear."""
        return self.path / "results"

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are."""
        return self.path / "checkpoints"

    @property
    def lock(self) -> int:
        """Descriptor of the locked file."""
        if self._lock is None:
            raise CheckpointStorageError("The demo's directory is not locked.", path=str(self.path))
        return self._lock

    def __enter__(self) -> DemoDirectory:
        """Create the directory and lock it, waiting 10 s for a run that is about to end.

        Raises:
            CheckpointStorageError: it cannot be written, or another run uses it.
            ConfigurationError: it holds something else.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            foreign = sorted(entry.name for entry in self.path.iterdir())
            if foreign and _LOCK not in foreign:
                raise ConfigurationError(
                    f"The directory holds something else ({foreign[0]}).",
                    hint="Give a new one: --directory DIR.",
                    path=str(self.path),
                )
            lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise CheckpointStorageError(
                f"The demo's directory cannot be written: {error.strerror}.",
                hint="Give another one: --directory DIR.",
                path=str(self.path),
            ) from error
        try:
            self._wait_for(lock)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Unlock it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self) -> DemoRecord | None:
        """Return what an earlier run recorded, None if there was none.

        Raises:
            ConfigurationError: the record is damaged.
        """
        try:
            fields = json.loads((self.path / _RECORD).read_text())
            return DemoRecord(**{**fields, "backend": Backend(fields["backend"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(
                "The record of the earlier run is damaged.",
                hint="Start over with --fresh.",
                path=str(self.path / _RECORD),
            ) from error

    def write(self, record: DemoRecord) -> None:
        """Replace the record, durably. Raises CheckpointStorageError."""
        file_system, path = get_file_system(self.path / _RECORD)
        try:
            file_system.write_bytes(path, json.dumps(asdict(record), indent=1).encode())
        except OSError as error:
            raise CheckpointStorageError(
                f"The demo's directory cannot be written: {error.strerror}.", path=path
            ) from error

    def clear(self) -> None:
        """Remove results, checkpoints and record; anything else is left alone.

        The record goes first: results without one are never taken for those of a run.

        Raises:
            CheckpointStorageError: something cannot be removed.
        """
        try:
            (self.path / _RECORD).unlink(missing_ok=True)
            self.clear_results()
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self.checkpoints)
        except OSError as error:
            raise CheckpointStorageError(
                f"The demo's directory cannot be cleared: {error.strerror}.", path=str(self.path)
            ) from error

    def clear_results(self) -> None:
        """Remove the results: without a checkpoint to go on from they would come twice."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.results)

    def _wait_for(self, lock: int) -> None:
        deadline = self._clock.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._clock.monotonic() >= deadline:
                    raise CheckpointStorageError(
                        "Another run of the demo uses the directory.",
                        hint="Wait for its end, or give another one: --directory DIR.",
                        path=str(self.path),
                    ) from None
                self._clock.sleep(0.05)
            else:
                return
