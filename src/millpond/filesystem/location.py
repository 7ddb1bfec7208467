"""From a URL to the file system behind it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TypeAlias

from millpond.errors import ConfigurationError
from millpond.filesystem.file_system import FileSystem
from millpond.filesystem.local import LocalFileSystem
from millpond.filesystem.memory import MemoryFileSystem
from millpond.filesystem.path import scheme_of

__all__ = ("FileSystemResolver", "get_file_system")

FileSystemResolver: TypeAlias = Callable[[str], tuple[FileSystem, str]]


def get_file_system(url: str | os.PathLike[str]) -> tuple[FileSystem, str]:
    """Return the file system of a URL or bare path, and the path inside it.

    As in Flink, a URL's text is taken as it is: `%20` is not decoded. Relative bare paths are
    resolved against the current directory.

    >>> get_file_system("file:///tmp/checkpoints")[1]
    '/tmp/checkpoints'

    Raises:
        ConfigurationError: the URL is empty or malformed, or nobody knows its scheme.
        MissingDependencyError: the scheme's driver is not installed.
    """
    text = os.fspath(url)
    if not text or "\0" in text:
        raise ConfigurationError("A path must not be empty or hold a NUL character.", path=text)
    scheme = scheme_of(text)
    if not scheme:
        return _local(), _normalize(text)
    rest = text[len(scheme) + 1 :]
    if scheme == "file":
        return _local(), _file_path(rest, text)
    if scheme == "memory":
        names = [name for name in rest.split("/") if name not in {"", "."}]
        if ".." in names:
            raise ConfigurationError("A memory:// URL must not hold '..'.", url=text)
        return _memory(), "/" + "/".join(names)
    from millpond.filesystem.remote import open_fsspec

    return open_fsspec(text, scheme)


def _file_path(rest: str, url: str) -> str:
    path = rest
    if rest.startswith("//"):
        host, slash, remainder = rest[2:].partition("/")
        if host not in {"", "localhost"}:
            raise ConfigurationError(
                f"The file URL names the host {host!r}; only files of this machine can be used.",
                hint="Write three slashes: file:///directory.",
                url=url,
            )
        path = slash + remainder
    if not path.startswith("/"):
        raise ConfigurationError(
            "A file URL needs an absolute path.", hint="Write file:///directory.", url=url
        )
    return _normalize(path)


def _normalize(path: str) -> str:
    normal = os.path.abspath(path)  # noqa: PTH100 - text in, text out; links stay as they are
    # POSIX lets exactly two leading slashes mean something else; here they do not.
    return "/" + normal.lstrip("/") if normal.startswith("//") else normal


@functools.cache
def _local() -> LocalFileSystem:
    return LocalFileSystem()


@functools.cache
def _memory() -> MemoryFileSystem:
    return MemoryFileSystem()
