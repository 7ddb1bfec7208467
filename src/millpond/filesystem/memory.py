"""Files in this process's memory, behind `memory://`."""

from __future__ import annotations

import errno
import io
import os
import threading
from typing import BinaryIO, final

from millpond.clock import Clock, SystemClock
from millpond.filesystem.file_system import FileEntry, FileSystem, OutputFile
from millpond.filesystem.path import directory_of, join, name_of

__all__ = ("MemoryFileSystem",)


@final
class MemoryFileSystem(FileSystem):
    """A dictionary of bytes, gone with the process; other processes see nothing of it."""

    __slots__ = ("_clock", "_directories", "_files", "_lock")

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._files: dict[str, tuple[bytes, int]] = {}
        self._directories: set[str] = {"/"}
        self._lock = threading.Lock()

    @property
    def is_local(self) -> bool:
        """Whether paths are paths of this machine's file system: no."""
        return False

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        return f"memory://{path}"

    def open_read(self, path: str) -> BinaryIO:
        """Open a file for reading; it keeps the content it had when it was opened."""
        with self._lock:
            content = self._files.get(path)
        if content is None:
            raise _not_found(path)
        return io.BytesIO(content[0])

    def create(self, path: str, *, exclusive: bool = False) -> OutputFile:
        """Start writing a file; its directory exists."""
        with self._lock:
            if path in self._directories:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            if directory_of(path) not in self._directories:
                raise _not_found(path)
        return _MemoryOutputFile(self, path, exclusive)

    def entry(self, path: str) -> FileEntry | None:
        """Return what stands at the path, None if nothing does."""
        path = path.rstrip("/") or "/"
        with self._lock:
            return self._entry(path)

    def list(self, directory: str) -> tuple[FileEntry, ...]:
        """Return what a directory holds, by name. Raises FileNotFoundError, NotADirectoryError."""
        directory = directory.rstrip("/") or "/"
        with self._lock:
            if directory in self._files:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), directory)
            if directory not in self._directories:
                raise _not_found(directory)
            children = sorted(
                path
                for path in (*self._files, *self._directories)
                if path != "/" and directory_of(path) == directory
            )
            entries = (self._entry(path) for path in children)
            return tuple(entry for entry in entries if entry is not None)

    def delete(self, path: str) -> None:
        """Delete a file; it is no error if there is none."""
        with self._lock:
            if path in self._directories:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            self._files.pop(path, None)

    def remove_directory(self, path: str) -> None:
        """Remove a directory if it is empty. Raises OSError if something is in it."""
        path = path.rstrip("/")
        with self._lock:
            if path not in self._directories:
                return
            if any(directory_of(other) == path for other in (*self._files, *self._directories)):
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
            self._directories.discard(path)

    def make_directories(self, path: str) -> None:
        """Create a directory and its parents; it is no error if it exists."""
        names = path.strip("/").split("/")
        with self._lock:
            current = ""
            for name in filter(None, names):
                current = join(current, name)
                if current in self._files:
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), current)
                self._directories.add(current)

    def rename(self, source: str, target: str) -> None:
        """Rename a file, replacing an existing one. Raises FileNotFoundError."""
        with self._lock:
            if source not in self._files:
                raise _not_found(source)
            self._files[target] = self._files.pop(source)

    def sync_directory(self, path: str) -> None:
        """Do nothing: memory is as durable as it gets."""

    def store(self, path: str, data: bytes, *, exclusive: bool = False) -> None:
        """Put a whole file into place."""
        now_ms = self._clock.now_ms()
        with self._lock:
            if exclusive and path in self._files:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
            if directory_of(path) not in self._directories:
                raise _not_found(path)
            self._files[path] = (data, now_ms)

    def _entry(self, path: str) -> FileEntry | None:
        if path in self._directories:
            return FileEntry(name_of(path), path, 0, is_directory=True)
        content = self._files.get(path)
        if content is None:
            return None
        data, modified_ms = content
        return FileEntry(name_of(path), path, len(data), False, modified_ms)


@final
class _MemoryOutputFile:
    __slots__ = ("_buffer", "_exclusive", "_file_system", "_path")

    def __init__(self, file_system: MemoryFileSystem, path: str, exclusive: bool) -> None:
        self._exclusive = exclusive
        self._file_system = file_system
        self._path = path
        self._buffer = bytearray()

    def write(self, data: bytes) -> None:
        self._buffer += data

    def publish(self) -> None:
        self._file_system.store(self._path, bytes(self._buffer), exclusive=self._exclusive)

    def discard(self) -> None:
        self._buffer.clear()


def _not_found(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
