"""What a place for files must be able to do, whatever URL scheme it is behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import BinaryIO, Protocol

__all__ = ("FileEntry", "FileSystem", "OutputFile")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One name in a directory; `modified_ms` is 0 where the file system does not tell."""

    name: str
    path: str
    size: int
    is_directory: bool
    modified_ms: int = 0


class OutputFile(Protocol):
    """A file being written; nobody sees it under its name before `publish`.

    Used by one thread. Exactly one of `publish` and `discard` ends it; after a `publish` that
    raised, `discard` must still be called.
    """

    def write(self, data: bytes) -> None:
        """Append bytes. Raises OSError."""
        ...

    def publish(self) -> None:
        """Make the content durable and let it appear whole, replacing an older file.

        Raises:
            FileExistsError: it was to be new, and something stands under its name.
            OSError: it did not appear, or nobody knows.
        """
        ...

    def discard(self) -> None:
        """Delete what was written; never raises."""
        ...


class FileSystem(ABC):
    """Files by path. Safe for several threads; failures are OSError and its subclasses.

    Paths are absolute, in the file system's own form, with `/` between names; `url` turns one
    into what `get_file_system` accepts. File systems without directories act as if every
    directory existed.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def is_local(self) -> bool:
        """Whether paths are paths of this machine's file system."""

    @abstractmethod
    def url(self, path: str) -> str:
        """Return the URL of a path."""

    @abstractmethod
    def open_read(self, path: str) -> BinaryIO:
        """Open a file for reading; seekable. Raises FileNotFoundError."""

    @abstractmethod
    def create(self, path: str, *, exclusive: bool = False) -> OutputFile:
        """Start writing a file; its directory exists.

        After `publish` the content is durable, the name only after `sync_directory`. With
        `exclusive`, `publish` never replaces a file: of several writers one succeeds.
        """

    @abstractmethod
    def entry(self, path: str) -> FileEntry | None:
        """Return what stands at the path, None if nothing does."""

    @abstractmethod
    def list(self, directory: str) -> tuple[FileEntry, ...]:
        """Return what a directory holds, by name. Raises FileNotFoundError, NotADirectoryError."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file; it is no error if there is none."""

    @abstractmethod
    def remove_directory(self, path: str) -> None:
        """Remove a directory if it is empty; it is no error if there is none.

        Raises OSError if something is in it.
        """

    @abstractmethod
    def make_directories(self, path: str) -> None:
        """Create a directory and its parents, durably; it is no error if it exists."""

    @abstractmethod
    def rename(self, source: str, target: str) -> None:
        """Rename a file, replacing an existing one. Raises FileNotFoundError."""

    @abstractmethod
    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable: files published, renamed and deleted so far."""

    def exists(self, path: str) -> bool:
        """Return whether a file or directory stands at the path."""
        return self.entry(path) is not None

    def size(self, path: str) -> int:
        """Return the length of a file in bytes. Raises FileNotFoundError."""
        entry = self.entry(path)
        if entry is None or entry.is_directory:
            raise FileNotFoundError(2, "No such file", path)
        return entry.size

    def read_bytes(self, path: str) -> bytes:
        """Return the whole content of a file. Raises FileNotFoundError."""
        with self.open_read(path) as file:
            return file.read()

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to `end`; fewer where the file ends before."""
        with self.open_read(path) as file:
            file.seek(start)
            return file.read(end - start)

    def write_bytes(self, path: str, data: bytes, *, exclusive: bool = False) -> None:
        """Write a whole file so that it appears at once and durably.

        It replaces an older one; with `exclusive` that is a FileExistsError.
        """
        output = self.create(path, exclusive=exclusive)
        try:
            output.write(data)
            output.publish()
        except BaseException:
            output.discard()
            raise
        self.sync_directory(path.rpartition("/")[0] or "/")
