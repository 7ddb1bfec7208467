"""Where part files are written: on this machine with append and truncate, elsewhere whole."""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, final

from millpond.filesystem import FileSystem, OutputFile, get_file_system

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("LocalPartStorage", "OpenPart", "PartStorage", "RemotePartStorage", "open_storage")


class OpenPart(ABC):
    """A part file that is being written."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Append bytes. Raises OSError."""

    @abstractmethod
    def sync(self) -> None:
        """Make everything written so far survive a crash. Raises OSError."""

    @abstractmethod
    def finish(self) -> None:
        """Make it durable and close it; nothing is appended any more. Raises OSError."""

    @abstractmethod
    def abandon(self) -> None:
        """Close it as it is, durable or not."""


class PartStorage(ABC):
    """The few file operations that exactly once stands on; failures are OSError.

    Attributes:
        can_resume: whether an unfinished part can be gone on with after a restart.
    """

    can_resume: bool

    @abstractmethod
    def make_directories(self, path: str) -> None:
        """Create a directory and its parents, durably."""

    @abstractmethod
    def create(self, path: str) -> OpenPart:
        """Start a part; its directory exists and the name is new."""

    @abstractmethod
    def resume(self, path: str, length: int) -> OpenPart:
        """Go on with a part after its first `length` bytes; what follows them is dropped.

        Raises:
            FileNotFoundError: it does not exist.
            EOFError: it is shorter.
        """

    @abstractmethod
    def size(self, path: str) -> int | None:
        """Return the length of a file, None if there is none."""

    @abstractmethod
    def open(self, path: str) -> BinaryIO:
        """Open a finished part to read it."""

    @abstractmethod
    def rename(self, source: str, target: str) -> None:
        """Give a finished part its final name."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file; it is no error if there is none."""

    @abstractmethod
    def walk(self, directory: str) -> Iterator[str]:
        """Yield the paths of all files below a directory; none if it does not exist."""

    @abstractmethod
    def sync_directory(self, path: str) -> None:
        """Make names created, changed and deleted in a directory durable."""


def open_storage(url: str) -> tuple[PartStorage, str]:
    """Return the storage behind a URL and the path inside it.

    Raises:
        ConfigurationError: nobody knows the URL's scheme.
    """
    file_system, path = get_file_system(url)
    storage = (
        LocalPartStorage(file_system) if file_system.is_local else RemotePartStorage(file_system)
    )
    return storage, path


class _FileSystemStorage(PartStorage):
    """What both storages leave to the file system."""

    def __init__(self, file_system: FileSystem) -> None:
        self._file_system = file_system

    def make_directories(self, path: str) -> None:
        self._file_system.make_directories(path)

    def size(self, path: str) -> int | None:
        entry = self._file_system.entry(path)
        return None if entry is None or entry.is_directory else entry.size

    def open(self, path: str) -> BinaryIO:
        return self._file_system.open_read(path)

    def rename(self, source: str, target: str) -> None:
        self._file_system.rename(source, target)

    def delete(self, path: str) -> None:
        self._file_system.delete(path)

    def walk(self, directory: str) -> Iterator[str]:
        try:
            entries = self._file_system.list(directory)
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.is_directory:
                yield from self.walk(entry.path)
            else:
                yield entry.path

    def sync_directory(self, path: str) -> None:
        self._file_system.sync_directory(path)


class LocalPartStorage(_FileSystemStorage):
    """Part files of this machine; an unfinished one is truncated and gone on with."""

    can_resume = True

    def create(self, path: str) -> OpenPart:
        """Start a part; a name that exists is an error, never overwritten."""
        return _LocalPart(Path(path).open("xb"))

    def resume(self, path: str, length: int) -> OpenPart:
        """Truncate a part to `length` and append to it."""
        with contextlib.ExitStack() as until_owned:
            file = until_owned.enter_context(Path(path).open("r+b"))
            if file.seek(0, os.SEEK_END) < length:
                raise EOFError(f"{path} is shorter than {length} bytes")
            file.truncate(length)
            file.seek(length)
            until_owned.pop_all()
            return _LocalPart(file)


@final
class _LocalPart(OpenPart):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        self.sync()
        self._file.close()

    def abandon(self) -> None:
        self._file.close()


@final
class RemotePartStorage(_FileSystemStorage):
    """Part files behind a URL: written whole, so that every checkpoint ends them."""

    can_resume = False

    def create(self, path: str) -> OpenPart:
        """Start a part; it stands at its path when it is finished."""
        return _RemotePart(self._file_system.create(path))

    def resume(self, path: str, length: int) -> OpenPart:
        """Never called by the writer, which ends parts at checkpoints here; always refuses."""
        raise FileNotFoundError(2, "An unfinished part cannot be resumed here", path)


@final
class _RemotePart(OpenPart):
    def __init__(self, output: OutputFile) -> None:
        self._output = output

    def write(self, data: bytes) -> None:
        self._output.write(data)

    def sync(self) -> None:
        """Do nothing: only finished parts are durable here, and the writer knows."""

    def finish(self) -> None:
        try:
            self._output.publish()
        except BaseException:
            self._output.discard()
            raise

    def abandon(self) -> None:
        self._output.discard()
