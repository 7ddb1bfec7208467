"""A file system that fails on request: errors, torn writes, lost names, crashes, power loss."""

from __future__ import annotations

import fnmatch
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, final

from millpond.clock import Clock, SystemClock
from millpond.filesystem import FileEntry, FileSystem, OutputFile
from millpond.filesystem.path import directory_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Fault", "FaultyFileSystem", "Operation", "SimulatedCrash")


class SimulatedCrash(BaseException):
    """The process is dead from here on; not an Exception, so that nobody cleans up after it."""


@final
@dataclass(frozen=True, slots=True)
class Operation:
    """One call that was made: its number from 0, its name and its path."""

    number: int
    name: str
    path: str


@final
@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to operations of a name whose path matches a pattern.

    Attributes:
        operation: `create`, `write`, `publish`, `open_read`, `entry`, `list`, `delete`,
            `remove_directory`, `make_directories`, `rename`, `sync_directory`, or `*`.
        pattern: of the path, as in a shell; `*` matches `/` too.
        error: errno to raise; None lets the operation go through.
        skip: so many matching operations go well first.
        times: so many operations are hit; None is every one from then on.
        keep_bytes: a `write` stores only so many bytes, then raises if `error` is set (torn
            write) or pretends that all is well (short write).
        lost: a `publish` or `rename` pretends that all is well and does nothing.
        delay_seconds: time that passes first.
        crash: the process dies here, before the operation (with `keep_bytes`: in the middle).
    """

    operation: str = "*"
    pattern: str = "*"
    error: int | None = None
    skip: int = 0
    times: int | None = 1
    keep_bytes: int | None = None
    lost: bool = False
    delay_seconds: float = 0.0
    crash: bool = False


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0


@final
class FaultyFileSystem(FileSystem):
    """Wraps a file system and counts, delays, breaks or stops its operations.

    After a crash every call raises SimulatedCrash; the wrapped file system then shows what the
    next process finds. `power_loss` also undoes names that were not synced. Safe for several
    threads.

    Args:
        inner: the file system that does the work.
        clock: what delays wait on.
    """

    __slots__ = ("_armed", "_clock", "_inner", "_lock", "_unsynced", "crashed", "operations")

    def __init__(self, inner: FileSystem, clock: Clock | None = None) -> None:
        self._inner = inner
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._armed: list[_Armed] = []
        # By path: how to undo what only the operating system's cache holds.
        self._unsynced: dict[str, list[Callable[[], None]]] = {}
        self.operations: list[Operation] = []
        self.crashed = False

    def resolve(self, url: str) -> tuple[FileSystem, str]:
        """Act as `get_file_system` for URLs and paths of the wrapped file system."""
        return self, url.removeprefix(self._inner.url("")).rstrip("/") or "/"

    def inject(self, fault: Fault) -> None:
        """Arm a fault; several may be armed at once, the first that matches is used."""
        with self._lock:
            self._armed.append(_Armed(fault))

    def crash_at(self, number: int) -> None:
        """Die at the operation with this number, counted from now."""
        self.inject(Fault(skip=number, crash=True))

    def heal(self) -> None:
        """Disarm all faults."""
        with self._lock:
            self._armed.clear()

    def power_loss(self, survives: Callable[[], bool] = lambda: False) -> None:
        """Lose the names that were not synced, except where `survives` says so.

        Any may survive without the others; of one name's changes, a later one survives only
        together with the earlier ones.
        """
        with self._lock:
            self.crashed = True
            # Parents first: what is undone in a directory needs the directory.
            for path in sorted(self._unsynced):
                changes = list(self._unsynced[path])
                while changes and survives():
                    changes.pop(0)
                if self._inner.exists(directory_of(path)):
                    for undo in reversed(changes):
                        undo()
            self._unsynced.clear()

    @property
    def is_local(self) -> bool:
        """Whether paths are paths of this machine's file system."""
        return self._inner.is_local

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        return self._inner.url(path)

    def open_read(self, path: str) -> BinaryIO:
        """Open a file for reading; seekable."""
        self.step("open_read", path)
        return self._inner.open_read(path)

    def create(self, path: str, *, exclusive: bool = False) -> OutputFile:
        """Start writing a file."""
        self.step("create", path)
        return _FaultyOutputFile(self, self._inner.create(path, exclusive=exclusive), path)

    def entry(self, path: str) -> FileEntry | None:
        """Return what stands at the path, None if nothing does."""
        self.step("entry", path)
        return self._inner.entry(path)

    def list(self, directory: str) -> tuple[FileEntry, ...]:
        """Return what a directory holds, by name."""
        self.step("list", directory)
        return self._inner.list(directory)

    def delete(self, path: str) -> None:
        """Delete a file; it is no error if there is none."""
        if not self.step("delete", path):
            self.note_change(path)
            self._inner.delete(path)

    def remove_directory(self, path: str) -> None:
        """Remove a directory if it is empty."""
        self.step("remove_directory", path)
        with self._lock:
            existed = self._inner.exists(path)
            self._inner.remove_directory(path)
            if existed:
                self._note(path, lambda: self._inner.make_directories(path))

    def make_directories(self, path: str) -> None:
        """Create a directory and its parents, durably."""
        self.step("make_directories", path)
        self._inner.make_directories(path)

    def rename(self, source: str, target: str) -> None:
        """Rename a file, replacing an existing one."""
        if not self.step("rename", source):
            self.note_change(source)
            self.note_change(target)
            self._inner.rename(source, target)

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable."""
        self.step("sync_directory", path)
        self._inner.sync_directory(path)
        with self._lock:
            for changed in [one for one in self._unsynced if directory_of(one) == path]:
                del self._unsynced[changed]

    def step(self, name: str, path: str) -> Fault | None:
        """Count an operation and let its fault happen; return one that the caller must act out."""
        with self._lock:
            if self.crashed:
                raise SimulatedCrash(f"{name} {path} after the crash")
            self.operations.append(Operation(len(self.operations), name, path))
            fault = self._matching(name, path)
        if fault is None:
            return None
        if fault.delay_seconds:
            self._clock.sleep(fault.delay_seconds)
        if fault.keep_bytes is not None or fault.lost:
            return fault
        self.strike(fault, name, path)
        return None

    def strike(self, fault: Fault, name: str, path: str) -> None:
        """Crash or raise as the fault says."""
        if fault.crash:
            self.crashed = True
            raise SimulatedCrash(f"{name} {path}")
        if fault.error is not None:
            raise OSError(fault.error, os.strerror(fault.error), path)

    def note_change(self, path: str) -> None:
        """Remember how to undo a change of a name until its directory is synced."""
        with self._lock:
            entry = self._inner.entry(path)
            if entry is None:
                self._note(path, lambda: self._inner.delete(path))
            elif not entry.is_directory:
                content = self._inner.read_bytes(path)
                self._note(path, lambda: self._inner.write_bytes(path, content))

    def _note(self, path: str, undo: Callable[[], None]) -> None:
        self._unsynced.setdefault(path, []).append(undo)

    def _matching(self, name: str, path: str) -> Fault | None:
        for armed in self._armed:
            fault = armed.fault
            if fault.operation not in {"*", name} or not fnmatch.fnmatchcase(path, fault.pattern):
                continue
            armed.seen += 1
            hit = armed.seen - fault.skip
            if hit > 0 and (fault.times is None or hit <= fault.times):
                return fault
        return None


@final
class _FaultyOutputFile:
    __slots__ = ("_file_system", "_inner", "_path")

    def __init__(self, file_system: FaultyFileSystem, inner: OutputFile, path: str) -> None:
        self._file_system = file_system
        self._inner = inner
        self._path = path

    def write(self, data: bytes) -> None:
        fault = self._file_system.step("write", self._path)
        if fault is None:
            self._inner.write(data)
            return
        self._inner.write(data[: fault.keep_bytes])
        self._file_system.strike(fault, "write", self._path)

    def publish(self) -> None:
        if self._file_system.step("publish", self._path) is None:
            self._file_system.note_change(self._path)
            self._inner.publish()
        else:
            self._inner.discard()

    def discard(self) -> None:
        if not self._file_system.crashed:
            self._inner.discard()
