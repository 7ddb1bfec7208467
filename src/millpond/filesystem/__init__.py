"""Files behind URLs: this machine's, this process's memory, and whatever fsspec speaks."""

from __future__ import annotations

from millpond.filesystem.file_system import FileEntry, FileSystem, OutputFile
from millpond.filesystem.local import IN_PROGRESS_SUFFIX, LocalFileSystem
from millpond.filesystem.location import FileSystemResolver, get_file_system
from millpond.filesystem.memory import MemoryFileSystem

__all__ = (
    "FileEntry",
    "FileSystem",
    "FileSystemResolver",
    "IN_PROGRESS_SUFFIX",
    "LocalFileSystem",
    "MemoryFileSystem",
    "OutputFile",
    "get_file_system",
)
