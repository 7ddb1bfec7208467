"""Files of this machine: synced, then renamed into place."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import sys
from pathlib import Path
from stat import S_ISDIR
from typing import BinaryIO, final

from millpond.filesystem.file_system import FileEntry, FileSystem, OutputFile
from millpond.filesystem.path import directory_of, name_of

__all__ = ("IN_PROGRESS_SUFFIX", "LocalFileSystem")

IN_PROGRESS_SUFFIX = ".inprogress"
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS})


@final
class LocalFileSystem(FileSystem):
    """The machine's own files.

    Args:
        sync: whether `publish` and `sync_directory` wait for the disk; only tests that need no
            durability turn it off.
    """

    __slots__ = ("_numbers", "_sync")

    def __init__(self, *, sync: bool = True) -> None:
        self._sync = sync
        self._numbers = itertools.count()

    @property
    def is_local(self) -> bool:
        """Whether paths are paths of this machine's file system."""
        return True

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        return f"file://{path}"

    def open_read(self, path: str) -> BinaryIO:
        """Open a file for reading; seekable. Raises FileNotFoundError."""
        return Path(path).open("rb")

    def create(self, path: str, *, exclusive: bool = False) -> OutputFile:
        """Start writing a file under a hidden temporary name beside it."""
        directory, name = directory_of(path), name_of(path)
        while True:
            # A number beside the process id needs no randomness; a leftover of a dead process
            # with the same id is skipped.
            unique = f"{os.getpid():x}-{next(self._numbers):x}"
            temporary = f"{directory}/.{name}.{unique}{IN_PROGRESS_SUFFIX}"
            with contextlib.suppress(FileExistsError):
                file = Path(temporary).open("xb")  # noqa: SIM115 - the output file closes it
                return _LocalOutputFile(file, temporary, path, self._sync, exclusive)

    def entry(self, path: str) -> FileEntry | None:
        """Return what stands at the path, None if nothing does."""
        try:
            status = os.stat(path)  # noqa: PTH116 - path text in, no Path needed
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _entry(name_of(path), path, status)

    def list(self, directory: str) -> tuple[FileEntry, ...]:
        """Return what a directory holds, by name. Raises FileNotFoundError, NotADirectoryError."""
        entries = []
        with os.scandir(directory) as scan:
            for item in scan:
                # A file that vanishes between the listing and the look at it was never there.
                with contextlib.suppress(FileNotFoundError):
                    path = f"{directory.rstrip('/')}/{item.name}"
                    entries.append(_entry(item.name, path, item.stat()))
        return tuple(sorted(entries, key=lambda entry: entry.name))

    def delete(self, path: str) -> None:
        """Delete a file; it is no error if there is none."""
        Path(path).unlink(missing_ok=True)

    def remove_directory(self, path: str) -> None:
        """Remove a directory if it is empty. Raises OSError if something is in it."""
        with contextlib.suppress(FileNotFoundError):
            Path(path).rmdir()

    def make_directories(self, path: str) -> None:
        """Create a directory and its parents, durably; it is no error if it exists."""
        missing = []
        current = path
        while current not in {"", "/"} and not Path(current).is_dir():
            missing.append(current)
            current = directory_of(current)
        for directory in reversed(missing):
            Path(directory).mkdir(exist_ok=True)
            self.sync_directory(directory_of(directory))

    def rename(self, source: str, target: str) -> None:
        """Rename a file, replacing an existing one. Raises FileNotFoundError."""
        Path(source).replace(target)

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable."""
        if not self._sync or os.name == "nt":
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@final
class _LocalOutputFile:
    __slots__ = ("_exclusive", "_file", "_path", "_sync", "_temporary")

    def __init__(
        self, file: BinaryIO, temporary: str, path: str, sync: bool, exclusive: bool
    ) -> None:
        self._exclusive = exclusive
        self._file = file
        self._temporary = temporary
        self._path = path
        self._sync = sync

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def publish(self) -> None:
        self._file.flush()
        if self._sync:
            _sync_file(self._file.fileno())
        self._file.close()
        if self._exclusive:
            _rename_to_new(self._temporary, self._path)
        else:
            Path(self._temporary).replace(self._path)

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            Path(self._temporary).unlink(missing_ok=True)


def _entry(name: str, path: str, status: os.stat_result) -> FileEntry:
    modified_ms = status.st_mtime_ns // 1_000_000
    return FileEntry(name, path, status.st_size, S_ISDIR(status.st_mode), modified_ms)


def _rename_to_new(temporary: str, path: str) -> None:
    try:
        # Unlike a rename, a second link fails where the name is taken.
        Path(path).hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if Path(path).exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from error
        Path(temporary).replace(path)
    else:
        Path(temporary).unlink()


def _sync_file(descriptor: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        # There, fsync only hands the bytes to the drive's cache.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)
