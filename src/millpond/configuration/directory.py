"""Checks of directories that options and backends name; nothing is touched on disk."""

from __future__ import annotations

import os

from millpond.errors import ConfigurationError

__all__ = ("checked_directory", "checked_local_directory", "split_local_directories")


def checked_directory(directory: str | os.PathLike[str], where: str) -> str:
    """Return a checkpoint or savepoint directory as text, stripped, after checking it.

    Raises:
        ConfigurationError: it is no text or path, empty or the root of a file system.
    """
    text = os.fspath(directory) if isinstance(directory, os.PathLike) else directory
    if not isinstance(text, str):
        raise ConfigurationError(
            f"{directory!r} cannot be the directory of '{where}': it is no text and no path.",
            hint="Name a directory, such as file:///var/millpond/checkpoints.",
            option=where,
        )
    stripped = text.strip()
    scheme, separator, path = stripped.rpartition("://")
    if separator and scheme not in {"", "file"}:
        path = path.partition("/")[2] or ("" if "/" in path else path)
    if not path.strip("/"):
        raise ConfigurationError(
            f"'{text}' cannot be the directory of '{where}': it is empty or a root directory.",
            hint="Name a directory, such as file:///var/millpond/checkpoints.",
            option=where,
        )
    return stripped


def checked_local_directory(text: str, where: str) -> str:
    """Return an absolute local directory as a path, after checking it.

    Raises:
        ConfigurationError: it is empty, relative or on a remote file system.
    """
    stripped = text.strip()
    scheme, separator, path = stripped.partition(":")
    if separator and scheme == "file":
        stripped = "/" + path.lstrip("/") if path.startswith("/") else path
    elif separator and "/" not in scheme:
        raise ConfigurationError(
            f"'{text}' in '{where}' is not local; RocksDB needs a directory on this machine.",
            hint="Give an absolute path or a file: URL.",
            option=where,
        )
    if not stripped.startswith("/") or "\0" in stripped:
        raise ConfigurationError(
            f"'{text}' in '{where}' is no absolute path.",
            hint="Relative directories would depend on where the job is started.",
            option=where,
        )
    return stripped


def split_local_directories(text: str, where: str) -> tuple[str, ...]:
    """Split a list of local directories at ``,`` and the platform's path separator.

    Raises:
        ConfigurationError: one of them is relative or remote.
    """
    parts: list[str] = []
    for part in text.split(","):
        # "file:///a" holds the separator ":" itself, as does any other URL.
        pieces = [part] if "://" in part or part.startswith("file:") else part.split(os.pathsep)
        parts += [checked_local_directory(piece, where) for piece in pieces if piece.strip()]
    return tuple(parts)
